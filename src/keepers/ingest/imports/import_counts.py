"""How many rows of each file imports have put into the warehouse, kept in the store: what it loses is noticed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection

from keepers.store import meta

if TYPE_CHECKING:
    from keepers.store.database import Store
    from keepers.warehouse.database import Warehouse

PREFIX = "imported "


def record(connection: Connection, file_sha: str, mapping_hash: str, rows: int) -> None:
    """Records that the warehouse has committed so many rows of a file by a mapping. A smaller number is passed over."""
    name = f"{PREFIX}{file_sha} {mapping_hash}"
    if rows > int(meta.get(connection, name, for_update=True) or 0):
        meta.put(connection, name, str(rows))


def missing(store: Store, warehouse: Warehouse) -> int:
    """How many imported rows the warehouse has lost; 0 when it holds all that are on record."""
    with store.read() as connection:
        recorded = meta.starting_with(connection, PREFIX)
    held = dict(
        warehouse.cursor()
        .execute(
            "SELECT $prefix || file_sha || ' ' || mapping_hash, sum(rows)::BIGINT FROM import_chunks GROUP BY ALL",
            {"prefix": PREFIX},
        )
        .fetchall()
    )
    return sum(max(int(rows) - held.get(name, 0), 0) for name, rows in recorded.items())
