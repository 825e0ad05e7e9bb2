"""A fair re-entrant lock between the threads of a process."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition, get_ident

OnWait = Callable[[int], None]
"""Told how many are ahead whenever that may have changed, and 0 when the turn has come. May raise to give it up."""


def no_wait(ahead: int) -> None:
    """For work whose waiting is not shown."""


class FairLock:
    """Threads get the lock in the order of their requests. With Python's RLock a loop that releases and acquires again
    starves the others."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._queue: deque[object] = deque()
        self._holder: int | None = None
        self._depth = 0

    @property
    def waiting(self) -> int:
        """How many threads wait for the lock."""
        with self._changed:
            return len(self._queue)

    @contextmanager
    def held(self, on_wait: OnWait = no_wait) -> Iterator[None]:
        """Acquires the lock for the block. `on_wait` must not use this lock."""
        self._acquire(on_wait)
        try:
            on_wait(0)
            yield
        finally:
            with self._changed:
                self._depth -= 1
                if not self._depth:
                    self._holder = None
                    self._changed.notify_all()

    def wake(self) -> None:
        """Calls every waiting thread's `on_wait` again, so that it may give up."""
        with self._changed:
            self._changed.notify_all()

    def _acquire(self, on_wait: OnWait) -> None:
        with self._changed:
            if self._holder != get_ident():
                place = object()
                self._queue.append(place)
                try:
                    while self._holder is not None or self._queue[0] is not place:
                        on_wait(self._queue.index(place) + (self._holder is not None))
                        self._changed.wait()
                    self._holder = get_ident()
                finally:
                    self._queue.remove(place)
                    # Those behind are one place further, whether this one got the lock or gave up.
                    self._changed.notify_all()
            self._depth += 1
