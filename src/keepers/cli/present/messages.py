"""Answers about messages, consent and suppression as people read them."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

out = Console(highlight=False, soft_wrap=False)
_COLOURS = {"sent": "green", "delivered": "green", "failed": "red", "bounced": "red", "skipped": "yellow"}


def messages(answer: list[dict[str, Any]]) -> None:
    if not answer:
        out.print("There are no such messages.")
        return
    table = Table(box=None, pad_edge=False)
    for title in ("number", "decided", "to", "message", "channel", "status", "why"):
        table.add_column(title)
    for one in answer:
        colour = _COLOURS.get(one["status"], "white")
        where = f"{one['message']}  [dim]{escape(one['journey'] or one['broadcast'] or '')}[/]"
        cells = (str(one["id"]), one["decided_at"], escape(one["profile"]), where, one["channel"])
        table.add_row(*cells, f"[{colour}]{one['status']}[/]", escape(one["why"]))
    out.print(table)


def message(answer: dict[str, Any]) -> None:
    origin = answer["journey"] or answer["broadcast"] or "no journey"
    out.print(
        f"[bold]Message {answer['id']}[/]: {escape(answer['message'])} by {answer['channel']}, {answer['status']}"
    )
    out.print(
        f"  to {escape(answer['profile'])} ({escape(answer['recipient'] or 'no address')}), from {escape(origin)}"
    )
    for one in answer["timeline"]:
        out.print(f"  {one['at']}  {escape(one['says'])}", soft_wrap=True)
    for link in answer["links"]:
        clicks = f"{link['people']} clicks of people, {link['machines']} of machines"
        out.print(f"  {escape(link['url'])}  [dim]{clicks}[/]", soft_wrap=True)
    if answer["copy"] is None:
        out.print("  No copy is kept.")
    else:
        _content(answer["copy"])


def preview(answer: dict[str, Any]) -> None:
    out.print(f"[bold]{escape(answer['message'])}[/] by {answer['channel']}, {answer['content']['locale'] or 'en'}")
    _content(answer["content"])


def dead_letters(answer: list[dict[str, Any]]) -> None:
    if not answer:
        out.print("[green]There are no dead letters.[/]")
        return
    for one in answer:
        out.print(f"{one['id']}  {one['decided_at']}  {escape(one['profile'])}: {escape(one['says'])}", soft_wrap=True)
    out.print("`keepers message retry N …` queues them again.")


def secret(channel: str, answer: dict[str, str]) -> None:
    out.print(f"For [channels.{channel}] in keepers.toml; shown this once:", markup=False)
    for name, value in answer.items():
        out.print(f'  {name} = "{value}"', soft_wrap=True, markup=False)


def brakes(answer: dict[str, Any]) -> None:
    if answer["is_sending"]:
        out.print("[green]Sending is on.[/]")
    else:
        out.print(
            f"[red]All sending is stopped[/] since {answer['since']}: {escape(answer['reason'] or 'no reason given')}"
        )
    for one in answer["brakes"]:
        state = "[red]holds[/]" if one["holds"] else "released"
        out.print(f"  {escape(one['stream'])}: brake {state} since {one['at']} ({escape(one['reason'])})")
    for one in answer["warnings"]:
        out.print(
            f"  [yellow]{escape(one['stream'])} comes near its brake[/] since {one['at']} ({escape(one['reason'])})"
        )


def consent(answer: dict[str, Any]) -> None:
    out.print(f"[bold]{escape(answer['profile'])}[/] (profile #{answer['profile_id']})")
    table = Table("channel", "topic", "state", "since", "may be written to", box=None, pad_edge=False)
    for one in answer["topics"]:
        may = "[green]yes[/]" if one["may_be_written_to"] else "[yellow]no[/]"
        table.add_row(one["channel"], escape(one["topic"]), one["state"] or "—", one["since"] or "", may)
    out.print(table)
    for said in answer["statements"]:
        words = f": “{said['wording']}”" if said["wording"] else ""
        text = f"{said['at']}  {said['state']} {said['topic']} by {said['channel']} ({said['source']}){words}"
        out.print(f"  {escape(text)}", soft_wrap=True)


def imported(answer: dict[str, Any]) -> None:
    out.print(f"{answer['taken']:,} rows taken, {answer['rejected']:,} cannot be used.")
    for one in answer["problems"]:
        out.print(f"[yellow]line {one['line']}: {escape(one['reason'])}[/]")


def suppressions(answer: list[dict[str, Any]]) -> None:
    if not answer:
        out.print("No such address is suppressed.")
        return
    table = Table("channel", "hash", "reason", "since", "source", "detail", box=None, pad_edge=False)
    for one in answer:
        shown = (one["channel"], f"{one['hash'][:16]}…", one["reason"], one["at"])
        table.add_row(*shown, escape(one["source"]), escape(one["detail"]))
    out.print(table)


def coupons(answer: list[dict[str, Any]]) -> None:
    if not answer:
        out.print("The playbook has no pool of coupons.")
        return
    table = Table("pool", "left", "taken", "", box=None, pad_edge=False)
    for one in answer:
        low = f"[yellow]low (warned about at {one['low']})[/]" if one["is_low"] else ""
        table.add_row(escape(one["pool"]), f"{one['left']:,}", f"{one['taken']:,}", low)
    out.print(table)


def delivered(answer: dict[str, Any]) -> None:
    done = ", ".join(f"{number:,} {what}" for what, number in answer.items() if number)
    out.print(f"Delivered: {done or 'nothing was due'}.")


def _content(content: dict[str, Any]) -> None:
    for name in ("subject", "title", "url"):
        if content.get(name):
            out.print(f"  {name}: {escape(content[name])}", soft_wrap=True)
    if content.get("text"):
        out.print()
        out.print(content["text"].rstrip(), markup=False, soft_wrap=True)
