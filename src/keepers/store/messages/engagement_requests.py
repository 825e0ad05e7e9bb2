"""Requests for links and pixels of messages, kept raw so that the rules for machines can be rerun."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from keepers.store.bulk import insert_rows, select_in, update_rows
from keepers.store.schema.messages import engagement_requests


class EngagementRow(NamedTuple):
    """One request. `url` is where a click led, empty for an open; `is_machine` is None until it is classified."""

    message_id: int
    at: datetime
    url: str
    user_agent: str
    ip_hash: str
    method: str
    is_machine: bool | None = None
    rule: str = ""
    network: str = ""
    """the network it came from where that matters (`apple`); the address itself is not kept"""
    is_reported_machine: bool = False
    """reported by a provider as made by a machine"""
    id: int = 0

    @property
    def is_click(self) -> bool:
        return bool(self.url)


_columns = select(*(engagement_requests.c[name] for name in EngagementRow._fields))


def append(connection: Connection, rows: Sequence[EngagementRow]) -> None:
    """Adds requests; ids are given by the store."""
    insert_rows(connection, engagement_requests, EngagementRow._fields[:-1], [tuple(row[:-1]) for row in rows])


def read(connection: Connection, after: int, limit: int) -> list[EngagementRow]:
    """Up to `limit` requests past the id `after`, by id."""
    query = _columns.where(engagement_requests.c.id > after).order_by(engagement_requests.c.id).limit(limit)
    return [EngagementRow(*row) for row in connection.execute(query)]


def unclassified(connection: Connection, until: datetime, limit: int) -> list[EngagementRow]:
    """Up to `limit` unclassified requests made by `until`, by time.

    No cursor over ids: of two writers the one with the lower ids may commit later.
    """
    query = _columns.where(engagement_requests.c.is_machine.is_(None), engagement_requests.c.at <= until)
    return [
        EngagementRow(*row)
        for row in connection.execute(query.order_by(engagement_requests.c.at, engagement_requests.c.id).limit(limit))
    ]


def of_messages(connection: Connection, ids: Sequence[int]) -> dict[int, list[EngagementRow]]:
    """All requests of each message, by time; messages without any are absent."""
    found: dict[int, list[EngagementRow]] = {}
    rows = [EngagementRow(*row) for row in select_in(connection, _columns, engagement_requests.c.message_id, ids)]
    for request in sorted(rows, key=lambda request: (request.at, request.id)):
        found.setdefault(request.message_id, []).append(request)
    return found


def put_rules(connection: Connection, rules: Sequence[tuple[int, str | None]]) -> None:
    """Classifies requests, given as (id, rule); None for a person's."""
    rows = [(rule is not None, rule or "", hit_id) for hit_id, rule in rules]
    update_rows(connection, engagement_requests, ("is_machine", "rule"), rows)


def last_id(connection: Connection) -> int:
    """The greatest id; 0 when there is none."""
    return int(connection.execute(select(func.max(engagement_requests.c.id))).scalar_one() or 0)
