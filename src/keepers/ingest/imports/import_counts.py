"""How many rows of each file imports have put into the warehouse, kept in the store: what it loses is noticed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection

from keepers.store import meta

if TYPE_CHECKING:
    from keepers.store.database import Store
    from keepers.warehouse.database import Warehouse

PREFIX = "imported "


def raise_to(connection: Connection, file_sha: str, mapping_hash: str, rows: int) -> None:
    """Records that the warehouse holds at least so many rows of a file by a mapping; fewer change nothing."""
    name = _name(file_sha, mapping_hash)
    if rows > int(meta.get(connection, name, for_update=True) or 0):
        meta.put(connection, name, str(rows))


def put(connection: Connection, file_sha: str, mapping_hash: str, rows: int) -> None:
    """Records that these are all rows of a file by a mapping, as an import that came to its end found them.

    There may be fewer than before: of a file that is imported again, people may have been erased meanwhile.
    """
    meta.put(connection, _name(file_sha, mapping_hash), str(rows))


def _name(file_sha: str, mapping_hash: str) -> str:
    return f"{PREFIX}{file_sha} {mapping_hash}"


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
