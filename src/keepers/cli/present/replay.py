"""A dry run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from keepers.cli.present.tables import bar, out
from keepers.model.moments import format_instant

if TYPE_CHECKING:
    from keepers.app.messaging.replay import ReplayDay, ReplayReport

_MOST_DAYS = 31
"""as many days are shown one by one; of a longer time, weeks"""


_BAR = 24


def replayed(answer: ReplayReport) -> None:
    """Bars per day or week, then what was sent and what not, and where runs ended."""
    sample = f" (a sample of {answer.sample:.0%})" if answer.sample < 1 else ""
    out.print(
        f"[bold]{escape(answer.journey)}[/] from {format_instant(answer.since)} to {format_instant(answer.until)},"
        f" {answer.customers:,} customers{sample}; nothing was sent."
    )
    for name in answer.unrecorded:
        out.print(f"[yellow]{escape(name)} has no recorded history: apply it and run `keepers backfill` first.[/]")
    channels = sorted(answer.sent)
    rows = _spans(answer.days, channels)
    table = Table.grid(padding=(0, 1))
    table.add_row("", "[bold]entered[/]", "", *(cell for c in channels for cell in (f"[bold]{escape(c)}[/]", "")))
    most = [max((row[1][n] for row in rows), default=0) or 1 for n in range(len(channels) + 1)]
    for label, numbers in rows:
        cells = []
        for n, number in enumerate(numbers):
            cells += [f"{number:>7,}", bar(number / most[n], "green" if n else "cyan", _BAR)]
        table.add_row(label, *cells)
    out.print(table)
    out.print(f"Entered {answer.entered:,}; {_listed(answer.refused, 'nobody was refused', 'not let in: ')}")
    sent = _listed(answer.sent, "nothing", "")
    out.print(f"Would have sent {sent}; held for the end of quiet hours {answer.held:,}.")
    out.print(_listed(answer.skipped, "No message was skipped.", "Skipped: "))
    if answer.calls:
        out.print(f"Would have called {answer.calls:,} webhooks; each counts as one that does not answer.")
    busy = {f"{n} in their fullest week": who for n, who in answer.busiest.items()}
    out.print(_listed(busy, "Nobody would have been written to.", "Messages to a customer: "))
    if answer.goal_days:
        middle, late = answer.goal_days
        out.print(f"Goal reached by {answer.goals:,}: half within {middle:g} days, nine in ten within {late:g}.")
    out.print(_listed(answer.ended, "No run ended.", "Runs ended: "))
    if answer.waiting:
        out.print(_listed(answer.waiting, "", "Still under way: "))


def _spans(days: Sequence[ReplayDay], channels: list[str]) -> list[tuple[str, list[int]]]:
    """(first day, [entered, sent on each channel]) per day or week."""
    width = 1 if len(days) <= _MOST_DAYS else 7
    found = []
    for start in range(0, len(days), width):
        part = days[start : start + width]
        numbers = [sum(d.entered for d in part), *(sum(d.sent.get(c, 0) for d in part) for c in channels)]
        found.append((part[0].day, numbers))
    return found


def _listed(numbers: dict[str, int], none: str, head: str) -> str:
    if not numbers:
        return none
    return head + ", ".join(f"{escape(str(name))} {number:,}" for name, number in numbers.items())
