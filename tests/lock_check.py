"""Holds every transaction of the operational store to the order of `keepers.store.lock_order`."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import Connection, Engine, event

from keepers.store.counters import SEQ
from keepers.store.lock_order import LOCK_ORDER
from keepers.store.schema.core import counters

_RANKS = {name: rank for rank, name in enumerate(LOCK_ORDER)}
_WRITES = re.compile(r'\s*(?:UPDATE|DELETE\s+FROM|INSERT\s+INTO)\s+"?(\w+)"?', re.IGNORECASE)
_LOCKS = re.compile(r"\bFOR\s+UPDATE(?:\s+OF\s+(\w+))?(\s+SKIP\s+LOCKED)?", re.IGNORECASE)
_READS = re.compile(r'\bFROM\s+"?(\w+)"?', re.IGNORECASE)


class LockOrderError(AssertionError):
    """A transaction locks rows of a table after rows of one that comes later in `LOCK_ORDER`."""


class _Locked:
    """What one transaction has locked so far."""

    def __init__(self) -> None:
        self.last = -1
        self.selected: set[str] = set()
        """tables whose rows were locked by `SELECT … FOR UPDATE`: writing to those rows later locks nothing more"""


def enforce_lock_order() -> None:
    """From now on, in this process, a statement on PostgreSQL out of order raises LockOrderError.

    A table's rows may be written at any later point of a transaction that has locked them by `SELECT … FOR UPDATE` in
    time; that it writes to no others is not checked. `SKIP LOCKED` never waits and is in order anywhere.
    """
    if not event.contains(Engine, "before_cursor_execute", _before_execute):
        event.listen(Engine, "begin", _at_begin)
        event.listen(Engine, "before_cursor_execute", _before_execute)


def _at_begin(connection: Connection) -> None:
    connection.info["locked"] = _Locked()


def _before_execute(
    connection: Connection, _cursor: Any, statement: str, parameters: Any, _context: Any, _executemany: bool
) -> None:
    if connection.dialect.name != "postgresql":
        return
    locked = connection.info.setdefault("locked", _Locked())
    table, is_select, waits = _locked_by(statement)
    if table not in _RANKS or (table == counters.name and SEQ not in _values(parameters)):
        return
    rank = _RANKS[table]
    is_held = table in locked.selected and not is_select
    if rank < locked.last and waits and not is_held:
        raise LockOrderError(
            f"Rows of {table} are locked after rows of {LOCK_ORDER[locked.last]}; the order is"
            f" {', '.join(LOCK_ORDER)}. The statement: {statement}"
        )
    locked.last = max(locked.last, rank)
    if is_select:
        locked.selected.add(table)


def _locked_by(statement: str) -> tuple[str, bool, bool]:
    """The table whose rows a statement locks (empty for none), whether it only selects, and whether it waits."""
    write = _WRITES.match(statement)
    if write is not None:
        return write[1], False, True
    lock = _LOCKS.search(statement)
    if lock is None:
        return "", False, False
    read = _READS.search(statement)
    return lock[1] or (read[1] if read is not None else ""), True, lock[2] is None


def _values(parameters: Any) -> list[Any]:
    return list(parameters.values()) if isinstance(parameters, dict) else list(parameters or ())
