"""Who delivers: each worker holds a lock for as long as it lives, so that what a dead one had can be told."""

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
    """Is the worker of that id for the block. On SQLite there is one at a time, on PostgreSQL any number.

    Told is how to ask whether it still is: others take a worker whose lock is lost for dead.
    Raises ConflictError when the id, or on SQLite the workspace's delivery, is in somebody's hands already.
    """
    with alone(store, _LOCK_FILE, _key(worker_id), f"delivery worker {worker_id}") as is_held:
        with store.begin() as connection:
            connection.execute(delete(workers).where(workers.c.id == worker_id))
            connection.execute(workers.insert().values(id=worker_id, started_at=now, beat_at=now))
        yield is_held
        # A store that is away does not keep the lock from being freed; the note is replaced by the id's next worker.
        with suppress(SQLAlchemyError), store.begin() as connection:
            connection.execute(delete(workers).where(workers.c.id == worker_id))


def beat(connection: Connection, worker_id: str, now: datetime) -> None:
    """Says that a worker is at work."""
    connection.execute(update(workers).where(workers.c.id == worker_id).values(beat_at=now))


def dead(connection: Connection, own_id: str) -> list[str]:
    """Ids that have messages in hand and that nobody holds: their worker died, or was this one in an earlier life."""
    query = select(messages.c.claimed_by).where(messages.c.status.in_(["claimed", "handed_over"])).distinct()
    found = sorted(set(connection.execute(query).scalars()) - {None})
    if connection.dialect.name == "sqlite":
        return found
    return [worker_id for worker_id in found if worker_id == own_id or not _is_held(connection, worker_id)]


def forget(connection: Connection, ids: Sequence[str]) -> None:
    """Removes the notes of dead workers."""
    connection.execute(delete(workers).where(workers.c.id.in_(list(ids))))


def _is_held(connection: Connection, worker_id: str) -> bool:
    # Taken for this transaction only, and shared by nobody: whoever lives has it.
    statement = text("SELECT pg_try_advisory_xact_lock(:key)")
    return not connection.execute(statement, {"key": _key(worker_id)}).scalar_one()


def _key(worker_id: str) -> int:
    return int.from_bytes(blake2b(f"worker {worker_id}".encode(), digest_size=8).digest(), "big", signed=True)
