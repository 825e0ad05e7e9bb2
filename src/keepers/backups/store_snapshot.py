"""Copies of the SQLite files as of one moment, while everything goes on.

The moment is inside an empty write transaction of the inbox: nothing is accepted and nothing leaves the inbox in it, so
a request is in the copies once, waiting or in the log, or it waits although the log has it, as after a crash, and is
then known as a duplicate. No request that the log has taken has a greater number than the inbox's copy knows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, Engine, text

from keepers.store.database import INBOX_FILE, MAIN_FILE, Store

_PAGES = 1024
"""pages copied between two calls of `on_step`"""


class StoreSnapshot(Protocol):
    """The store as of one moment, held until it is closed. Others write meanwhile."""

    def write(self, folder: Path, on_step: Callable[[], None]) -> list[Path]:
        """Writes it into files of a folder, with `on_step` called in between, which may raise; the files."""

    def close(self) -> None: ...


def hold(store: Store) -> StoreSnapshot:
    """The store as it is now. Call it while no transaction of the warehouse is under way.

    Raises UserError where a program of PostgreSQL's is missing.
    """
    if store.is_sqlite:
        return _SqliteSnapshot(store)
    from keepers.backups.postgres_tools import PostgresSnapshot  # with PostgreSQL alone

    return PostgresSnapshot(store)


class _SqliteSnapshot:
    """Both files as they are when this is made."""

    def __init__(self, store: Store) -> None:
        self._held: list[tuple[str, Connection]] = []
        try:
            with store.begin_inbox():
                for name, engine in ((INBOX_FILE, store.inbox_engine), (MAIN_FILE, store.engine)):
                    self._held.append((name, _reading(engine)))
        except BaseException:
            self.close()
            raise

    def write(self, folder: Path, on_step: Callable[[], None]) -> list[Path]:
        """Page by page, so that what did not change is the same in the next copy, at the same place."""
        written = []
        for name, connection in self._held:
            path = folder / name
            source = connection.connection.driver_connection
            assert isinstance(source, sqlite3.Connection)
            with closing(sqlite3.connect(path)) as target:
                # Whoever keeps the copy makes it durable.
                target.execute("PRAGMA synchronous = OFF")
                source.backup(target, pages=_PAGES, progress=lambda *_: on_step())
            written.append(path)
        return written

    def close(self) -> None:
        while self._held:
            self._held.pop()[1].close()


def _reading(engine: Engine) -> Connection:
    connection = engine.connect().execution_options(is_reading=True)
    # SQLite takes its snapshot with the first read, not with BEGIN.
    connection.execute(text("SELECT count(*) FROM sqlite_master"))
    return connection
