"""The demo's time-lapse: weeks tick by, stages grow and shrink."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, Protocol

from rich.console import Console
from rich.live import Live

from keepers.app.tick import Ticker
from keepers.app.workspace.workspace import Workspace
from keepers.conditions.definitions import Lifecycle
from keepers.reports.stages import StageCount, current

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


class SimulatedMail(Protocol):
    """Plays the days after a moment and up to another for customers who get messages."""

    def arrive(self, after: datetime, until: datetime) -> None: ...

    def deliver(self, after: datetime, until: datetime) -> None: ...


def play(
    workspace: Workspace,
    ticker: Ticker,
    first: datetime,
    last: datetime,
    console: Console,
    picture: Callable[..., Any],
    line: Callable[[Counts, datetime, int, int], str],
    mail: SimulatedMail | None = None,
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
                live.update(picture(workspace, counts, at, n, len(moments), done), refresh=True)
            elif time.monotonic() - drawn > QUIET_S:
                drawn = time.monotonic()
                console.print(line(counts, at, n, len(moments)), soft_wrap=True)
        live.update(picture(workspace, counts, moments[-1], len(moments), len(moments), None), refresh=True)
    return counts


def lifecycles_shown(workspace: Workspace) -> list[Lifecycle]:
    """Those that are no phases of another one."""
    found = workspace.ticker.queries.definitions.lifecycles.values()
    return [x for x in found if x.phases_of is None]


def _counts(workspace: Workspace) -> Counts:
    queries = workspace.ticker.queries
    return {x.id: current(workspace.evaluator, queries, x) for x in lifecycles_shown(workspace)}
