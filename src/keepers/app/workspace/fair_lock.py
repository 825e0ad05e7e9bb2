"""Turns: one thread of a process at a time, in the order of asking; whoever has the turn may take it again."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition, get_ident


class FairLock:
    """A fair re-entrant lock. Python's own is not fair: a loop that lets go and takes again starves who waits."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._queue: deque[object] = deque()
        self._holder: int | None = None
        self._depth = 0

    @property
    def waiting(self) -> int:
        """How many threads wait for their turn."""
        with self._changed:
            return len(self._queue)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Waits for this thread's turn and has it for the block."""
        self._take()
        try:
            yield
        finally:
            with self._changed:
                self._depth -= 1
                if not self._depth:
                    self._holder = None
                    self._changed.notify_all()

    def _take(self) -> None:
        with self._changed:
            if self._holder != get_ident():
                place = object()
                self._queue.append(place)
                try:
                    while self._holder is not None or self._queue[0] is not place:
                        self._changed.wait()
                    self._holder = get_ident()
                finally:
                    self._queue.remove(place)
                    # An interrupted wait leaves its place to the next in the queue.
                    if self._holder is None:
                        self._changed.notify_all()
            self._depth += 1
