"""Warehouses that are emptied and used again: opening one anew costs more than most examples."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from keepers.warehouse.database import Warehouse
from keepers.warehouse.fixed_tables import FIXED, LAYOUT_VERSION, set_meta
from keepers.warehouse.load import load
from properties.populations import every_name

MOST_USES = 100
"""then it is closed: DuckDB keeps the places of deleted rows in memory"""
_NAMES = ("event_names", "event_columns", "trait_names")
_idle: dict[tuple[bool, str], list[tuple[Warehouse, int]]] = {}
"""those that hold a database open, and how often it was used"""


@contextmanager
def empty_warehouse(*, is_named: bool = False, zone: str = "UTC") -> Iterator[Warehouse]:
    """An empty warehouse; `is_named`: it has met all names before, so that expressions need not be compiled anew.

    One in which an example failed is not used again.
    """
    idle = _idle.setdefault((is_named, zone), [])
    holder, uses = idle.pop() if idle else (_opened(zone, is_named), 0)
    warehouse = again(holder)
    names = _count_names(warehouse)
    yield warehouse
    is_reusable = uses < MOST_USES and (not is_named or _count_names(warehouse) == names)
    if is_reusable:
        clear(warehouse, keep_names=is_named)
    warehouse.close()
    if is_reusable:
        idle.append((holder, uses + 1))
    else:
        holder.close()


def again(holder: Warehouse) -> Warehouse:
    """Another warehouse of the same database, with connections of its own: temporary tables and variables end with
    them."""
    return Warehouse(lambda: holder.cursor().cursor(), None, holder.zone)


def _opened(zone: str, is_named: bool) -> Warehouse:
    warehouse = Warehouse.open(None, zone=zone, threads=1)
    if is_named:
        load(warehouse, every_name().rows())
        clear(warehouse, keep_names=True)
    return warehouse


def _count_names(warehouse: Warehouse) -> tuple[int, ...]:
    counts = ", ".join(f"(SELECT count(*) FROM {name})" for name in _NAMES)
    return warehouse.cursor().execute(f"SELECT {counts}").fetchall()[0]


def clear(warehouse: Warehouse, *, keep_names: bool = False) -> None:
    """Its tables as they were when it was opened, or with nothing but the names it has met.

    The open warehouse still has what it read of them in memory: another is made of the same database.
    """
    with warehouse.transaction() as cursor:
        tables = cursor.execute("SELECT table_name FROM duckdb_tables() WHERE NOT temporary").fetchall()
        for (name,) in tables:
            if name in FIXED or keep_names:
                if name != "zone_offsets" and not (keep_names and name in _NAMES):
                    cursor.execute(f'DELETE FROM "{name}"')
            else:
                cursor.execute(f'DROP TABLE "{name}"')
        set_meta(cursor, "layout_version", LAYOUT_VERSION)
        if keep_names:
            set_meta(cursor, "schema_version", "1")
