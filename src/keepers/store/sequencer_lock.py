"""The sequencer's lock: one process at a time gives events their order. Freed by itself when a process dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from keepers.model.errors import ConflictError, Problem, problem
from keepers.store.database import Store

LOCK_FILE = "sequencer.lock"
IsHeld = Callable[[], bool]
"""whether a lock is still held"""
_ADVISORY_KEY = 0x4B6565706572  # “Keeper”; advisory locks are per database, so one number is enough


@contextmanager
def sequencer(store: Store, holder: str) -> Iterator[None]:
    """Holds the workspace's sequencer lock for the block. `holder` names the program, for the other one's error.

    Raises ConflictError, saying who holds it, when another process or thread does.
    """
    with alone(store, LOCK_FILE, _ADVISORY_KEY, holder):
        yield


@contextmanager
def alone(store: Store, file: str, key: int, holder: str) -> Iterator[IsHeld]:
    """Holds a lock of a name for the block: a file of the store's folder, or on PostgreSQL an advisory lock's key.

    On PostgreSQL the lock is its session's: lost when that is, as when the server restarts. Long holders
    check whether they still hold it.
    Raises ConflictError, saying who holds it, when another process or thread does.
    """
    if store.folder is not None:
        with _file_lock(store.folder / file, holder):
            yield lambda: True
    else:
        with _advisory_lock(store, key, holder) as is_held:
            yield is_held


def _taken(by: str | Problem) -> ConflictError:
    return ConflictError(
        problem(
            "Another process is already working on this workspace: {holder}. Use that one, or stop it first.", holder=by
        ),
        code="locked",
        holder=str(by),
    )


@contextmanager
def _file_lock(file: Path, holder: str) -> Iterator[None]:
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            by = os.pread(descriptor, 200, 0).decode(errors="replace").strip()
            raise _taken(by or problem("a process that has just started")) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{holder} (process {os.getpid()})\n".encode(), 0)
        yield
    finally:
        # The file stays: removing it would let a third process lock another file of the same name.
        os.close(descriptor)


@contextmanager
def _advisory_lock(store: Store, key: int, holder: str) -> Iterator[IsHeld]:
    is_lost = False

    def is_held() -> bool:
        nonlocal is_lost
        # Once lost it stays lost, though the connection may come back: in a new session, which holds nothing.
        try:
            is_lost = is_lost or connection.execute(text("SELECT 1")).scalar_one() != 1
        except SQLAlchemyError:
            is_lost = True
        return not is_lost

    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        name = f"{holder} (process {os.getpid()})"[:63]
        connection.execute(text("SELECT set_config('application_name', :name, false)"), {"name": name})
        try:
            got = connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": key}).scalar_one()
            if not got:
                raise _taken(_advisory_holder(connection, key))
            yield is_held
        finally:
            # Closing the session frees the lock too, but not at once; a session that is lost has none to free.
            with suppress(SQLAlchemyError):
                connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": key})
            # A pooled session outlives the block, and so would its name.
            connection.invalidate()


def _advisory_holder(connection: Connection, key: int) -> str | Problem:
    row = connection.execute(
        text(
            "SELECT a.application_name, a.pid, host(a.client_addr)"
            "  FROM pg_locks AS l"
            "  JOIN pg_stat_activity AS a ON a.pid = l.pid"
            " WHERE l.locktype = 'advisory' AND l.granted"
            "   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            "   AND (l.classid::bigint << 32) | l.objid::bigint = :key"
        ),
        {"key": key},
    ).first()
    if row is None:
        return problem("a process that has just ended")
    where = f" from {row[2]}" if row[2] else ""
    return f"{row[0] or 'unnamed'}{where}, database session {row[1]}"
