"""Removes the JSON of old events from the record. Their typed rows, traits and stages stay."""

from __future__ import annotations

from datetime import datetime

from keepers.warehouse.database import Warehouse

EMPTIED = "{}"
"""in `tracks.raw` of an event whose JSON is kept no longer: no message is so short"""


def forget_raw(warehouse: Warehouse, before: datetime) -> int:
    """Empties the JSON of events that were received before an instant; of how many."""
    with warehouse.transaction() as cursor:
        found = cursor.execute(
            "UPDATE tracks SET raw = ? WHERE received_at < ? AND raw <> ?", [EMPTIED, before, EMPTIED]
        ).fetchone()
    return int(found[0]) if found else 0


def holds_raw(warehouse: Warehouse, before: datetime) -> bool:
    """Whether `forget_raw` would empty anything."""
    query = "SELECT 1 FROM tracks WHERE received_at < ? AND raw <> ? LIMIT 1"
    return warehouse.cursor().execute(query, [before, EMPTIED]).fetchone() is not None
