"""The log at a moment: what was derived later is removed, what happened later is dated back to it and read again."""

from __future__ import annotations

from datetime import datetime

import msgspec
from sqlalchemy import Connection, delete, func, select, update

from keepers.evaluation.relay import KIND as CHANGE
from keepers.ingest.identify import message_hash
from keepers.model.channels import CHANNELS
from keepers.orchestration.work_queue import ENTER, WAKE, Enrolment
from keepers.store import cursors, meta
from keepers.store.bulk import chunks, update_rows
from keepers.store.database import Store
from keepers.store.events import log as event_log
from keepers.store.events.log import DUPLICATE_WINDOW, OWN_SOURCE, LogRow
from keepers.store.schema.core import Instant, inbox, log, metadata

OF_RUNS = frozenset({"Journey Entered", "Journey Goal Reached", "Journey Exited", "Experiment Viewed"})
BY_RUN = "journey "
"""the beginning of the cause of an entry that another journey requested"""
AHEAD = frozenset({"wake_at", "send_after", "expires_at", "kept_until", "forget_at"})
"""columns of moments that are meant to lie ahead"""
BATCH = 5_000


class _Identified(msgspec.Struct):
    """What is read of a message's body."""

    messageId: object = None  # noqa: N815 - as it is sent


_decode = msgspec.json.Decoder(_Identified).decode


def rewind_log(connection: Connection, cursor: str, clock: str, to: datetime) -> int:
    """Removes and redates the rows received after `to`; how many there were.

    Journeys (`cursor`, and `clock` for dates and schedules) read again from the first of them: runs that they began are
    gone, and entry keys keep any other from being entered twice.
    """
    first = connection.execute(select(func.min(log.c.seq)).where(log.c.received_at > to)).scalar_one()
    if first is not None:
        cursors.put(connection, cursor, min(cursors.get(connection, cursor), first - 1))
    if meta.get(connection, clock) is not None:
        meta.put(connection, clock, to.isoformat())
    number, after = 0, 0
    while True:
        query = select(log).where(log.c.seq > after, log.c.received_at > to).order_by(log.c.seq).limit(BATCH)
        rows = [LogRow(*row) for row in connection.execute(query)]
        if not rows:
            return number
        number, after = number + len(rows), rows[-1].seq
        derived = [row.seq for row in rows if _is_derived(row)]
        for some in chunks(derived):
            connection.execute(delete(log).where(log.c.seq.in_(some)))
        gone = set(derived)
        stamps = [
            (redated_time(row.time, row.received_at, to), to, min(row.known_at, to), row.seq)
            for row in rows
            if row.seq not in gone
        ]
        update_rows(connection, log, ("time", "received_at", "known_at"), stamps, key=("seq",))


def redated_time(happened_at: datetime, received_at: datetime, to: datetime) -> datetime:
    """When something happened that was received at `received_at` and counts as received at `to`.

    What happened a while before it arrived still does. What was known to lie ahead keeps its time, as does what
    happened before `to`.
    """
    return to - (received_at - happened_at) if to < happened_at <= received_at else happened_at


def _is_derived(row: LogRow) -> bool:
    """Whether ticks will bring it forth again: changes, wakes, and what runs do."""
    if row.kind in (CHANGE, WAKE):
        return True
    if row.kind == ENTER:
        return msgspec.json.decode(row.body, type=Enrolment).cause.startswith(BY_RUN)
    if row.source != OWN_SOURCE or row.kind not in ("track", "identify"):
        return False
    is_of_message = any(row.event.startswith(f"{channel.event_name} ") for channel in CHANNELS.values())
    return row.event in OF_RUNS or (row.hops > 0 and not is_of_message)


def remember_messages(connection: Connection, to: datetime) -> None:
    """Records the messages of the last 30 days as seen again: ticks that were ahead forgot them as too old."""
    after = 0
    while True:
        recent = (log.c.received_at > to - DUPLICATE_WINDOW) & (log.c.source != OWN_SOURCE)
        query = select(log.c.seq, log.c.source, log.c.received_at, log.c.body).where(log.c.seq > after, recent)
        rows = connection.execute(query.order_by(log.c.seq).limit(BATCH)).all()
        if not rows:
            return
        after = rows[-1].seq
        found: dict[bytes, datetime] = {}
        for row in rows:
            message_id = _decode(row.body).messageId
            if isinstance(message_id, str | int):
                found.setdefault(message_hash(row.source, str(message_id)), row.received_at)
        seen = event_log.seen(connection, sorted(found))
        event_log.remember(connection, [(digest, at) for digest, at in found.items() if digest not in seen])


def redate_records(store: Store, to: datetime) -> None:
    """Gives every other record of something that happened after `to`, such as a consent, that moment.

    In a transaction per table, so that none locks rows of several (see `lock_order`).
    """
    for table in metadata.sorted_tables:
        if table is log:
            continue
        with store.begin() as connection:
            for column in table.columns:
                if isinstance(column.type, Instant) and column.name not in AHEAD:
                    connection.execute(update(table).where(column > to).values({column.name: to}))


def redate_inbox(connection: Connection, to: datetime) -> None:
    """The same for requests that wait."""
    connection.execute(update(inbox).where(inbox.c.received_at > to).values(received_at=to))
