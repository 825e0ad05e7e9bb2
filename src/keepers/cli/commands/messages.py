"""`keepers messages`, `message`, `dead-letters`, `machine-rules` and `new-secret`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from keepers.channels.push import new_vapid_keys
from keepers.channels.webhook import new_secret
from keepers.cli.common import Folder, Json, app, give, run
from keepers.cli.present import messages as present_messages
from keepers.cli.present import operations
from keepers.model.errors import UserError

Locale = Annotated[str, typer.Option(help="Language of explanations: en, ru, pl, zh, it.")]
Template = Annotated[str, typer.Argument(metavar="ID", help="The message's id in the playbook.")]
Wording = Annotated[str, typer.Option(help="The text of this locale; else the customer's.")]
message = typer.Typer(help="One message: what became of it, previews, test sends, retries.", no_args_is_help=True)
app.add_typer(message, name="message")
machine_rules = typer.Typer(help="Which clicks and opens were machines'.", no_args_is_help=True)
app.add_typer(machine_rules, name="machine-rules")


@app.command()
def messages(
    profile: Annotated[str | None, typer.Option(help="Of this customer alone.")] = None,
    journey: Annotated[str | None, typer.Option(help="Of this journey alone.")] = None,
    status: Annotated[str | None, typer.Option(help="In this status: queued, held, sent, skipped, failed …")] = None,
    before: Annotated[int | None, typer.Option(help="Older than this message's number.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Most messages of one answer.")] = 50,
    locale: Locale = "en",
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Messages, newest first: to whom, how they stand, and why."""
    answer = run(
        workspace, "messages", profile=profile, journey=journey, status=status, before=before, limit=limit,
        locale=locale,
    )  # fmt: skip
    give(answer, as_json, present_messages.messages)


@message.command("show")
def show_message(
    number: Annotated[int, typer.Argument(metavar="N", help="The message's number, as `messages` shows it.")],
    html: Annotated[Path | None, typer.Option(help="Write the exact HTML the customer got into this file.")] = None,
    locale: Locale = "en",
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """One message: what was decided and why, all that became of it, its exact copy, and its links."""
    answer = run(workspace, "message", number=number, locale=locale)
    _write(html, answer["copy"])
    give(answer, as_json, present_messages.message)


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
    answer = run(workspace, "preview-message", name=id, profile=profile, locale=locale)
    _write(html, answer["content"])
    give(answer, as_json, present_messages.preview)


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
    answer = run(workspace, "test-message", doing="Sending", name=id, to=to, profile=profile, locale=locale)
    give(answer, as_json, operations.done)


@message.command("retry")
def retry_messages(
    numbers: Annotated[list[int], typer.Argument(metavar="N…", help="Numbers of failed or uncertain messages.")],
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Queue dead letters and uncertain messages again; an uncertain one may arrive twice."""
    give(run(workspace, "retry-messages", numbers=numbers), as_json, operations.done)


@app.command("dead-letters")
def dead_letters(
    after: Annotated[int, typer.Option(help="Past this message's number.")] = 0,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Most messages of one answer.")] = 100,
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Messages that could not be sent, oldest first, with what the other side said."""
    give(run(workspace, "dead-letters", after=after, limit=limit), as_json, present_messages.dead_letters)


@machine_rules.command("rerun")
def rerun_machine_rules(workspace: Folder = None, as_json: Json = False) -> None:
    """Ask the rules again about every click and open kept, such as after an upgrade."""
    answer = run(workspace, "rerun-machine-rules", doing="Judging again")
    give(answer, as_json, operations.done)


@app.command("new-secret")
def make_secret(
    kind: Annotated[str, typer.Argument(help="webhook (what calls are signed with) or push (a VAPID key pair).")],
    as_json: Json = False,
) -> None:
    """Make a secret for a channel's settings; it is shown this once and kept nowhere."""
    made: dict[str, str]
    match kind:
        case "webhook":
            made = {"secret": new_secret()}
        case "push":
            pair = new_vapid_keys()
            made = {"private_key": pair.private, "public_key": pair.public}
        case _:
            raise UserError(f"“{kind}” needs no secret made here: webhook or push.", code="invalid")
    channel: Literal["webhook", "push"] = "webhook" if kind == "webhook" else "push"
    give(made, as_json, lambda answer: present_messages.secret(channel, answer))


def _write(file: Path | None, content: dict[str, str] | None) -> None:
    if file is None:
        return
    if not content or not content.get("html"):
        raise UserError("This message has no HTML, or its copy is no longer kept.", code="invalid")
    try:
        file.write_text(content["html"], encoding="utf-8")
    except OSError as error:
        raise UserError(f"{file} cannot be written: {error.strerror or error}.", code="file") from None
