"""Copies changes of the warehouse into the log, once: entries and exits of the definitions journeys listen to."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from keepers.evaluation.changes import changes_after, last_change
from keepers.model.write_scope import require_sequence
from keepers.store import cursors
from keepers.store.events import log
from keepers.store.events.log import LogRow

if TYPE_CHECKING:
    from keepers.store.database import Store
    from keepers.warehouse.database import Warehouse

CURSOR = "relay"
KIND = "change"
SOURCE = "keepers"
BATCH = 20_000


class ChangeBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of a log row of kind `change`. Stages by name; `in` for segments, empty for none."""

    definition: str
    from_stage: str = ""
    to_stage: str = ""
    cause: str = ""


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
    return total
