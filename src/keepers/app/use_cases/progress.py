"""Progress of long work."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""(done, of how many). May raise to end the work; what was committed is kept."""


def no_progress(done: int, total: int) -> None:
    """Progress is discarded."""
