"""Fits scores' figures from the history in the warehouse."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from keepers.conditions.compile.tables import Mode

if TYPE_CHECKING:
    from keepers.evaluation.active_queries import Definitions
    from keepers.evaluation.evaluator import Evaluator
    from keepers.scores.score import Score


def fit_score(score: Score, evaluator: Evaluator, definitions: Definitions, now: datetime) -> Any:
    """A score's figures over what was known by `now`; the defaults when nothing of the kind ever arrived."""
    cursor = evaluator.prepare_as_of(now)
    schema = evaluator.warehouse.schema(now)
    settings = definitions.scores[score.id].settings
    queries = evaluator.history_sql(score, settings, definitions.events, schema, Mode(as_of=True))
    if not queries:
        return score.figures()
    return score.fit([cursor.execute(query).fetchall() for query in queries], now)
