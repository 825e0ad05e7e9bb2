"""Delivery workers: each holds a lock while it runs, so that messages of dead ones can be found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from hashlib import blake2b

from sqlalchemy import Connection, delete, select, text, update
from sqlalchemy.exc import SQLAlchemyError

from keepers.store.database import Store
from keepers.store.schema.messages import messages, workers
from keepers.store.sequencer_lock import IsHeld, alone

_LOCK_FILE = "delivery.lock"


@contextmanager
def working(store: Store, worker_id: str, now: datetime) -> Iterator[IsHeld]:
    """Registers the worker for the block; yields a function that says whether its lock is still held.

    One worker at a time on SQLite, any number on PostgreSQL. A worker that lost its lock counts as dead. Raises
    ConflictError when the id, or on SQLite the workspace, has a worker already.
    """
    with alone(store, _LOCK_FILE, _key(worker_id), f"delivery worker {worker_id}") as is_held:
        with store.begin() as connection:
            connection.execute(delete(workers).where(workers.c.id == worker_id))
            connection.execute(workers.insert().values(id=worker_id, started_at=now, beat_at=now))
        yield is_held
        # The lock is freed even when the store cannot be reached; the id's next worker replaces the row.
        with suppress(SQLAlchemyError), store.begin() as connection:
            connection.execute(delete(workers).where(workers.c.id == worker_id))


def beat(connection: Connection, worker_id: str, now: datetime) -> None:
    """Records a heartbeat."""
    connection.execute(update(workers).where(workers.c.id == worker_id).values(beat_at=now))


def dead(connection: Connection, own_id: str) -> list[str]:
    """Ids with claimed messages whose lock nobody holds: dead workers, or earlier processes of `own_id`."""
    query = select(messages.c.claimed_by).where(messages.c.status.in_(["claimed", "handed_over"])).distinct()
    found = sorted(set(connection.execute(query).scalars()) - {None})
    if connection.dialect.name == "sqlite":
        return found
    return [worker_id for worker_id in found if worker_id == own_id or not _is_held(connection, worker_id)]


def forget(connection: Connection, ids: Sequence[str]) -> None:
    """Deletes the rows of dead workers."""
    connection.execute(delete(workers).where(workers.c.id.in_(list(ids))))


def _is_held(connection: Connection, worker_id: str) -> bool:
    # Taken for this transaction only: a live worker holds it.
    statement = text("SELECT pg_try_advisory_xact_lock(:key)")
    return not connection.execute(statement, {"key": _key(worker_id)}).scalar_one()


def _key(worker_id: str) -> int:
    return int.from_bytes(blake2b(f"worker {worker_id}".encode(), digest_size=8).digest(), "big", signed=True)
