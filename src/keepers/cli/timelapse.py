"""The demo's time-lapse: weeks tick by, stages grow and shrink."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from keepers.audience.definitions import Lifecycle
from keepers.cli.present import BAR, COLOURS, bar
from keepers.measure.stages import StageCount, current
from keepers.model.definitions import text_in
from keepers.pipeline.tick import Ticked, Ticker
from keepers.wire import Workspace

WEEK = timedelta(days=7)
QUIET_S = 4.0
Counts = dict[str, list[StageCount]]


def weeks(first: datetime, last: datetime) -> Iterator[datetime]:
    """Week by week after `first`, ending at `last` exactly."""
    at = first + WEEK
    while at < last:
        yield at
        at += WEEK
    yield last


class Mail(Protocol):
    """What customers who are written to do in the days after a moment and up to another, and what they get."""

    def arrive(self, after: datetime, until: datetime) -> None: ...

    def deliver(self, after: datetime, until: datetime) -> None: ...


def play(
    workspace: Workspace,
    ticker: Ticker,
    first: datetime,
    last: datetime,
    console: Console,
    mail: Mail | None = None,
) -> Counts:
    """Ticks week by week and draws the stages as bars; where there is no terminal, a line now and then.

    With `mail`, customers do what they did in the week before its tick, and are written to day by day after it.
    """
    moments = list(weeks(first, last))
    counts: Counts = {}
    drawn = time.monotonic()
    before = first
    with Live(console=console, auto_refresh=False, transient=False) as live:
        for n, at in enumerate(moments, start=1):
            if mail is not None:
                mail.arrive(before, at)
            done = ticker.tick(at)
            if mail is not None:
                mail.deliver(before, at)
            before = at
            counts = _counts(workspace)
            if console.is_terminal:
                live.update(_picture(workspace, counts, at, n, len(moments), done), refresh=True)
            elif time.monotonic() - drawn > QUIET_S:
                drawn = time.monotonic()
                console.print(_line(counts, at, n, len(moments)), soft_wrap=True)
        live.update(_picture(workspace, counts, moments[-1], len(moments), len(moments), None), refresh=True)
    return counts


def _lifecycles(workspace: Workspace) -> list[Lifecycle]:
    found = workspace.ticker.standing.definitions.lifecycles.values()
    return [x for x in found if x.phases_of is None]


def _counts(workspace: Workspace) -> Counts:
    standing = workspace.ticker.standing
    return {x.id: current(workspace.answerer, standing, x) for x in _lifecycles(workspace)}


def _line(counts: Counts, at: datetime, n: int, total: int) -> str:
    shown = "  ".join(
        f"{name}: " + " ".join(f"{s.stage} {s.profiles:,}" for s in found) for name, found in counts.items()
    )
    return f"{at.date()}  week {n} of {total}  {shown}"


def _picture(workspace: Workspace, counts: Counts, at: datetime, n: int, total: int, done: Ticked | None) -> Any:
    parts: list[Any] = [Text.from_markup(f"[bold]{at.date()}[/]   week {n} of {total}  {bar(n / total, 'dim', 24)}")]
    if done is not None:
        parts.append(Text(f"{done.changes:,} changes of segment or stage this week", style="dim"))
    for lifecycle in _lifecycles(workspace):
        found = counts[lifecycle.id]
        most = max(1, sum(s.profiles for s in found))
        table = Table.grid(padding=(0, 1))
        table.add_column(width=24, no_wrap=True)
        table.add_column(width=8, justify="right")
        table.add_column(width=BAR, no_wrap=True)
        for k, stage in enumerate(found):
            name = text_in(stage.name) or stage.stage
            drawn = Text.from_markup(bar(stage.profiles / most, COLOURS[k % len(COLOURS)]))
            table.add_row(name, f"{stage.profiles:,}", drawn)
        parts += [Text(""), Text(text_in(lifecycle.name) or lifecycle.id, style="bold"), table]
    return Group(*parts)
