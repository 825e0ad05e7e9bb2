"""How many are in each segment."""

from __future__ import annotations

from datetime import datetime

from keepers.evaluation.active_queries import ActiveQueries
from keepers.evaluation.evaluator import Evaluator


def counts(answerer: Evaluator, standing: ActiveQueries, ids: list[str], now: datetime | None) -> dict[str, int]:
    """Members of each segment, by id: as of a moment, or as the last tick left them when `now` is None."""
    names = [f"segment:{id}" for id in ids]
    table = "states"
    cursor = answerer.warehouse.cursor()
    if now is not None and names:
        cursor, table = answerer.as_of(standing, names, now), "asof_states"
    found = dict(cursor.execute(f"SELECT ask, count(*) FROM {table} WHERE value = 1 GROUP BY ask").fetchall())
    return {id: int(found.get(standing.asks[name].number, 0)) for id, name in zip(ids, names, strict=True)}
