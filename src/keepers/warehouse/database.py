"""The warehouse file: one DuckDB database, owned by one process, a cursor per thread, one writer at a time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from weakref import WeakValueDictionary

import duckdb

from keepers.conditions.schema import Schema
from keepers.model.errors import ConflictError, UserError, problem
from keepers.model.write_scope import require_sequence
from keepers.warehouse import files, fixed_tables, zone_offsets
from keepers.warehouse.columns.registry import Registry
from keepers.warehouse.fixed_tables import get_meta, latest_times, set_meta
from keepers.warehouse.names import quoted

Settings = dict[str, str | bool | int | float | list[str]]
_LOOKS_EVERY_S = 0.1
log = logging.getLogger("keepers")


class Warehouse:
    """An open warehouse. Make one with `Warehouse.open`."""

    def __init__(self, connect: Callable[[], duckdb.DuckDBPyConnection], path: Path | None, zone: str) -> None:
        self._connect = connect
        self._connection = connect()
        self._is_invalid = False
        self._reopening = threading.Lock()
        self._threads = threading.local()
        self._cursors: WeakValueDictionary[int, duckdb.DuckDBPyConnection] = WeakValueDictionary()
        self._writing = threading.RLock()
        self._keeping_file = threading.Lock()
        self._futures: dict[tuple[int, frozenset[str]], Schema] = {}
        self.path = path
        self.zone = zone
        """the workspace's zone: `day` and wall times of subjects that have none of their own"""
        self.reload()

    @classmethod
    def open(
        cls,
        path: Path | str | None,
        *,
        zone: str = "UTC",
        memory: str | None = None,
        threads: int | None = None,
        public_sources: Callable[[], Collection[str]] = tuple,
        now: datetime | None = None,
    ) -> Warehouse:
        """Opens (or makes) the file; None keeps everything in memory.

        A write-ahead log beside it that is damaged is set aside, under a name with the instant `now` (see `files.py`).
        What was in it is loaded again from the store's log by the next tick; imported rows in it are missing.

        `memory` is DuckDB's limit, such as `2GB`. `public_sources` gives the ids of write keys, and is asked where
        a file of an older layout is brought up to date. Raises ConflictError when another process has the file open
        and UserError when it is no DuckDB file, cannot be written, or was made by a newer Keepers.
        """
        settings: Settings = {"preserve_insertion_order": True}
        if memory:
            settings["memory_limit"] = memory
        if threads:
            settings["threads"] = threads
        file = Path(path) if path is not None else None

        def connect() -> duckdb.DuckDBPyConnection:
            connection = _connect(file, settings, now)
            connection.execute("SET TimeZone = 'UTC'")
            _prepare(connection, file, public_sources)
            return connection

        return cls(connect, file, zone)

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """This thread's own connection to the database; it lives as long as the thread.

        Opens a file anew that DuckDB has given up (see `note_failure`). Raises UserError while that fails.
        """
        if self._is_invalid:
            self._reopen()
        found: duckdb.DuckDBPyConnection | None = getattr(self._threads, "cursor", None)
        if found is None:
            found = self._threads.cursor = self._connection.cursor()
            self._cursors[threading.get_ident()] = found
            found.execute("SET TimeZone = 'UTC'")
        return found

    def note_failure(self, error: BaseException) -> None:
        """Notices that DuckDB gives up the open database, as when a checkpoint finds the disk full.

        What was committed is in the file; every further query fails until it is opened anew.
        """
        if isinstance(error, duckdb.FatalException):
            self._is_invalid = True

    def _reopen(self) -> None:
        with self._reopening:
            if not self._is_invalid:
                return
            self.release()
            self.reopen()
        log.warning("The warehouse was opened anew, after DuckDB had given it up.")

    def interrupt(self, threads: Collection[int]) -> None:
        """Ends what the cursors of some threads are running; those threads see an error that `is_interruption`."""
        for thread in threads:
            cursor = self._cursors.get(thread)
            if cursor is not None:
                cursor.interrupt()

    def is_interruption(self, error: Exception) -> bool:
        """Whether a query ended because it was interrupted."""
        return isinstance(error, duckdb.InterruptException)

    @contextmanager
    def transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """This thread's cursor inside a transaction: committed at the end, rolled back on any error.

        Writers wait for each other, so that no commit is refused as a conflict. Not to be nested.
        Raises WriteScopeError inside a use case that did not declare to hold the sequence of events.
        """
        require_sequence()
        with self._writing:
            cursor = self.cursor()
            cursor.execute("BEGIN TRANSACTION")
            try:
                yield cursor
                cursor.execute("COMMIT")
            except BaseException as error:
                self.note_failure(error)
                if self._is_invalid:
                    raise
                # A failed COMMIT has already ended the transaction; either way nothing of it stays.
                with suppress(duckdb.TransactionException):
                    cursor.execute("ROLLBACK")
                self.reload()
                raise

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Holds the writer lock over several transactions. Raises WriteScopeError as `transaction` does."""
        require_sequence()
        with self._writing:
            yield

    @contextmanager
    def writers_blocked(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """This thread's cursor while no other thread writes, for what changes no row."""
        with self._writing:
            yield self.cursor()

    def reload(self) -> None:
        """Reads the names registry again, as after a transaction that was rolled back."""
        cursor = self.cursor()
        self.registry = Registry(cursor)
        self.has_merges = get_meta(cursor, "has_merges") == "1"
        self.has_accounts = get_meta(cursor, "has_accounts") == "1"
        self.latest = latest_times(cursor)

    def record_first(self, cursor: duckdb.DuckDBPyConnection, *, merge: bool = False, account: bool = False) -> None:
        """Records inside a transaction that merges or accounts exist now: the first of each changes expressions."""
        if merge and not self.has_merges:
            set_meta(cursor, "has_merges", "1")
            self.has_merges = True
            self.registry.bump(cursor)
        if account and not self.has_accounts:
            set_meta(cursor, "has_accounts", "1")
            self.has_accounts = True
            self.registry.bump(cursor)

    def schema(self, now: datetime) -> Schema:
        """What conditions may name. The same version always means the same schema, `has_future` included."""
        future = frozenset(event for event, latest in self.latest.items() if latest > now)
        with self._writing:
            key = (self.registry.version, future)
            found = self._futures.get(key)
            if found is None:
                if any(version != key[0] for version, _ in self._futures):
                    self._futures.clear()
                # Room for a million different sets of future events per version of the tables.
                version = (key[0] << 20) + len(self._futures)
                found = self.registry.schema(version, future, self.has_merges, self.has_accounts)
                self._futures[key] = found
            return found

    def watermark(self, name: str) -> int:
        """How far a stage has come; 0 at first."""
        rows = self.cursor().execute("SELECT position FROM watermarks WHERE name = ?", [name]).fetchall()
        return int(rows[0][0]) if rows else 0

    @contextmanager
    def keeping_file(self, patience_s: float = 0.0, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
        """Nobody else copies or rewrites the file for the block.

        Waits `patience_s` seconds for who does, with `on_wait` called in between, which may raise to give up. Raises
        ConflictError (`locked`) where that is not enough.
        """
        waited = 0.0
        while not self._keeping_file.acquire(timeout=min(_LOOKS_EVERY_S, patience_s)):
            waited += _LOOKS_EVERY_S
            if waited > patience_s:
                raise ConflictError(
                    problem(
                        "The warehouse's file is being copied by a backup, or rewritten. Wait for that, or cancel it."
                    ),
                    code="locked",
                )
            if on_wait is not None:
                on_wait()
        try:
            yield
        finally:
            self._keeping_file.release()

    def release(self) -> None:
        """Closes every thread's cursor and the file, which is complete then. Only `reopen` may be called next."""
        # The database stays open for as long as any connection to it is.
        for cursor in list(self._cursors.values()):
            with suppress(duckdb.Error):
                cursor.interrupt()
                cursor.close()
        self._connection.close()
        self._threads, self._cursors = threading.local(), WeakValueDictionary()

    def reopen(self) -> None:
        """Opens the file that is there now, after `release`."""
        self._connection = self._connect()
        self._is_invalid = False
        self.reload()

    def require_readable(self) -> None:
        """Reads every table. Raises UserError (`warehouse`), naming the remedy, where the file is damaged."""
        cursor = self.cursor()
        tables = cursor.execute("SELECT table_name FROM duckdb_tables() WHERE NOT temporary").fetchall()
        try:
            for (table,) in tables:
                cursor.execute(f"SELECT count(t) FROM (SELECT hash(x) AS t FROM {quoted(table)} x)").fetchall()
        except duckdb.Error as error:
            raise _opening_failed(self.path, error) from error

    def close(self) -> None:
        """Closes the file; every thread's cursor ends with it."""
        self._connection.close()


def set_watermark(cursor: duckdb.DuckDBPyConnection, name: str, position: int) -> None:
    """Moves a stage's watermark, inside its transaction."""
    cursor.execute("DELETE FROM watermarks WHERE name = ?", [name])
    cursor.execute("INSERT INTO watermarks VALUES (?, ?)", [name, position])


def _prepare(
    connection: duckdb.DuckDBPyConnection, file: Path | None, public_sources: Callable[[], Collection[str]]
) -> None:
    """Makes the fixed tables, or brings those of an older layout up to the present one; all or nothing."""
    made_by = _layout(connection)
    if made_by == fixed_tables.LAYOUT_VERSION:
        return
    if made_by not in (None, *fixed_tables.UPGRADES):
        connection.close()
        raise UserError(
            problem(
                "The warehouse {file} has layout {found}, this Keepers knows {known}. Use the Keepers "
                "that made it, or a newer one.",
                file=file,
                found=made_by,
                known=fixed_tables.LAYOUT_VERSION,
            ),
            code="warehouse",
        )
    connection.execute("BEGIN TRANSACTION")
    if made_by is not None:
        fixed_tables.upgrade(connection, made_by, public_sources())
    for statement in fixed_tables.create_statements():
        connection.execute(statement)
    set_meta(connection, "layout_version", fixed_tables.LAYOUT_VERSION)
    if made_by is None:
        connection.register("offsets", zone_offsets.offsets_table())
        connection.execute("INSERT INTO zone_offsets SELECT * FROM offsets")
        connection.unregister("offsets")
    connection.execute("COMMIT")


def _connect(
    file: Path | None, settings: dict[str, str | bool | int | float | list[str]], now: datetime | None
) -> duckdb.DuckDBPyConnection:
    try:
        return duckdb.connect(str(file) if file else ":memory:", config=settings)
    except duckdb.Error as error:
        if file is None or not _is_of_wal(error):
            raise _opening_failed(file, error) from error
        return _connect_without_wal(file, settings, now)


def _is_of_wal(error: duckdb.Error) -> bool:
    return "replaying WAL" in str(error)


def _connect_without_wal(
    file: Path, settings: dict[str, str | bool | int | float | list[str]], now: datetime | None
) -> duckdb.DuckDBPyConnection:
    aside = files.aside(file, now)
    files.log_of(file).replace(aside)
    log.warning(
        "The write-ahead log of the warehouse is damaged. It is set aside as %s; the next tick loads what it held from "
        "the log of events again. `keepers doctor` says whether imported rows are missing.",
        aside.name,
    )
    try:
        return duckdb.connect(str(file), config=settings)
    except duckdb.Error as error:
        raise _opening_failed(file, error) from error


def _layout(connection: duckdb.DuckDBPyConnection) -> str | None:
    """The layout of the file's fixed tables; None when it has none yet."""
    if not connection.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = 'meta'").fetchall():
        return None
    return get_meta(connection, "layout_version")


def _opening_failed(file: Path | None, error: duckdb.Error) -> UserError:
    text = str(error)
    if "could not set lock" in text.lower():
        return ConflictError(
            problem(
                "The warehouse {file} is in use by another process. Stop that one, or send the command "
                "to the running server.",
                file=file,
            ),
            code="warehouse_locked",
        )
    if any(sign in text for sign in ("not a valid DuckDB database", "Could not read", "Corrupt database file")):
        return UserError(
            problem(
                "The warehouse {file} is damaged, or no DuckDB database ({reason}). Restore it from a backup; or move "
                "it away: the next tick makes a new one from the log of events, without imported files, which are "
                "to be imported again, and without events older than `events_days` of [retention], if that is set: "
                "they are gone.",
                file=file,
                reason=text.splitlines()[0],
            ),
            code="warehouse",
        )
    return UserError(
        problem("The warehouse {file} cannot be opened: {reason}", file=file, reason=text.splitlines()[0]),
        code="warehouse",
    )
