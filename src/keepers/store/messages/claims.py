"""Which messages are due, and which worker has claimed them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Connection, or_, select

from keepers.contact.breakers import stream_of
from keepers.model.message import MessageStatus
from keepers.store.bulk import distinct, select_in, update_rows
from keepers.store.messages import message_history, messages
from keepers.store.messages.message_history import HistoryRow
from keepers.store.messages.messages import MessageRow, message_of
from keepers.store.schema.journeys import journey_states
from keepers.store.schema.messages import broadcast_sends
from keepers.store.schema.messages import messages as table

WAITING: tuple[MessageStatus, ...] = ("queued", "held")


class Slot(NamedTuple):
    """Priority, channel and status of waiting messages: the index finds the due ones of each directly."""

    priority: int
    channel: str
    status: str


class Freed(NamedTuple):
    """The place under the caps of a message that did not go out."""

    channel: str
    is_transactional: bool
    counted_at: datetime | None


class LockedMessage(NamedTuple):
    """How a message stands: its status, why, and the worker that has it."""

    status: MessageStatus
    reason: str
    claimed_by: str | None


def slots(connection: Connection) -> list[Slot]:
    """The kinds of messages that wait, best priority first. A few look-ups each, however many messages wait."""
    found = []
    for status in WAITING:
        for channel in distinct(connection, table.c.channel, table.c.status == status):
            of_channel = (table.c.status == status) & (table.c.channel == channel)
            found += [
                Slot(priority, channel, status) for priority in distinct(connection, table.c.priority, of_channel)
            ]
    return sorted(found)


def due(
    connection: Connection,
    now: datetime,
    limit: int,
    known: Sequence[Slot],
    most: Mapping[str, int],
    *,
    for_update: bool = True,
) -> list[MessageRow]:
    """Up to `limit` messages whose time has come, best priority and longest waiting first; of a channel or a stream
    (`email.marketing`) in `most` at most so many. Those of paused journeys wait on.

    On PostgreSQL the rows are locked, and passed over by other workers, until the transaction ends, unless it is
    `for_update` is off.
    """
    found: list[MessageRow] = []
    left = dict(most)
    for slot in known:
        for names, of_stream in _lanes(slot.channel, left):
            number = min(limit - len(found), *(left.get(name, limit) for name in names))
            if number <= 0:
                continue
            query = (
                messages.columns.where(
                    table.c.status == slot.status,
                    table.c.channel == slot.channel,
                    table.c.priority == slot.priority,
                    table.c.send_after <= now,
                    _is_not_paused(),
                    *of_stream,
                )
                .order_by(table.c.send_after)
                .limit(number)
            )
            if for_update and connection.dialect.name == "postgresql":
                query = query.with_for_update(skip_locked=True, of=table)
            rows = [message_of(row) for row in connection.execute(query).all()]
            found += rows
            for name in names:
                if name in left:
                    left[name] -= len(rows)
    return found


def _lanes(channel: str, most: Mapping[str, int]) -> list[tuple[tuple[str, ...], tuple[ColumnElement[bool], ...]]]:
    """The names under which messages of a channel are counted, and which messages they are: all together, or by stream
    where one has a limit of its own, transactional ones first."""
    streams = {is_transactional: stream_of(channel, is_transactional) for is_transactional in (True, False)}
    if not any(name in most for name in streams.values()):
        return [((channel,), ())]
    return [((channel, name), (table.c.is_transactional.is_(kind),)) for kind, name in streams.items()]


def _is_not_paused() -> ColumnElement[bool]:
    paused = select(journey_states.c.journey).where(journey_states.c.is_paused)
    # A sending that was stopped: its messages are skipped one by one, and none goes out meanwhile.
    stopped = select(broadcast_sends.c.id).where(broadcast_sends.c.status.in_(["stopping", "stopped"]))
    is_going_on = or_(table.c.broadcast.is_(None), table.c.visit.not_in(stopped))
    return table.c.journey.not_in(paused) & is_going_on


def with_place(message: MessageRow, now: datetime) -> MessageRow:
    """The message with a place under the caps (`counted_at`) from `now` on, unless it has one or is transactional."""
    if message.counted_at is not None or message.is_transactional:
        return message
    return msgspec.structs.replace(message, counted_at=now)


def claim(connection: Connection, worker_id: str, taken: Sequence[MessageRow], now: datetime) -> None:
    """Claims messages, which have their place under the caps (see `with_place`)."""
    rows = [("claimed", "", worker_id, now, m.counted_at, m.id) for m in taken]
    update_rows(connection, table, ("status", "reason", "claimed_by", "claimed_at", "counted_at"), rows)


def postpone(
    connection: Connection, status: MessageStatus, put: Sequence[tuple[MessageRow, str, datetime]], now: datetime
) -> None:
    """Postpones messages, given as (message, reason, until), as `held` or `queued`."""
    # No history where neither status nor reason changes.
    fresh = [(m, reason) for m, reason, _ in put if (m.status, m.reason) != (status, reason)]
    rows = [(status, reason, until, None, m.id) for m, reason, until in put]
    update_rows(connection, table, ("status", "reason", "send_after", "claimed_by"), rows)
    message_history.append(connection, [HistoryRow(m.id, now, status, reason) for m, reason in fresh])


def skip(connection: Connection, skipped: Sequence[tuple[MessageRow, str]], now: datetime, detail: str = "") -> None:
    """Skips messages, given with the reason; their places under the caps are free again."""
    rows = [("skipped", reason, None, None, m.id) for m, reason in skipped]
    update_rows(connection, table, ("status", "reason", "claimed_by", "counted_at"), rows)
    message_history.append(connection, [HistoryRow(m.id, now, "skipped", reason, detail) for m, reason in skipped])


def hand_over(connection: Connection, ready: Sequence[tuple[int, str, str, int]], now: datetime) -> None:
    """Marks claimed messages, given as (message, Message-ID, locale, attempts so far), as handed over: to be sent once
    committed. On PostgreSQL the transaction has locked them before."""
    rows = [
        ("handed_over", now, message_id or None, locale, attempts + 1, id) for id, message_id, locale, attempts in ready
    ]
    update_rows(connection, table, ("status", "handed_over_at", "message_id", "locale", "attempts"), rows)


def requeue(connection: Connection, worker_id: str, ids: Sequence[int], now: datetime) -> list[Freed]:
    """Requeues messages that this worker certainly did not send, as if they had not been claimed.

    Returns the places that are free again. Messages of other workers, and settled ones, stay as they are.
    """
    query = select(
        table.c.id, table.c.status, table.c.reason, table.c.claimed_by, table.c.attempts,
        table.c.channel, table.c.is_transactional, table.c.counted_at,
    )  # fmt: skip
    if connection.dialect.name == "postgresql":
        query = query.order_by(table.c.id).with_for_update()
    mine = [
        row
        for row in select_in(connection, query, table.c.id, ids)
        if row.status in ("claimed", "handed_over") and row.claimed_by == worker_id
    ]
    # Stopped while it was handed over: it is skipped after all.
    stopped = {row.id for row in mine if row.status == "handed_over" and row.reason}
    rows = [
        (
            *(("skipped", row.reason) if row.id in stopped else ("queued", "")),
            now, None, None, None, max(row.attempts - (row.status == "handed_over"), 0), row.id,
        )
        for row in mine
    ]  # fmt: skip
    names = ("status", "reason", "send_after", "claimed_by", "handed_over_at", "counted_at", "attempts")
    update_rows(connection, table, names, rows)
    message_history.append(
        connection, [HistoryRow(row.id, now, "skipped", row.reason) for row in mine if row.id in stopped]
    )
    return [Freed(row.channel, row.is_transactional, row.counted_at) for row in mine]


def held_by(connection: Connection, worker_ids: Sequence[str], limit: int) -> list[MessageRow]:
    """Up to `limit` messages that these workers have claimed or handed over without an outcome.

    On PostgreSQL they are locked until the transaction ends.
    """
    query = messages.columns.where(
        table.c.status.in_(["claimed", "handed_over"]), table.c.claimed_by.in_(list(worker_ids))
    )
    query = query.order_by(table.c.id).limit(limit)
    if connection.dialect.name == "postgresql":
        # A worker that was taken for dead may be recording outcomes.
        query = query.with_for_update()
    return [message_of(row) for row in connection.execute(query).all()]


def lock_messages(connection: Connection, ids: Sequence[int]) -> dict[int, LockedMessage]:
    """How each message stands, locked on PostgreSQL until the transaction ends."""
    # Queried by id alone, for SQLite would choose the index on status.
    query = select(table.c.id, table.c.status, table.c.reason, table.c.claimed_by)
    if connection.dialect.name == "postgresql":
        query = query.order_by(table.c.id).with_for_update()
    rows = select_in(connection, query, table.c.id, sorted(ids))
    return {row.id: LockedMessage(row.status, row.reason, row.claimed_by) for row in rows}
