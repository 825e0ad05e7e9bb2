"""How many are in each stage: at a moment, and over time from the recorded changes."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from keepers.conditions.definitions import Lifecycle
from keepers.model.errors import NotFoundError, UserError, nearest, problem
from keepers.model.fields import Text

if TYPE_CHECKING:
    from keepers.evaluation.active_queries import ActiveQueries
    from keepers.evaluation.evaluator import Evaluator


class StageCount(Struct, frozen=True):
    stage: str
    profiles: int
    name: Text = ""


class Point(Struct, frozen=True):
    """Profiles per stage at a moment."""

    at: datetime
    profiles: Annotated[tuple[int, ...], Meta(description="Per stage, in the order of `stages`.")]


def find_lifecycle(queries: ActiveQueries, name: str | None) -> Lifecycle:
    """A lifecycle by id; the only one there is when none is named. Raises NotFoundError or UserError."""
    known = queries.definitions.lifecycles
    if name is None:
        main = [x for x in known.values() if x.phases_of is None]
        if len(main) == 1:
            return main[0]
        if not known:
            raise NotFoundError(
                problem("No lifecycle is in force. Add one with `keepers init --lifecycle`, then apply.")
            )
        raise UserError(
            problem("Several lifecycles are in force; name one of {known}.", known=", ".join(sorted(known)))
        )
    if name not in known:
        raise NotFoundError(problem("There is no lifecycle “{name}” in force.", near=nearest(name, known), name=name))
    return known[name]


def stages(evaluator: Evaluator, queries: ActiveQueries, lifecycle: Lifecycle, now: datetime) -> list[StageCount]:
    """Profiles (or accounts) per stage as of a moment, in order, stages without anyone included."""
    name = f"lifecycle:{lifecycle.id}"
    cursor = evaluator.as_of(queries, [name], now)
    found = dict(
        cursor.execute(
            "SELECT value, count(*) FROM asof_states WHERE query_id = ? GROUP BY value", [queries.by_id[name].number]
        ).fetchall()
    )
    return [StageCount(s.id, found.get(n, 0), s.name) for n, s in enumerate(lifecycle.stages, start=1)]


def current(evaluator: Evaluator, queries: ActiveQueries, lifecycle: Lifecycle) -> list[StageCount]:
    """Profiles per stage as the last tick left them."""
    number = queries.by_id[f"lifecycle:{lifecycle.id}"].number
    cursor = evaluator.warehouse.cursor()
    found = dict(
        cursor.execute("SELECT value, count(*) FROM states WHERE query_id = ? GROUP BY value", [number]).fetchall()
    )
    return [StageCount(s.id, found.get(n, 0), s.name) for n, s in enumerate(lifecycle.stages, start=1)]


def is_answered(evaluator: Evaluator, queries: ActiveQueries, lifecycle: Lifecycle) -> bool:
    """Whether a tick has answered the lifecycle as it is in force, so that `current` has its figures."""
    number = queries.by_id[f"lifecycle:{lifecycle.id}"].number
    sql = "SELECT count(*) FROM standing_queries WHERE query_id = ? AND is_active AND is_answered"
    row = evaluator.warehouse.cursor().execute(sql, [number]).fetchone()
    return row is not None and row[0] > 0


def first_change(evaluator: Evaluator, queries: ActiveQueries, lifecycle: Lifecycle) -> datetime | None:
    """When the first recorded entry into any stage was."""
    number = queries.by_id[f"lifecycle:{lifecycle.id}"].number
    row = evaluator.warehouse.cursor().execute('SELECT min("at") FROM changes WHERE query_id = ?', [number]).fetchone()
    return row[0] if row else None


def history(
    evaluator: Evaluator,
    queries: ActiveQueries,
    lifecycle: Lifecycle,
    since: datetime,
    until: datetime,
    step: str = "1 week",
) -> list[Point]:
    """Profiles per stage over time, folded from the recorded changes; one point at the end of each step."""
    number = queries.by_id[f"lifecycle:{lifecycle.id}"].number
    rows = evaluator.warehouse.cursor().execute(
        f"""
        WITH deltas AS (
            SELECT "at", from_value AS value, -1 AS delta FROM changes WHERE query_id = $query_id AND from_value > 0
            UNION ALL
            SELECT "at", to_value, 1 FROM changes WHERE query_id = $query_id AND to_value > 0
        ),
        grid AS (
            SELECT unnest(generate_series($since::TIMESTAMP, $until::TIMESTAMP, INTERVAL '{step}')) AS point
            UNION
            SELECT $until::TIMESTAMP
        ),
        placed AS (
            SELECT (SELECT min(point) FROM grid WHERE point >= d."at") AS point, value, sum(delta) AS delta
            FROM deltas d
            WHERE d."at" <= $until
            GROUP BY ALL
        )
        SELECT g.point, v.value, coalesce(sum(p.delta), 0)
        FROM grid g
        CROSS JOIN (SELECT DISTINCT value FROM deltas) v
        LEFT JOIN placed p ON p.point <= g.point AND p.value = v.value
        GROUP BY ALL
        ORDER BY 1
        """,
        {"query_id": number, "since": since, "until": until},
    )
    points: dict[datetime, dict[int, int]] = {}
    for point, value, profiles in rows.fetchall():
        points.setdefault(point, {})[value] = int(profiles)
    order = range(1, len(lifecycle.stages) + 1)
    return [Point(at, tuple(by.get(n, 0) for n in order)) for at, by in points.items()]
