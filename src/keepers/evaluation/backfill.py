"""Answers every subject at every instant since it exists, so that history and transitions are recorded.

Exact where a daily grid would round: each subject goes from instant to instant at which an answer may change.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from keepers.evaluation.changes import keep_number
from keepers.evaluation.evaluate import BACKFILL, evaluate
from keepers.model.moments import EARLIEST

if TYPE_CHECKING:
    from keepers.evaluation.active_queries import ActiveQueries
    from keepers.evaluation.evaluate import Evaluated, Progress
    from keepers.evaluation.evaluator import Evaluator


def backfill(
    evaluator: Evaluator, queries: ActiveQueries, now: datetime, progress: Progress | None = None
) -> Evaluated:
    """Replaces recorded states and changes of the active definitions by those computed from history.

    Interrupted, the next tick (or backfill) continues where it stopped. Every change it records has the cause
    `backfill` and triggers nothing.
    """
    listed = ", ".join(map(str, sorted(queries.numbers))) or "-1"
    with evaluator.warehouse.transaction() as cursor:
        cursor.execute(f"DELETE FROM states WHERE query_id IN ({listed})")
        keep_number(cursor)
        cursor.execute(f"DELETE FROM changes WHERE query_id IN ({listed})")
        cursor.execute("DELETE FROM dirty")
        cursor.execute("DELETE FROM imported")
        cursor.execute(
            """
            INSERT INTO dirty
            SELECT profile_id, created_at, 'profile', '' FROM profiles
            WHERE profile_id NOT IN (SELECT from_id FROM canon)
            """
        )
        cursor.execute(f"UPDATE standing_queries SET is_answered = true WHERE query_id IN ({listed})")
        cursor.execute("DELETE FROM meta WHERE name = ?", [BACKFILL])
        cursor.execute("INSERT INTO meta VALUES (?, ?)", [BACKFILL, EARLIEST.isoformat()])
    return evaluate(evaluator, queries, frozenset(), now, progress)
