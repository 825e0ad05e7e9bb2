"""Broadcasts as people read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from keepers.cli.present.tables import out
from keepers.model.moments import format_instant

if TYPE_CHECKING:
    from keepers.app.messaging.broadcasts import BroadcastAudience, BroadcastList, BroadcastSending, SendingList


def broadcasts(answer: BroadcastList) -> None:
    if not answer.items:
        out.print("The playbook has no broadcasts yet.")
        return
    table = Table(box=None, pad_edge=False)
    for title in ("broadcast", "status", "started", "to"):
        table.add_column(title)
    for one in answer.items:
        table.add_row(
            escape(one.id), one.status, format_instant(one.started_at) if one.started_at else "—", escape(one.says)
        )
    out.print(table)


def preview(answer: BroadcastAudience) -> None:
    out.print(f"[bold]{answer.would_get:,}[/] of {answer.audience:,} customers would get it.")
    _reasons(answer.skipped)
    if answer.tested:
        shares = ", ".join(f"{escape(name)} to {number:,}" for name, number in answer.tested.items())
        out.print(f"First the test: {shares}; then the one that does best to the rest.")
    if answer.held:
        out.print(f"{answer.held:,} would wait for the end of their quiet hours.")
    if answer.first and answer.last and answer.first != answer.last:
        out.print(f"From {format_instant(answer.first)} to {format_instant(answer.last)}.")
    for warning in answer.warnings:
        out.print(f"[yellow]{escape(warning)}[/]")


def sendings(answer: SendingList) -> None:
    if not answer.items:
        out.print("It was not sent yet.")
    for one in answer.items:
        sending(one)


def sending(answer: BroadcastSending) -> None:
    what = f"again to those who did not open sending {answer.of}" if answer.of else "to its audience"
    out.print(f"[bold]Sending {answer.id}[/] {what}: [bold]{answer.status}[/], begins {format_instant(answer.begins)}")
    if answer.audience:
        share = answer.taken / answer.audience
        out.print(f"{answer.taken:,} of {answer.audience:,} taken up ({share:.0%}); {answer.sent:,} sent, ", end="")
        out.print(f"{answer.uncertain:,} uncertain, {answer.waiting:,} waiting.")
    _reasons(answer.skipped)
    for name, figures in answer.variants.items():
        variant_counts = ", ".join(f"{key} {number:,}" for key, number in figures.items())
        out.print(f"  variant {escape(name)}: {variant_counts}")
    if answer.winner:
        out.print(f"Winner: [bold]{escape(answer.winner)}[/] ({escape(answer.winner_by)})")
    elif answer.test_until and answer.status == "testing":
        out.print(f"The winner is chosen at {format_instant(answer.test_until)}.")
    if answer.trouble:
        out.print(f"[red]Not going on: {escape(answer.trouble)}[/]")


def _reasons(skipped: dict[str, int]) -> None:
    for reason, number in skipped.items():
        out.print(f"  {number:>9,} not: {escape(reason)}")
