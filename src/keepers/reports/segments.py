"""How many are in each segment."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keepers.evaluation.active_queries import ActiveQueries
    from keepers.evaluation.evaluator import Evaluator


def counts(evaluator: Evaluator, queries: ActiveQueries, ids: list[str], now: datetime | None) -> dict[str, int]:
    """Members of each segment, by id: as of a moment, or as the last tick left them when `now` is None."""
    names = [f"segment:{id}" for id in ids]
    table = "states"
    cursor = evaluator.warehouse.cursor()
    if now is not None and names:
        cursor, table = evaluator.as_of(queries, names, now), "asof_states"
    found = dict(cursor.execute(f"SELECT query_id, count(*) FROM {table} WHERE value = 1 GROUP BY query_id").fetchall())
    return {id: int(found.get(queries.by_id[name].number, 0)) for id, name in zip(ids, names, strict=True)}
