"""What the code that runs now may write: declared by a use case, checked by the stores.

Where nothing was declared (a server's own loops, the pages customers reach) everything is allowed. A thread begins with
nothing declared.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

Lock = Literal["free", "locked", "sequenced"]
"""`free`: reads, and writes nothing to the stores. `locked`: changes rows of the operational store in transactions of
its own, beside a tick; events that it appends to the log wait there for one. `sequenced`: also takes events out of the
inbox, writes to the warehouse and moves journeys; nothing else does meanwhile, no tick either."""
_RANK: dict[Lock, int] = {"free": 0, "locked": 1, "sequenced": 2}
_scope: ContextVar[tuple[Lock, str] | None] = ContextVar("write_scope", default=None)


class WriteScopeError(AssertionError):
    """Code writes what the lock that it declared does not cover: a mistake in Keepers."""


@contextmanager
def write_scope(lock: Lock, holder: str) -> Iterator[None]:
    """For the block, this thread writes no more than `lock` covers. `holder` names who declared it.

    A block may stand inside another that covers as much. Raises WriteScopeError inside one that covers less.
    """
    _require(lock, f"{holder}, which is declared {lock}, is called")
    token = _scope.set((lock, holder))
    try:
        yield
    finally:
        _scope.reset(token)


@contextmanager
def made_once() -> Iterator[None]:
    """For what is made once in the life of a workspace by whoever first needs it, such as its secret."""
    with apart():
        yield


@contextmanager
def apart() -> Iterator[None]:
    """For what is written beside a use case and is no part of it, such as the audit log."""
    token = _scope.set(None)
    try:
        yield
    finally:
        _scope.reset(token)


def require_rows() -> None:
    """The store calls it before each write. Raises WriteScopeError in what is declared `free`."""
    _require("locked", "the operational store is written to")


def require_sequence() -> None:
    """Called before events are taken in and before the warehouse is written to. Raises WriteScopeError in what is
    not declared `sequenced`."""
    _require("sequenced", "the sequence of events is worked on")


def _require(lock: Lock, what: str) -> None:
    scope = _scope.get()
    if scope is not None and _RANK[scope[0]] < _RANK[lock]:
        raise WriteScopeError(f"{scope[1]} is declared {scope[0]}, but {what} in it. It has to be declared {lock}.")
