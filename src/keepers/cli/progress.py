"""Progress on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from keepers.cli import interrupts

if TYPE_CHECKING:
    from rich.console import Console

    from keepers.app.use_cases.progress import Progress as Report


class ErrorOutput:
    """Messages on standard error. Rich is imported with the first one: most commands print none."""

    @cached_property
    def console(self) -> Console:
        from rich.console import Console

        return Console(stderr=True, highlight=False)

    def print(self, text: str, **style: Any) -> None:
        """Prints as Rich's Console does."""
        self.console.print(text, **style)


errors = ErrorOutput()


QUIET_S = 2.0


@contextmanager
def reporting(doing: str) -> Iterator[Report]:
    """A progress bar on a terminal, a line every other second elsewhere; nothing for what is done at once."""
    if sys.stderr.isatty():
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (TextColumn("[bold]{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=errors.console, transient=True) as bar:
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
