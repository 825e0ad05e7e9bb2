"""Which currencies an event's amounts have come in."""

from __future__ import annotations

from keepers.warehouse.database import Warehouse
from keepers.warehouse.names import quoted

_MOST = 20


def currencies_seen(warehouse: Warehouse, event: str, path: str) -> tuple[str, ...]:
    """The values a property of an event has had, at most twenty, in order; empty where it is not kept in a column."""
    layout = warehouse.registry.events.get(event)
    column = layout.text.get(path) if layout is not None and layout.table else None
    if layout is None or not column:
        return ()
    query = f"SELECT DISTINCT {quoted(column)} FROM {quoted(layout.table)} WHERE {quoted(column)} <> '' LIMIT {_MOST}"
    return tuple(sorted(str(value) for (value,) in warehouse.cursor().execute(query).fetchall()))
