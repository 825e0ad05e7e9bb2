"""Accepted HTTP requests that wait to be identified: a queue, one row per request, in no promised order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, delete, func, select

from keepers.model.identity import Trust
from keepers.store.bulk import chunks, insert_rows
from keepers.store.schema.core import inbox

_LAST = 2**63 - 1


class Accepted(NamedTuple):
    """One accepted request. `source` is the key's id, `trust` what its kind of key is trusted with."""

    received_at: datetime
    source: str
    trust: Trust
    path: str
    body: bytes


class PendingRequest(NamedTuple):
    """An inbox row."""

    id: int
    received_at: datetime
    source: str
    path: str
    body: bytes
    trust: Trust


def append(connection: Connection, requests: Sequence[Accepted]) -> None:
    """Adds requests; they are safe once the connection's transaction has committed."""
    insert_rows(connection, inbox, Accepted._fields, list(requests))


def read(connection: Connection, limit: int, after: int = 0, until: int = _LAST) -> list[PendingRequest]:
    """Up to `limit` waiting requests with an id past `after` and not past `until`, oldest id first."""
    query = select(inbox).where(inbox.c.id > after, inbox.c.id <= until).order_by(inbox.c.id).limit(limit)
    return [PendingRequest(*row) for row in connection.execute(query)]


def remove(connection: Connection, ids: Sequence[int]) -> None:
    """Deletes requests that the log has taken over."""
    for chunk in chunks(ids):
        connection.execute(delete(inbox).where(inbox.c.id.in_(chunk)))


def last_id(connection: Connection) -> int:
    """The greatest id that waits; 0 when none does."""
    return int(connection.execute(select(func.max(inbox.c.id))).scalar_one() or 0)


def depth(connection: Connection) -> int:
    """How many requests wait."""
    return int(connection.execute(select(func.count()).select_from(inbox)).scalar_one())


def received_since(connection: Connection, last: datetime) -> Iterator[datetime]:
    """When the requests that wait and were received after `last` were received, in order."""
    query = select(inbox.c.received_at).where(inbox.c.received_at > last).order_by(inbox.c.received_at)
    for (at,) in connection.execute(query).yield_per(1000):
        yield at


def oldest(connection: Connection) -> datetime | None:
    """When the request that has waited longest was received."""
    earliest: datetime | None = connection.execute(select(func.min(inbox.c.received_at))).scalar_one()
    return earliest
