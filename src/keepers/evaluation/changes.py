"""The numbered changes of answers as others read them: definitions and stages by name."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from keepers.warehouse.fixed_tables import set_meta

if TYPE_CHECKING:
    import duckdb

    from keepers.warehouse.database import Warehouse

NUMBERED = "numbered_changes"
LAST_NUMBER = f"""(
    SELECT greatest(
        coalesce(max(n), 0), coalesce((SELECT value::BIGINT FROM meta WHERE name = '{NUMBERED}'), 0)
    ) FROM changes
)"""
"""SQL of the number of the newest change, those of before a backfill included: numbers are never used again"""


class RecordedChange(Struct, frozen=True):
    """A change of an answer: in a segment the stage is `in`; an empty one is none. `initial`: the first answer of a
    rule."""

    n: int
    definition: str
    """`segment:x` or `lifecycle:y`"""
    profile_id: int
    from_stage: str
    to_stage: str
    at: datetime
    cause: str
    initial: bool


def changes_after(warehouse: Warehouse, n: int, limit: int, definitions: Collection[str]) -> list[RecordedChange]:
    """Up to `limit` changes past number `n` of these definitions, by number, over all versions of their rules."""
    rows = (
        warehouse.cursor()
        .execute(
            """
            SELECT c.n, q.definition, c.profile_id, coalesce(f.stage, ''), coalesce(t.stage, ''), c."at", c.cause,
                   c.initial
            FROM changes c
            JOIN standing_queries q ON q.query_id = c.query_id
            LEFT JOIN standing_query_values f ON f.query_id = c.query_id AND f.value = c.from_value
            LEFT JOIN standing_query_values t ON t.query_id = c.query_id AND t.value = c.to_value
            WHERE c.n > $after AND list_contains($definitions::VARCHAR[], q.definition)
            ORDER BY c.n
            LIMIT $limit
            """,
            {"after": n, "definitions": sorted(definitions), "limit": limit},
        )
        .fetchall()
    )
    return [RecordedChange(*row) for row in rows]


def last_change(warehouse: Warehouse) -> int:
    """The number of the newest change; 0 before the first."""
    return int(warehouse.cursor().execute(f"SELECT {LAST_NUMBER}").fetchall()[0][0])


def keep_number(cursor: duckdb.DuckDBPyConnection) -> None:
    """Stores the newest number before changes are deleted. Inside the caller's transaction."""
    set_meta(cursor, NUMBERED, str(cursor.execute(f"SELECT {LAST_NUMBER}").fetchall()[0][0]))
