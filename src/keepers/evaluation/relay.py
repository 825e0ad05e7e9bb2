"""Copies changes of the warehouse into the log, once: entries and exits of the definitions journeys listen to."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import Connection, select

from keepers.evaluation.changes import NUMBERED, RecordedChange, changes_after, last_change
from keepers.model.write_scope import require_sequence
from keepers.store import cursors
from keepers.store.events import log
from keepers.store.events.log import LogRow
from keepers.store.schema.core import log as log_table
from keepers.warehouse.fixed_tables import get_meta, set_meta

if TYPE_CHECKING:
    from keepers.store.database import Store
    from keepers.warehouse.database import Warehouse

CURSOR = "relay"
KIND = "change"
SOURCE = "keepers"
LOST = "lost_changes"
"""in the warehouse's meta, while changes that were lost come about again: when that was noticed"""
BATCH = 20_000


class ChangeBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of a log row of kind `change`. Stages by name; `in` for segments, empty for none."""

    definition: str
    from_stage: str = ""
    to_stage: str = ""
    cause: str = ""


def resume(store: Store, warehouse: Warehouse, now: datetime) -> None:
    """Before a tick evaluates: notices that the warehouse has lost changes that were relayed, as with a damaged file.

    They come about again. Their numbers go on after those relayed, and what is in the log is not relayed again.
    """
    with store.read() as connection:
        position = cursors.get(connection, CURSOR)
    if last_change(warehouse) < position:
        with warehouse.transaction() as cursor:
            set_meta(cursor, NUMBERED, str(position))
            set_meta(cursor, LOST, now.isoformat())


def relay(store: Store, warehouse: Warehouse, watched: Collection[str], now: datetime) -> int:
    """Relays the changes of `watched` definitions (`segment:x`, `lifecycle:y`) since the last time; how many.

    First answers of new rules are not relayed. Cursor and rows commit together.
    """
    require_sequence()
    last = last_change(warehouse)
    with store.read() as connection:
        position = cursors.get(connection, CURSOR)
    total = 0
    while position < last:
        found = changes_after(warehouse, position, BATCH, watched) if watched else []
        end = found[-1].n if len(found) == BATCH else last
        real = [change for change in found if not change.initial]
        with store.begin() as connection:
            if real and get_meta(warehouse.cursor(), LOST) is not None:
                known = _relayed(connection, real)
                real = [one for one in real if (one.profile_id, one.definition, one.at) not in known]
            rows = [
                LogRow(
                    0, KIND, change.profile_id, None, change.definition, change.at, now, change.at, SOURCE,
                    msgspec.json.encode(
                        ChangeBody(change.definition, change.from_stage, change.to_stage, change.cause)
                    ),
                    0, "own",
                )
                for change in real
            ]  # fmt: skip
            log.append_new(connection, rows)
            cursors.put(connection, CURSOR, end)
        total += len(real)
        position = end
    if (lost := get_meta(warehouse.cursor(), LOST)) is not None and now > datetime.fromisoformat(lost):
        # All up to then has come about again by a tick that was later.
        with warehouse.transaction() as cursor:
            cursor.execute("DELETE FROM meta WHERE name = ?", [LOST])
    return total


def _relayed(connection: Connection, changes: Sequence[RecordedChange]) -> set[tuple[int, str, datetime]]:
    """(profile, definition, at) of the changes in the log from the same span of time."""
    first, last = min(change.at for change in changes), max(change.at for change in changes)
    held = log_table.c.profile_id, log_table.c.event, log_table.c.time
    query = select(*held).where(log_table.c.kind == KIND, log_table.c.time.between(first, last))
    return {(row[0], row[1], row[2]) for row in connection.execute(query)}
