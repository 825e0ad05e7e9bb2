"""Opens the operational store of a workspace: a folder with two SQLite files, or a PostgreSQL database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, OperationalError

from keepers.model.errors import UserError, problem
from keepers.model.write_scope import require_rows

MAIN_FILE = "keepers.db"
INBOX_FILE = "inbox.db"
_BUSY_MS = 30_000
_OUTAGES_SQLITE = ("SQLITE_FULL", "SQLITE_READONLY", "SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_BUSY")
_OUTAGES_POSTGRES = ("08", "53", "57")
"""classes of SQLSTATE: no connection, out of resources, stopped by its operator"""


class Store:
    """One workspace's operational store. Threads may share it; a connection belongs to one thread.

    `engine` holds everything but the inbox; `inbox_engine` holds the inbox. They differ on SQLite only, where
    the inbox has its own file, so that accepting events never waits for a tick.
    """

    def __init__(self, engine: Engine, inbox_engine: Engine, place: str, folder: Path | None) -> None:
        self.engine = engine
        self.inbox_engine = inbox_engine
        self.place = place
        self.folder = folder

    @classmethod
    def open(cls, place: str | Path) -> Store:
        """A folder's path (SQLite, created when absent) or a `postgresql://` URL.

        Opens lazily: nothing is connected to and no schema is made (see `migrate.upgrade`).
        Raises UserError for a URL that is not PostgreSQL's or a folder that cannot be made.
        """
        if isinstance(place, str) and "://" in place:
            return cls._open_postgres(place)
        folder = Path(place)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                problem(
                    "The data folder {folder} cannot be made: {reason}. Choose a folder you may write to.",
                    folder=folder,
                    reason=error.strerror,
                ),
                code="store",
            ) from error
        return cls(_sqlite_engine(folder / MAIN_FILE), _sqlite_engine(folder / INBOX_FILE), str(folder), folder)

    @classmethod
    def _open_postgres(cls, address: str) -> Store:
        try:
            url = make_url(address)
        except ArgumentError:
            url = None
        if url is None or url.get_backend_name() not in ("postgresql", "postgres"):
            raise UserError(
                problem("The store's address is neither a folder nor postgresql://user:password@host/database."),
                code="store",
            )
        engine = create_engine(
            url.set(drivername="postgresql+psycopg"),
            pool_pre_ping=True,
            hide_parameters=True,  # errors are written to a file, and parameters are customers' data
            connect_args={"application_name": "keepers"},
        )
        return cls(engine, engine, url.render_as_string(hide_password=True), None)

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A write transaction: commits at the end of the block, rolls back when it raises.

        Raises WriteScopeError inside a use case that declared to write nothing.
        """
        require_rows()
        with self.engine.begin() as connection:
            yield connection

    @contextmanager
    def begin_inbox(self) -> Iterator[Connection]:
        """A write transaction on the inbox; on PostgreSQL the same database, another connection.

        Raises WriteScopeError as `begin` does.
        """
        require_rows()
        with self.inbox_engine.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A read-only view that blocks no writer. Nothing written through it is kept."""
        with self.engine.connect().execution_options(is_reading=True) as connection:
            yield connection

    @contextmanager
    def read_inbox(self) -> Iterator[Connection]:
        """A read-only view of the inbox."""
        with self.inbox_engine.connect().execution_options(is_reading=True) as connection:
            yield connection

    def ping(self) -> None:
        """Runs a query on both engines. Raises UserError when the store does not answer."""
        try:
            for engine in {id(e): e for e in (self.engine, self.inbox_engine)}.values():
                with engine.connect().execution_options(is_reading=True) as connection:
                    connection.execute(text("SELECT 1"))
        except OperationalError as error:
            raise self._outage(error) from error

    def outage_of(self, error: Exception) -> UserError | None:
        """What to say of an error that is one because the store cannot be reached or written to; None for others."""
        return self._outage(error) if isinstance(error, DBAPIError) and _is_outage(error) else None

    def _outage(self, error: DBAPIError) -> UserError:
        return UserError(
            problem(
                "The store at {store} does not answer: {reason}. Check that it is running and may be read.",
                store=self.place,
                reason=error.orig,
            ),
            code="store",
        )

    def damage(self) -> str:
        """What SQLite finds wrong with its files; empty when nothing is, and on PostgreSQL, which checks its own."""
        if not self.is_sqlite:
            return ""
        for engine in (self.engine, self.inbox_engine):
            try:
                with engine.connect().execution_options(is_reading=True) as connection:
                    found = connection.execute(text("PRAGMA quick_check(1)")).scalar_one()
            except DatabaseError as error:
                found = str(error.orig)
            if found != "ok":
                return f"{Path(str(engine.url.database)).name}: {found}".replace("\n", " ")
        return ""

    def close(self) -> None:
        """Closes pooled connections. The store may be used again; it reconnects."""
        self.engine.dispose()
        if self.inbox_engine is not self.engine:
            self.inbox_engine.dispose()


def _is_outage(error: DBAPIError) -> bool:
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorname", "").startswith(_OUTAGES_SQLITE)
    state = getattr(cause, "sqlstate", None)
    return error.connection_invalidated or (
        isinstance(error, OperationalError) and (state is None or state.startswith(_OUTAGES_POSTGRES))
    )


def _sqlite_engine(file: Path) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(file)),
        connect_args={"timeout": _BUSY_MS / 1000},
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def set_up(connection: sqlite3.Connection, _record: Any) -> None:
        # The driver's own transaction handling starts too late for a consistent read; `begin` below decides.
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode = WAL")
        # FULL for both files: an event leaves the inbox only after the log that took it is on disk.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
        connection.execute("PRAGMA temp_store = MEMORY")
        # What is deleted is overwritten where its page is written anyway; a compaction does the rest.
        connection.execute("PRAGMA secure_delete = FAST")
        connection.execute("PRAGMA cache_size = -65536")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        is_reading = connection.get_execution_options().get("is_reading", False)
        # A writer takes its lock at once: upgrading a read later can fail however long one waits.
        connection.exec_driver_sql("BEGIN" if is_reading else "BEGIN IMMEDIATE")

    return engine
