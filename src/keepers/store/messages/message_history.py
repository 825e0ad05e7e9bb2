"""What became of a message, change by change, from its first attempt on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, select

from keepers.store.bulk import insert_rows, select_in
from keepers.store.schema.messages import message_history


class HistoryRow(NamedTuple):
    """A change: a status of `MessageStatus`, or `deferred`, `complained`, `opened`, `clicked`, `unsubscribed`."""

    message_id: int
    at: datetime
    status: str
    reason: str = ""
    detail: str = ""


def append(connection: Connection, rows: Sequence[HistoryRow]) -> None:
    """Adds changes, in the transaction that makes them."""
    insert_rows(connection, message_history, HistoryRow._fields, list(rows))


def of_messages(connection: Connection, ids: Sequence[int]) -> dict[int, list[HistoryRow]]:
    """All that became of each message, in order."""
    found: dict[int, list[HistoryRow]] = {}
    for row in sorted(
        select_in(connection, select(message_history), message_history.c.message_id, ids), key=lambda row: row.id
    ):
        found.setdefault(row.message_id, []).append(HistoryRow(*row[1:]))
    return found
