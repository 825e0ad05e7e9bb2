"""Who was rejected by which journey: the newest reason of each profile and journey, and how many times."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, func, select, tuple_

from keepers.store.bulk import chunks, insert_rows, select_in
from keepers.store.privacy import removed_counts
from keepers.store.schema.journeys import entry_rejections


class EntryRejection(NamedTuple):
    journey: str
    profile_id: int
    at: datetime
    reason: str
    seq: int
    """of the log row that would have been the trigger"""
    times: int = 1


def record(connection: Connection, rejections: Sequence[EntryRejection]) -> None:
    """Stores the newest rejection of each journey and profile; a repeat of the same trigger counts once."""
    newest: dict[tuple[str, int], EntryRejection] = {}
    for one in rejections:
        before = newest.get((one.journey, one.profile_id))
        newest[one.journey, one.profile_id] = one._replace(times=one.times + (before.times if before else 0))
    table = entry_rejections
    for keys in chunks(sorted(newest), 500):
        condition = tuple_(table.c.journey, table.c.profile_id).in_(keys)
        for row in connection.execute(select(table).where(condition)):
            known = EntryRejection(*row)
            fresh = newest[known.journey, known.profile_id]
            times = known.times if known.seq >= fresh.seq else known.times + fresh.times
            newest[known.journey, known.profile_id] = fresh._replace(times=times)
        connection.execute(table.delete().where(condition))
    insert_rows(connection, table, EntryRejection._fields, [tuple(one) for one in newest.values()])


def of_profile(connection: Connection, profile_id: int) -> list[EntryRejection]:
    """A profile's rejections, newest first."""
    query = select(entry_rejections).where(entry_rejections.c.profile_id == profile_id)
    return [EntryRejection(*row) for row in connection.execute(query.order_by(entry_rejections.c.at.desc()))]


def newest(connection: Connection, journey: str, profile_ids: Sequence[int]) -> dict[int, tuple[datetime, int]]:
    """When each profile was last rejected by a journey, and the seq of that trigger; absent when never."""
    table = entry_rejections.c
    query = select(table.profile_id, table.at, table.seq).where(table.journey == journey)
    return {row[0]: (row[1], row[2]) for row in select_in(connection, query, table.profile_id, profile_ids)}


def counts(connection: Connection, journey: str) -> dict[str, int]:
    """How many profiles were rejected by a journey, by reason."""
    table = entry_rejections
    query = select(table.c.reason, func.count()).where(table.c.journey == journey).group_by(table.c.reason)
    found = {row[0]: row[1] for row in connection.execute(query)}
    for row in removed_counts.read(connection, "rejection", journey=journey):
        found[row.reason] = found.get(row.reason, 0) + row.number
    return found
