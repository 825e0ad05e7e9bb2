"""Uncertain messages settled by hand: sent again, taken as sent, or given up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, func, select

from keepers.delivery.outcomes import UNCERTAIN
from keepers.delivery.system_events import message_event
from keepers.model.consent import FORGOTTEN
from keepers.model.message import Settlement
from keepers.store.bulk import update_rows
from keepers.store.events import log
from keepers.store.messages import message_history, messages
from keepers.store.messages.message_history import HistoryRow
from keepers.store.messages.messages import MessageRow
from keepers.store.schema.messages import messages as table

BY_HAND, GIVEN_UP = "settled_by_hand", "given_up"


class Chosen(Struct, frozen=True):
    """Which uncertain messages: those that every given part holds for. `since` and `until` (not included) are about
    when they were handed over, or, of those that waited when a backup was made, restored."""

    journey: str | None = None
    broadcast: str | None = None
    channel: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class UncertainCount(NamedTuple):
    """How many messages are meant, and to how many of them nothing can be sent: their address is kept no longer."""

    number: int
    without_address: int


class SettledPart(NamedTuple):
    """How many messages were found and how many of them settled, and the number of the last that was found."""

    found: int
    settled: int
    last: int


def count(connection: Connection, chosen: Chosen) -> UncertainCount:
    forgotten = func.count().filter(table.c.recipient.startswith(FORGOTTEN))
    query = select(func.count(), forgotten).select_from(table).where(*_conditions(chosen))
    return UncertainCount(*connection.execute(query).one())


def settle(
    connection: Connection, chosen: Chosen, settlement: Settlement, now: datetime, *, after: int = 0, limit: int = 1000
) -> SettledPart:
    """Settles up to `limit` messages past the number `after` in one transaction, in the order of their numbers.

    Call again with the last number until none is found: what is sent again may be uncertain anew meanwhile, and is not
    settled twice. One whose address is kept no longer cannot be sent again, and stays uncertain.
    """
    query = messages.columns.where(*_conditions(chosen), table.c.id > after).order_by(table.c.id).limit(limit)
    if connection.dialect.name == "postgresql":
        query = query.with_for_update()
    found = [messages.message_of(row) for row in connection.execute(query).all()]
    settled = len(found)
    if found:
        match settlement:
            case "retry":
                settled = messages.retry(connection, [m.id for m in found], now)
            case "sent":
                _as_sent(connection, found, now)
            case "not_sent":
                _give_up(connection, found, now)
    return SettledPart(len(found), settled, found[-1].id if found else after)


def _conditions(chosen: Chosen) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [table.c.status == UNCERTAIN]
    for column, value in (
        (table.c.journey, chosen.journey),
        (table.c.broadcast, chosen.broadcast),
        (table.c.channel, chosen.channel),
    ):
        if value is not None:
            conditions.append(column == value)
    if chosen.since is not None:
        conditions.append(table.c.handed_over_at >= chosen.since)
    if chosen.until is not None:
        conditions.append(table.c.handed_over_at < chosen.until)
    return conditions


def _as_sent(connection: Connection, found: Sequence[MessageRow], now: datetime) -> None:
    """As if the outcome had been recorded then: the message counts as sent, and its event is in the log."""
    rows = [("sent", BY_HAND, m.handed_over_at, m.id) for m in found]
    update_rows(connection, table, ("status", "reason", "sent_at"), rows)
    message_history.append(connection, [HistoryRow(m.id, now, "sent", BY_HAND) for m in found])
    log.append_events(connection, [message_event(m, "Sent", m.handed_over_at or now) for m in found], now)


def _give_up(connection: Connection, found: Sequence[MessageRow], now: datetime) -> None:
    """They no longer count for the caps of their addresses."""
    rows = [("skipped", GIVEN_UP, None, m.id) for m in found]
    update_rows(connection, table, ("status", "reason", "counted_at"), rows)
    message_history.append(connection, [HistoryRow(m.id, now, "skipped", GIVEN_UP) for m in found])
