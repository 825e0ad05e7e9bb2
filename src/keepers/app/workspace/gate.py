"""Readers of the warehouse, and the moment in which its file is replaced."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition, get_ident

from keepers.model.errors import ConflictError, problem


class Gate:
    """Any number of threads are inside, or one has it for itself. A thread may enter again."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._inside: Counter[int] = Counter()
        self._alone: int | None = None

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Waits while another thread is alone."""
        me = get_ident()
        with self._changed:
            while self._alone not in (None, me) and not self._inside[me]:
                self._changed.wait()
            self._inside[me] += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside[me] -= 1
                if not self._inside[me]:
                    del self._inside[me]
                self._changed.notify_all()

    @contextmanager
    def outside(self) -> Iterator[None]:
        """Leaves for the block, which waits for whoever may want to be alone. This thread has no query under way."""
        me = get_ident()
        with self._changed:
            entered = self._inside.pop(me, 0)
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                while self._alone not in (None, me):
                    self._changed.wait()
                if entered:
                    self._inside[me] = entered

    @contextmanager
    def alone(self, patience_s: float) -> Iterator[None]:
        """Lets nobody in, and waits until the others have left. Raises ConflictError when that takes too long."""
        me = get_ident()
        with self._changed:
            self._alone = me
            is_alone = self._changed.wait_for(lambda: not self._inside.keys() - {me}, patience_s)
            if not is_alone:
                self._leave()
        if not is_alone:
            raise ConflictError(
                problem("The warehouse is being read, and its file was not replaced. It is tried again."), code="busy"
            )
        try:
            yield
        finally:
            with self._changed:
                self._leave()

    def _leave(self) -> None:
        self._alone = None
        self._changed.notify_all()
