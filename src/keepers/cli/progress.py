"""Progress on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from keepers.app.workspace.progress import Progress as Report
from keepers.cli import interrupts

errors = Console(stderr=True, highlight=False)


QUIET_S = 2.0


@contextmanager
def reporting(doing: str) -> Iterator[Report]:
    """A progress bar on a terminal, a line every other second elsewhere; nothing for what is done at once."""
    if errors.is_terminal:
        columns = (TextColumn("[bold]{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=errors, transient=True) as bar:
            task = bar.add_task(doing, total=None)

            def move(done: int, total: int) -> None:
                interrupts.check()
                bar.update(task, completed=done, total=max(total, done) or None)

            yield move
        return
    last = time.monotonic()

    def line(done: int, total: int) -> None:
        nonlocal last
        interrupts.check()
        if time.monotonic() - last >= QUIET_S:
            last = time.monotonic()
            print(f"{doing}: {done:,} of {max(done, total):,}", file=sys.stderr, flush=True)

    yield line
