"""Rewrites SQLite's files without what was deleted: a page that is free, or has room, still holds the bytes."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine

from keepers.model.errors import ConflictError, problem
from keepers.model.write_scope import require_rows
from keepers.store.database import Store

_OPERATIONS = 50_000
"""SQLite's instructions between two calls of `on_step`"""


def compact(store: Store, on_step: Callable[[], None]) -> bool:
    """Rewrites both files and empties their journals; False for PostgreSQL, whose files are its operator's.

    Others read meanwhile; those who write wait. `on_step` may raise to end it: the files are then as before.
    Raises ConflictError when somebody reads an old state for so long that a journal cannot be emptied.
    """
    if not store.is_sqlite:
        return False
    require_rows()
    for engine in (store.inbox_engine, store.engine):
        _compact(engine, on_step)
    return True


def _compact(engine: Engine, on_step: Callable[[], None]) -> None:
    ended: list[BaseException] = []

    def step() -> int:
        try:
            on_step()
        except BaseException as error:  # noqa: BLE001 - SQLite takes a number here; it is raised again below
            ended.append(error)
            return 1
        return 0

    pooled = engine.raw_connection()
    connection: Any = pooled.driver_connection
    try:
        # In a file: this takes as much room as the database.
        connection.execute("PRAGMA temp_store = FILE")
        connection.set_progress_handler(step, _OPERATIONS)
        try:
            connection.execute("VACUUM")
        except sqlite3.Error:
            if ended:
                raise ended[0] from None
            raise
        finally:
            connection.set_progress_handler(None, 0)
            connection.execute("PRAGMA temp_store = MEMORY")
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        pooled.close()
    if busy:
        raise ConflictError(
            problem("The store is being read, and its journal was not emptied. It is tried again."), code="busy"
        )
