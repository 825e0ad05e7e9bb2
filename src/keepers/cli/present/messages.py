"""Answers about messages as people read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from keepers.model.moments import format_instant

if TYPE_CHECKING:
    from keepers.app.messaging.channel_secrets import PushKeys, WebhookSecret
    from keepers.app.messaging.coupons import PoolList
    from keepers.app.messaging.message_trials import MessagePreview
    from keepers.app.messaging.messages import DeadLetterPage, MessageCopy, MessagePage, MessageStory
    from keepers.app.messaging.sending_switches import SendingState
    from keepers.app.messaging.signing_keys import DkimKey
    from keepers.app.messaging.uncertain_messages import UncertainSettled

out = Console(highlight=False, soft_wrap=False)
_COLOURS = {"sent": "green", "delivered": "green", "failed": "red", "bounced": "red", "skipped": "yellow"}


def messages(answer: MessagePage) -> None:
    if not answer.items:
        out.print("There are no such messages.")
        return
    table = Table(box=None, pad_edge=False)
    for title in ("number", "decided", "to", "message", "channel", "status", "why"):
        table.add_column(title)
    for one in answer.items:
        colour = _COLOURS.get(one.status, "white")
        where = f"{one.message}  [dim]{escape(one.journey or one.broadcast or '')}[/]"
        cells = (str(one.id), format_instant(one.decided_at), escape(one.profile), where, one.channel)
        table.add_row(*cells, f"[{colour}]{one.status}[/]", escape(one.why))
    out.print(table)


def message(answer: MessageStory) -> None:
    about = answer.message
    origin = about.journey or about.broadcast or "no journey"
    out.print(f"[bold]Message {about.id}[/]: {escape(about.message)} by {about.channel}, {about.status}")
    out.print(f"  to {escape(about.profile)} ({escape(about.recipient or 'no address')}), from {escape(origin)}")
    for one in answer.timeline:
        out.print(f"  {format_instant(one.at)}  {escape(one.says)}", soft_wrap=True)
    for link in answer.links:
        clicks = f"{link.people} clicks of people, {link.machines} of machines"
        out.print(f"  {escape(link.url)}  [dim]{clicks}[/]", soft_wrap=True)
    if answer.copy is None:
        out.print("  No copy is kept.")
    else:
        _content(answer.copy)


def preview(answer: MessagePreview) -> None:
    out.print(f"[bold]{escape(answer.message)}[/] by {answer.channel}, {answer.content.locale or 'en'}")
    _content(answer.content)


def dead_letters(answer: DeadLetterPage) -> None:
    if not answer.items:
        out.print("[green]There are no dead letters.[/]")
        return
    for one in answer.items:
        out.print(
            f"{one.id}  {format_instant(one.decided_at)}  {escape(one.profile)}: {escape(one.says)}", soft_wrap=True
        )
    out.print("`keepers message retry N …` queues them again.")


def settled(answer: UncertainSettled, *, is_dry_run: bool) -> None:
    if not is_dry_run:
        became = {"retry": "queued again", "sent": "taken as sent", "not_sent": "given up"}[answer.settlement]
        out.print(f"{answer.settled:,} uncertain message{'' if answer.settled == 1 else 's'} {became}.")
        if answer.settlement == "retry" and answer.without_address:
            left = f"{answer.without_address:,} stay uncertain: their addresses are kept no longer."
            out.print(f"{left} Settle them as sent or not_sent.", soft_wrap=True)
        return
    out.print(escape(answer.risk), soft_wrap=True)
    if answer.count:
        out.print("Nothing was changed. Say it again with --yes to do it.")


def secret(channel: str, answer: WebhookSecret | PushKeys) -> None:
    out.print(f"For [channels.{channel}] in keepers.toml; shown this once:", markup=False)
    for name, value in msgspec.structs.asdict(answer).items():
        out.print(f'  {name} = "{value}"', soft_wrap=True, markup=False)


def sending(answer: SendingState) -> None:
    if answer.is_sending:
        out.print("[green]Sending is on.[/]")
    else:
        since = format_instant(answer.since) if answer.since is not None else "–"
        out.print(f"[red]All sending is stopped[/] since {since}: {escape(answer.reason or 'no reason given')}")
    for one in answer.breakers:
        state = "[red]holds[/]" if one.holds else "released"
        out.print(
            f"  {escape(one.stream)}: circuit breaker {state} since {format_instant(one.at)} ({escape(one.reason)})"
        )
    for one in answer.warnings:
        since = format_instant(one.at)
        out.print(
            f"  [yellow]{escape(one.stream)} comes near its circuit breaker[/] since {since} ({escape(one.reason)})"
        )


def coupons(answer: PoolList) -> None:
    if not answer.items:
        out.print("The playbook has no pool of coupons.")
        return
    table = Table("pool", "left", "taken", "", box=None, pad_edge=False)
    for one in answer.items:
        low = f"[yellow]low (warned about at {one.low})[/]" if one.is_low else ""
        table.add_row(escape(one.pool), f"{one.left:,}", f"{one.taken:,}", low)
    out.print(table)


def dkim_key(answer: DkimKey) -> None:
    record = answer.record
    print(f"{'Made' if answer.is_new else 'Read'} the key in {answer.key_file}. Keep it secret.")
    print(f"Add this record to the DNS:\n\n{record.name}. TXT\n{record.value}\n")
    print("Values of over 255 letters go into several quoted strings, which most DNS pages do by themselves.")
    if answer.settings:
        print(f"When the record can be looked up, let keepers.toml sign with it:\n\n{answer.settings}")


def delivered(answer: Struct) -> None:
    counted = msgspec.structs.asdict(answer)
    done = ", ".join(f"{number:,} {what}" for what, number in counted.items() if number)
    out.print(f"Delivered: {done or 'nothing was due'}.")


def _content(content: MessageCopy) -> None:
    for name, value in (("subject", content.subject), ("title", content.title), ("url", content.url)):
        if value:
            out.print(f"  {name}: {escape(value)}", soft_wrap=True)
    if content.text:
        out.print()
        out.print(content.text.rstrip(), markup=False, soft_wrap=True)
