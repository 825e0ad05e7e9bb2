"""`keepers messages`, `message`, `dead-letters`, `machine-rules` and `new-secret`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from keepers.cli.common import Folder, Json, Locale, app, call, show
from keepers.model.errors import UserError
from keepers.model.message import MessageStatus, Settlement

if TYPE_CHECKING:
    from keepers.app.messaging.messages import MessageCopy

Template = Annotated[str, typer.Argument(metavar="ID", help="The message's id in the playbook.")]
Wording = Annotated[str, typer.Option(help="The text of this locale; else the customer's.")]
message = typer.Typer(help="One message: its history, previews, test sends, retries.", no_args_is_help=True)
app.add_typer(message, name="message")
machine_rules = typer.Typer(
    help="Rules that separate clicks and opens by machines from those by people.", no_args_is_help=True
)
app.add_typer(machine_rules, name="machine-rules")


@app.command()
def messages(
    profile: Annotated[str | None, typer.Option(help="Only of this customer.")] = None,
    journey: Annotated[str | None, typer.Option(help="Only of this journey.")] = None,
    status: Annotated[MessageStatus | None, typer.Option(help="Only in this status.")] = None,
    before: Annotated[int | None, typer.Option(help="Older than this message's number.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Most messages of one answer.")] = 50,
    locale: Locale = "en",
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Messages, newest first: recipient, status, and why."""
    from keepers.app.messaging.messages import ListMessages, list_messages
    from keepers.cli.present.messages import messages

    request = ListMessages(profile=profile, journey=journey, status=status, before=before, limit=limit, locale=locale)
    show(call(workspace, list_messages, request), as_json, messages)


@message.command("show")
def show_message(
    number: Annotated[int, typer.Argument(metavar="N", help="The message's number, as `messages` shows it.")],
    html: Annotated[Path | None, typer.Option(help="Write the exact HTML the customer got into this file.")] = None,
    locale: Locale = "en",
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """One message: what was decided and why, all that became of it, its exact copy, and its links."""
    from keepers.app.messaging.messages import ReadMessage, read_message
    from keepers.cli.present.messages import message

    answer = call(workspace, read_message, ReadMessage(number=number, locale=locale))
    _write(html, answer.copy)
    show(answer, as_json, message)


@message.command("preview")
def preview_message(
    id: Template,
    profile: Annotated[str | None, typer.Option(help="As this customer would get it now.")] = None,
    locale: Wording = "",
    html: Annotated[Path | None, typer.Option(help="Write the HTML into this file, to look at in a browser.")] = None,
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """A message as a customer would get it now; links lead nowhere, and nothing is sent."""
    from keepers.app.messaging.message_trials import PreviewMessage, preview_message
    from keepers.cli.present.messages import preview

    answer = call(workspace, preview_message, PreviewMessage(message=id, profile=profile or "", locale=locale))
    _write(html, answer.content)
    show(answer, as_json, preview)


@message.command("test")
def try_message(
    id: Template,
    to: Annotated[str, typer.Option(metavar="ADDRESS", help="An address of your own on the message's channel.")],
    profile: Annotated[str | None, typer.Option(help="With this customer's data.")] = None,
    locale: Wording = "",
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Send a message to an address of your own, through the real channel; nothing is counted."""
    from keepers.app.messaging.message_trials import SendTestMessage, send_test_message
    from keepers.cli.present.tables import fields

    request = SendTestMessage(message=id, to=to, profile=profile or "", locale=locale)
    show(call(workspace, send_test_message, request, "Sending"), as_json, fields)


@message.command("retry")
def retry_messages(
    numbers: Annotated[list[int], typer.Argument(metavar="N…", help="Numbers of failed or uncertain messages.")],
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Queue dead letters and uncertain messages again; an uncertain one may arrive twice."""
    from keepers.app.messaging.messages import RetryMessages, retry_messages
    from keepers.cli.present.tables import fields

    show(call(workspace, retry_messages, RetryMessages(messages=numbers)), as_json, fields)


@message.command("settle")
def settle_uncertain(
    settlement: Annotated[
        Settlement, typer.Argument(metavar="HOW", help="retry: send them again. sent: they were. not_sent: give up.")
    ],
    journey: Annotated[str | None, typer.Option(help="Only of this journey.")] = None,
    broadcast: Annotated[str | None, typer.Option(help="Only of this broadcast.")] = None,
    channel: Annotated[str | None, typer.Option(help="Only of this channel.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="INSTANT", help="Only those handed over, or restored, from then on.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="INSTANT", help="Only those handed over, or restored, before then.")
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do it; without it they are counted, and the risk is shown.")
    ] = False,
    locale: Locale = "en",
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Settle uncertain messages of a journey, broadcast, channel or time: send them again, or decide what they were."""
    from keepers.app.messaging.uncertain_messages import SettleUncertain, settle_uncertain
    from keepers.cli.present.messages import settled

    request = SettleUncertain(
        settlement=settlement,
        journey=journey,
        broadcast=broadcast,
        channel=channel,
        since=since,
        until=until,
        dry_run=not yes,
        locale=locale,
    )
    show(call(workspace, settle_uncertain, request), as_json, partial(settled, is_dry_run=request.dry_run))


@app.command("dead-letters")
def dead_letters(
    after: Annotated[int, typer.Option(help="Past this message's number.")] = 0,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Most messages of one answer.")] = 100,
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Messages that could not be sent, oldest first, with the answer of the receiving side."""
    from keepers.app.messaging.messages import ListDeadLetters, list_dead_letters
    from keepers.cli.present.messages import dead_letters

    show(call(workspace, list_dead_letters, ListDeadLetters(after=after, limit=limit)), as_json, dead_letters)


@machine_rules.command("rerun")
def rerun_machine_rules(workspace: Folder = None, as_json: Json = False) -> None:
    """Classify every stored click and open again, such as after an upgrade."""
    from keepers.app.messaging.messages import RerunMachineRules, rerun_machine_rules
    from keepers.cli.present.tables import fields

    show(call(workspace, rerun_machine_rules, RerunMachineRules(), "Judging again"), as_json, fields)


@app.command("new-secret")
def make_secret(
    kind: Annotated[str, typer.Argument(help="webhook (what calls are signed with) or push (a VAPID key pair).")],
    as_json: Json = False,
) -> None:
    """Make a secret for a channel's settings; it is shown this once and kept nowhere."""
    from keepers.app.messaging.channel_secrets import push_keys, webhook_secret
    from keepers.cli.present.messages import secret

    match kind:
        case "webhook":
            show(webhook_secret(), as_json, lambda made: secret("webhook", made))
        case "push":
            show(push_keys(), as_json, lambda made: secret("push", made))
        case _:
            raise UserError(f"“{kind}” needs no secret made here: webhook or push.", code="invalid")


def _write(file: Path | None, content: MessageCopy | None) -> None:
    if file is None:
        return
    if content is None or not content.html:
        raise UserError("This message has no HTML, or its copy is no longer kept.", code="invalid")
    try:
        file.write_text(content.html, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{file} cannot be written: {error.strerror or error}.", code="file") from None
