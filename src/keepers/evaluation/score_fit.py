"""Fits scores' figures from the history in the warehouse."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import ibis

from keepers.conditions.compile.tables import Mode
from keepers.evaluation.active_queries import Definitions
from keepers.evaluation.evaluator import Evaluator
from keepers.scores.score import Score


def fit_score(score: Score, answerer: Evaluator, definitions: Definitions, now: datetime) -> Any:
    """A score's figures over what was known by `now`; the defaults when nothing of the kind ever arrived."""
    cursor = answerer.prepare_as_of(now)
    schema = answerer.warehouse.schema(now)
    settings = definitions.scores[score.id].settings
    queries = score.history(settings, schema, definitions.events, Mode(as_of=True))
    if queries is None:
        return score.figures()
    rows = [cursor.execute(str(ibis.to_sql(q, dialect="duckdb", pretty=False))).fetchall() for q in queries]
    return score.fit(rows, now)
