"""Works the past out: answers every subject at every instant since it exists, so that history and moves are there.

Exact where a daily grid would round: each subject goes from instant to instant at which an answer may change.
"""

from __future__ import annotations

from datetime import datetime

from keepers.evaluation.active_queries import ActiveQueries
from keepers.evaluation.changes import keep_number
from keepers.evaluation.evaluate import BACKFILL, Evaluated, Progress, evaluate
from keepers.evaluation.evaluator import Evaluator
from keepers.model.moments import EARLIEST


def backfill(
    answerer: Evaluator, standing: ActiveQueries, now: datetime, progress: Progress | None = None
) -> Evaluated:
    """Replaces recorded states and changes of the definitions in force by those worked out from history.

    Interrupted, the next tick (or backfill) goes on where it stopped. Every change it records has the cause
    `backfill` and triggers nothing.
    """
    listed = ", ".join(map(str, sorted(standing.numbers))) or "-1"
    with answerer.warehouse.transaction() as cursor:
        cursor.execute(f"DELETE FROM states WHERE ask IN ({listed})")
        keep_number(cursor)
        cursor.execute(f"DELETE FROM changes WHERE ask IN ({listed})")
        cursor.execute("DELETE FROM dirty")
        cursor.execute("DELETE FROM imported")
        cursor.execute(
            """
            INSERT INTO dirty
            SELECT profile_id, created_at, 'profile', '' FROM profiles
            WHERE profile_id NOT IN (SELECT from_id FROM canon)
            """
        )
        cursor.execute(f"UPDATE asks SET is_answered = true WHERE ask IN ({listed})")
        cursor.execute("DELETE FROM meta WHERE name = ?", [BACKFILL])
        cursor.execute("INSERT INTO meta VALUES (?, ?)", [BACKFILL, EARLIEST.isoformat()])
    return evaluate(answerer, standing, frozenset(), now, progress)
