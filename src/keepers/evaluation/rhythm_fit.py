"""Fits the shop's rhythm from the history in the warehouse."""

from __future__ import annotations

from datetime import datetime

import ibis

from keepers.conditions.compile.tables import Mode
from keepers.evaluation.active_queries import Definitions
from keepers.evaluation.evaluator import Evaluator
from keepers.scores import rhythm
from keepers.scores.rhythm import Fit


def fit_rhythm(answerer: Evaluator, definitions: Definitions, now: datetime) -> Fit:
    """P and the longest usual gap, over what was known by `now`; the defaults while too few came back."""
    cursor = answerer.prepare_as_of(now)
    schema = answerer.warehouse.schema(now)
    mode = Mode(as_of=True)
    start_query = rhythm.history_start(definitions.rhythm, schema, definitions.events, mode)
    counts = rhythm.gap_counts(definitions.rhythm, schema, definitions.events, mode)
    if start_query is None or counts is None:
        return Fit()
    row = cursor.execute(str(ibis.to_sql(start_query, dialect="duckdb", pretty=False))).fetchone()
    start = row[0] if row else None
    if start is None or start > now:
        return Fit()
    found = cursor.execute(str(ibis.to_sql(counts, dialect="duckdb", pretty=False))).fetchall()
    return rhythm.fit(found, months=(now - start).days / 30.4375)
