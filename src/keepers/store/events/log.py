"""The one history: every event and every change of who is who, in the order of `seq`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

import msgspec
from sqlalchemy import Connection, delete, func, select

from keepers.model.identity import Trust
from keepers.store import counters
from keepers.store.bulk import chunks, insert_rows, select_in
from keepers.store.schema.core import log, message_ids

DUPLICATE_WINDOW = timedelta(days=30)
_INSTANT = timedelta(microseconds=1)
"""history is known at least this much before it arrives, which sets it apart from current events"""
_encode = msgspec.json.Encoder().encode


OWN_SOURCE = "keepers"
"""the source of Keepers' own events"""


class SystemEvent(NamedTuple):
    """An event of Keepers' own about a customer. For an identify, `properties` are the traits."""

    profile_id: int
    event: str
    time: datetime
    properties: dict[str, Any]
    trust: Trust
    """`own`; `public` for what a visitor said, such as the address in a form"""
    kind: Literal["track", "identify"] = "track"
    hops: int = 0
    is_history: bool = False
    """filled in later but known from its own time, as imports are: it triggers nothing"""


class LogRow(NamedTuple):
    """A row of the log. `body` is the message's JSON; `other_id` the account of a group, the survivor of a merge."""

    seq: int
    kind: str
    profile_id: int
    other_id: int | None
    event: str
    time: datetime
    received_at: datetime
    known_at: datetime
    source: str
    body: bytes
    hops: int
    trust: Trust


def append(connection: Connection, rows: Sequence[LogRow]) -> None:
    """Adds rows whose `seq` was reserved in the same transaction."""
    insert_rows(connection, log, LogRow._fields, list(rows))


def append_new(connection: Connection, rows: Sequence[LogRow]) -> None:
    """Adds rows without a `seq` and gives them theirs. The log's counter stays locked until the transaction ends."""
    if rows:
        first = counters.reserve(connection, counters.SEQ, len(rows))
        append(connection, [row._replace(seq=seq) for seq, row in enumerate(rows, first)])


def append_events(connection: Connection, events: Sequence[SystemEvent], now: datetime) -> None:
    """Appends events of Keepers' own in the caller's transaction, known from `now`, or from their time if history.

    The log's counter stays locked until that transaction ends, so append last.
    """
    rows = []
    for one in events:
        if one.kind == "identify":
            body, event = {"type": "identify", "traits": one.properties}, "identify"
        else:
            body, event = {"type": "track", "event": one.event, "properties": one.properties}, one.event
        known_at = min(one.time, now - _INSTANT) if one.is_history else now
        rows.append(
            LogRow(
                0,
                one.kind,
                one.profile_id,
                None,
                event,
                one.time,
                now,
                known_at,
                OWN_SOURCE,
                _encode(body),
                one.hops,
                one.trust,
            )
        )
    append_new(connection, rows)


def read(connection: Connection, after: int, limit: int) -> list[LogRow]:
    """Up to `limit` rows past `after`, by seq. Complete: a seq becomes visible only with all before it."""
    query = select(log).where(log.c.seq > after).order_by(log.c.seq).limit(limit)
    return [LogRow(*row) for row in connection.execute(query)]


def remove(connection: Connection, seqs: Sequence[int]) -> int:
    """Removes rows; how many there were."""
    return sum(connection.execute(delete(log).where(log.c.seq.in_(chunk))).rowcount for chunk in chunks(seqs))


def of_kind(connection: Connection, kind: str, after: int, until: int) -> list[LogRow]:
    """The rows of one kind past `after` and not past `until`, by seq."""
    query = select(log).where(log.c.seq > after, log.c.seq <= until, log.c.kind == kind).order_by(log.c.seq)
    return [LogRow(*row) for row in connection.execute(query)]


def last_seq(connection: Connection) -> int:
    """The highest seq written; 0 for an empty log."""
    return int(connection.execute(select(func.max(log.c.seq))).scalar_one() or 0)


def seen(connection: Connection, hashes: Sequence[bytes]) -> dict[bytes, datetime]:
    """Which of these messages arrived before, and when they were received."""
    query = select(message_ids.c.hash, message_ids.c.received_at)
    return {row[0]: row[1] for row in select_in(connection, query, message_ids.c.hash, hashes)}


def remember(connection: Connection, hashes: Sequence[tuple[bytes, datetime]]) -> None:
    """Records messages as seen. Each hash must be new: `forget` an expired one first."""
    insert_rows(connection, message_ids, ("hash", "received_at"), sorted(hashes))


def forget(connection: Connection, hashes: Sequence[bytes]) -> None:
    """Removes records, so that a message past the window may come again."""
    for chunk in chunks(hashes):
        connection.execute(delete(message_ids).where(message_ids.c.hash.in_(chunk)))


def prune(connection: Connection, now: datetime, limit: int = 5000) -> int:
    """Removes at most `limit` records of messages received over 30 days before `now`; returns how many."""
    old = (
        select(message_ids.c.hash)
        .where(message_ids.c.received_at < now - DUPLICATE_WINDOW)
        .order_by(message_ids.c.received_at)
        .limit(limit)
    )
    return connection.execute(delete(message_ids).where(message_ids.c.hash.in_(old))).rowcount
