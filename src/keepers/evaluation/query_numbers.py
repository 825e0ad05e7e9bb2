"""Numbers the active definitions: every rule that was ever active keeps its number and its stages' names."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from keepers.conditions.definitions import Definition, Lifecycle
from keepers.evaluation.active_queries import build, signatures
from keepers.evaluation.changes import LAST_NUMBER

if TYPE_CHECKING:
    import duckdb

    from keepers.evaluation.active_queries import ActiveQueries, Definitions
    from keepers.warehouse.database import Warehouse


def sync(warehouse: Warehouse, definitions: Definitions, now: datetime) -> tuple[ActiveQueries, frozenset[int]]:
    """Makes these definitions the active ones; returns them and the numbers of those not answered yet.

    A changed rule gets a new number. Subjects keep the old one's answers until the first full answer of the new one,
    and then the time since which they are in a stage that kept its id.
    """
    wanted = signatures(definitions)
    cursor = warehouse.cursor()
    known = dict(
        cursor.execute(
            "SELECT definition || ' ' || signature, query_id FROM standing_queries WHERE is_active"
        ).fetchall()
    )
    numbers = {name: known.get(f"{name} {signature}") for name, signature in wanted.items()}
    missing = [name for name, number in numbers.items() if number is None]
    stale = set(known.values()) - {n for n in numbers.values() if n is not None}
    if missing or stale:
        found = definitions.by_id()
        with warehouse.transaction() as writing:
            first = int(_one(writing, "SELECT coalesce(max(query_id), 0) + 1 FROM standing_queries"))
            for offset, name in enumerate(missing):
                numbers[name] = first + offset
                insert(writing, first + offset, name, wanted[name], found[name], now)
            if stale:
                listed = ", ".join(map(str, sorted(stale)))
                writing.execute(
                    f"UPDATE standing_queries SET is_active = false, retired_at = ? WHERE query_id IN ({listed})", [now]
                )
                kept = {name: number for name, number in numbers.items() if number is not None}
                gone = [n for n in stale if _definition(writing, n) not in kept]
                _forget(writing, gone, now)
    unanswered = cursor.execute("SELECT query_id FROM standing_queries WHERE is_active AND NOT is_answered").fetchall()
    queries = build(definitions, {name: number for name, number in numbers.items() if number is not None})
    return queries, frozenset(row[0] for row in unanswered)


def preview_numbers(warehouse: Warehouse, definitions: Definitions) -> dict[str, int]:
    """Numbers for evaluation ahead of a tick: an active rule keeps its own, so that its recorded history still fits;
    another gets a number below zero, which nothing in the warehouse has."""
    rows = (
        warehouse.cursor()
        .execute("SELECT definition || ' ' || signature, query_id FROM standing_queries WHERE is_active")
        .fetchall()
    )
    known = dict(rows)
    wanted = signatures(definitions).items()
    return {name: known.get(f"{name} {signature}", -n) for n, (name, signature) in enumerate(wanted, start=1)}


def insert(
    cursor: duckdb.DuckDBPyConnection, number: int, name: str, signature: str, definition: Definition, now: datetime
) -> None:
    """Records that a definition with this number is active, and not answered yet."""
    stages = [s.id for s in definition.stages] if isinstance(definition, Lifecycle) else ["in"]
    cursor.execute(
        "INSERT INTO standing_queries VALUES (?, ?, ?, ?, ?, true, false, ?, NULL)",
        [number, name, signature, definition.of, msgspec.json.encode(stages).decode(), now],
    )
    cursor.executemany(
        "INSERT INTO standing_query_values VALUES (?, ?, ?)",
        [[number, n, stage] for n, stage in enumerate(stages, start=1)],
    )


def _definition(cursor: duckdb.DuckDBPyConnection, number: int) -> str:
    return str(_one(cursor, f"SELECT definition FROM standing_queries WHERE query_id = {number}"))


def _forget(cursor: duckdb.DuckDBPyConnection, gone: list[int], now: datetime) -> None:
    """A definition removed from the playbook: everyone leaves it, which is recorded, and triggers nothing."""
    if not gone:
        return
    listed = ", ".join(map(str, sorted(gone)))
    cursor.execute(
        f"""
        INSERT INTO changes
        SELECT {LAST_NUMBER} + row_number() OVER (ORDER BY query_id, profile_id),
               query_id, profile_id, value, 0, ?, 'definition removed', true
        FROM states WHERE query_id IN ({listed}) AND value > 0
        """,
        [now],
    )
    cursor.execute(f"DELETE FROM states WHERE query_id IN ({listed})")


def _one(cursor: duckdb.DuckDBPyConnection, query: str) -> Any:
    row = cursor.execute(query).fetchone()
    assert row is not None
    return row[0]
