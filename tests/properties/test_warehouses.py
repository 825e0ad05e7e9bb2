"""An emptied warehouse is as good as a new one; the properties use the same ones again and again."""

from __future__ import annotations

from typing import Any

import pytest

from keepers.evaluation.active_queries import Definitions
from keepers.warehouse.database import Warehouse
from keepers.warehouse.load import load
from properties.populations import every_name
from properties.running import Live, segments
from properties.scenario import at
from properties.warehouses import again, clear


def held(warehouse: Warehouse) -> dict[str, Any]:
    """Every table with its columns in order and its rows, variables, temporary tables, and what is kept in memory."""
    cursor = warehouse.cursor()
    tables = cursor.execute("SELECT table_name FROM duckdb_tables() ORDER BY table_name").fetchall()
    found: dict[str, Any] = {}
    for (name,) in tables:
        columns = cursor.execute(f'DESCRIBE "{name}"').fetchall()
        found[name] = columns, sorted(cursor.execute(f'SELECT * FROM "{name}"').fetchall(), key=repr)
    found["variables"] = cursor.execute("SELECT name FROM duckdb_variables()").fetchall()
    found["memory"] = warehouse.schema(at(0)), warehouse.latest, warehouse.has_merges, warehouse.has_accounts
    return found


def use(warehouse: Warehouse) -> None:
    scenario = every_name()
    scenario.person(2, at(0))
    scenario.add("merge", 2, at(1), other=1)
    scenario.track(1, "view", at(9), at(0), total=5)
    scenario.add("identify", 1, at(1), data={"timezone": "Europe/Warsaw"})
    running = Live(warehouse, Definitions(segments=segments([{"did": "view"}])), at(0))
    running.load(scenario.rows())
    running.tick(at(2))
    running.as_of(at(1))


def new(is_named: bool) -> Warehouse:
    warehouse = Warehouse.open(None, threads=1)
    if is_named:
        load(warehouse, every_name().rows())
        clear(warehouse, keep_names=True)
    return warehouse


@pytest.mark.parametrize("is_named", [False, True])
def test_an_emptied_warehouse_holds_what_a_new_one_holds(is_named: bool) -> None:
    holder, unused = new(is_named), new(is_named)
    used, fresh = again(holder), again(unused)
    use(used)
    assert held(used) != held(fresh)
    clear(used, keep_names=is_named)
    used.close()
    emptied = again(holder)
    assert held(emptied) == held(fresh)
    for one in (emptied, fresh, holder, unused):
        one.close()


def test_with_names_kept_only_the_names_are_left() -> None:
    warehouse = new(True)
    tables = held(warehouse)
    for name in ("variables", "memory", "zone_offsets", "event_names", "event_columns", "trait_names"):
        tables.pop(name)
    meta = {name for name, _ in tables.pop("meta")[1]}
    assert meta == {"layout_version", "schema_version"}
    assert [name for name, (_, rows) in tables.items() if rows] == []
    warehouse.close()
