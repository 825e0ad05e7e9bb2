"""Requests for links and pixels of messages, kept raw so that the rules for machines can be asked again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from keepers.store.bulk import insert_rows, select_in, update_rows
from keepers.store.schema.messages import link_hits


class HitRow(NamedTuple):
    """One request. `url` is where a click led, empty for an open; `is_machine` is None until a rule was asked."""

    message_id: int
    at: datetime
    url: str
    user_agent: str
    ip_hash: str
    method: str
    is_machine: bool | None = None
    rule: str = ""
    network: str = ""
    """whose network it came from where that tells something (`apple`); the address itself is not kept"""
    is_said: bool = False
    """a provider reported it and says itself that a machine made it"""
    id: int = 0

    @property
    def is_click(self) -> bool:
        return bool(self.url)


_columns = select(*(link_hits.c[name] for name in HitRow._fields))


def append(connection: Connection, rows: Sequence[HitRow]) -> None:
    """Adds hits; ids are given by the store."""
    insert_rows(connection, link_hits, HitRow._fields[:-1], [tuple(row[:-1]) for row in rows])


def read(connection: Connection, after: int, limit: int) -> list[HitRow]:
    """Up to `limit` hits past the id `after`, in the order they were kept."""
    query = _columns.where(link_hits.c.id > after).order_by(link_hits.c.id).limit(limit)
    return [HitRow(*row) for row in connection.execute(query)]


def unjudged(connection: Connection, until: datetime, limit: int) -> list[HitRow]:
    """Up to `limit` hits made by `until` that no rule was asked about, by time.

    Not those past an id: of two writers the one with the lower ids may commit later.
    """
    query = _columns.where(link_hits.c.is_machine.is_(None), link_hits.c.at <= until)
    return [HitRow(*row) for row in connection.execute(query.order_by(link_hits.c.at, link_hits.c.id).limit(limit))]


def of_messages(connection: Connection, ids: Sequence[int]) -> dict[int, list[HitRow]]:
    """All hits of each message, by time; messages without any are absent."""
    found: dict[int, list[HitRow]] = {}
    rows = [HitRow(*row) for row in select_in(connection, _columns, link_hits.c.message_id, ids)]
    for hit in sorted(rows, key=lambda hit: (hit.at, hit.id)):
        found.setdefault(hit.message_id, []).append(hit)
    return found


def put_rules(connection: Connection, rules: Sequence[tuple[int, str | None]]) -> None:
    """Notes, as (hit, rule or None), which hits are a machine's and by which rule."""
    rows = [(rule is not None, rule or "", hit_id) for hit_id, rule in rules]
    update_rows(connection, link_hits, ("is_machine", "rule"), rows)


def last_id(connection: Connection) -> int:
    """The last hit kept; 0 when there was none."""
    return int(connection.execute(select(func.max(link_hits.c.id))).scalar_one() or 0)
