"""Customers' in-app inboxes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, func, or_, select, update

from keepers.store.bulk import insert_new
from keepers.store.events import log
from keepers.store.events.log import SystemEvent
from keepers.store.messages import messages
from keepers.store.messages.messages import event_properties
from keepers.store.schema.messages import in_app


class InAppRow(NamedTuple):
    """A message in a customer's inbox. `message_id` is the number of the message it was sent as."""

    profile_id: int
    message_id: int
    title: str
    text: str
    url: str
    created_at: datetime
    read_at: datetime | None = None
    expires_at: datetime | None = None
    id: int = 0


_columns = select(*(in_app.c[name] for name in InAppRow._fields))


def put(connection: Connection, rows: Sequence[InAppRow]) -> int:
    """Puts messages into inboxes, each once; returns how many were new."""
    return len(insert_new(connection, in_app, InAppRow._fields[:-1], [tuple(row[:-1]) for row in rows], ("id",)))


def of_profile(
    connection: Connection, profile_id: int, now: datetime, *, only_unread: bool = False, before: int | None = None,
    limit: int = 50,
) -> list[InAppRow]:  # fmt: skip
    """A customer's inbox, newest first, without what has expired; `before` is the id to go on from."""
    query = _columns.where(in_app.c.profile_id == profile_id, _unexpired(now))
    if only_unread:
        query = query.where(in_app.c.read_at.is_(None))
    if before is not None:
        query = query.where(in_app.c.id < before)
    return [InAppRow(*row) for row in connection.execute(query.order_by(in_app.c.id.desc()).limit(limit))]


def unread(connection: Connection, profile_id: int, now: datetime) -> int:
    """How many messages of an inbox are not read yet."""
    query = select(func.count()).where(in_app.c.profile_id == profile_id, in_app.c.read_at.is_(None), _unexpired(now))
    return int(connection.execute(query).scalar_one())


def mark_read(connection: Connection, profile_id: int, ids: Sequence[int] | None, now: datetime) -> int:
    """Marks messages of an inbox as read (all with None) and appends events; returns how many were unread."""
    statement = (
        update(in_app)
        .where(in_app.c.profile_id == profile_id, in_app.c.read_at.is_(None))
        .values(read_at=now)
        .returning(in_app.c.message_id)
    )
    if ids is not None:
        statement = statement.where(in_app.c.id.in_(list(ids)))
    read = list(connection.execute(statement).scalars())
    known = messages.get_many(connection, read)
    events = [
        SystemEvent(profile_id, "In-App Read", now, event_properties(known[i]), hops=known[i].hops, trust="own")
        for i in read
        if i in known
    ]
    log.append_events(connection, events, now)
    return len(read)


def _unexpired(now: datetime) -> ColumnElement[bool]:
    return or_(in_app.c.expires_at.is_(None), in_app.c.expires_at > now)
