"""Who moved: transitions between stages since a moment."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from keepers.conditions.definitions import Lifecycle

if TYPE_CHECKING:
    from keepers.evaluation.active_queries import ActiveQueries
    from keepers.evaluation.evaluator import Evaluator


class Mover(Struct, frozen=True):
    """One subject's transition. `source` and `target` are stage ids; null for “none yet” and “none any more”."""

    profile_id: int
    profile: Annotated[str, Meta(description="`#` and Keepers' number.")]
    source: str | None
    target: str | None
    at: datetime
    cause: Annotated[str, Meta(description="What caused the move, such as `event:Order Completed` or `time`.")]
    identity: Annotated[str | None, Meta(description="An identifier of it, a user id if there is one.")] = None


class MoveCount(Struct, frozen=True):
    source: Annotated[str | None, Meta(description="The stage left; null for none yet.")]
    target: Annotated[str | None, Meta(description="The stage entered; null for none any more.")]
    profiles: Annotated[int, Meta(ge=0)]


class Moves(Struct, frozen=True):
    """`is_recorded`: every transition since then was recorded. Otherwise the moves are the difference between the
    answers as of both moments, and who moved there and back is not seen."""

    is_recorded: bool
    counts: tuple[MoveCount, ...]
    latest: tuple[Mover, ...]


def moves(
    evaluator: Evaluator,
    queries: ActiveQueries,
    lifecycle: Lifecycle,
    since: datetime,
    until: datetime,
    limit: int = 20,
) -> Moves:
    """Transitions in (since, until], counted by where from and where to, and the latest of them."""
    number = queries.by_id[f"lifecycle:{lifecycle.id}"].number
    cursor = evaluator.warehouse.cursor()
    first = cursor.execute('SELECT min("at") FROM changes WHERE query_id = ?', [number]).fetchone()
    if first is not None and first[0] is not None and first[0] <= since:
        return recorded(evaluator, queries, lifecycle, since, until, limit)
    _difference(evaluator, queries, lifecycle, since, until)
    return _counted(evaluator, lifecycle, limit, is_recorded=False)


def recorded(
    evaluator: Evaluator,
    queries: ActiveQueries,
    lifecycle: Lifecycle,
    since: datetime,
    until: datetime,
    limit: int = 20,
) -> Moves:
    """The transitions in (since, until] that ticks wrote down, without evaluating moments before the first."""
    evaluator.warehouse.cursor().execute(
        """
        CREATE OR REPLACE TEMP TABLE moved AS
        SELECT profile_id, from_value, to_value, "at", cause FROM changes
        WHERE query_id = ? AND "at" > ? AND "at" <= ? AND NOT initial
        """,
        [queries.by_id[f"lifecycle:{lifecycle.id}"].number, since, until],
    )
    return _counted(evaluator, lifecycle, limit, is_recorded=True)


def _counted(evaluator: Evaluator, lifecycle: Lifecycle, limit: int, *, is_recorded: bool) -> Moves:
    """Counts what is in this thread's table `moved`."""
    cursor = evaluator.warehouse.cursor()
    names = {n: s.id for n, s in enumerate(lifecycle.stages, start=1)}
    counts = cursor.execute(
        "SELECT from_value, to_value, count(*) FROM moved GROUP BY ALL ORDER BY 3 DESC, 1, 2"
    ).fetchall()
    latest = cursor.execute(
        """
        SELECT m.profile_id, m.from_value, m.to_value, m."at", m.cause
        FROM moved m
        ORDER BY m."at" DESC, m.profile_id
        LIMIT ?
        """,
        [limit],
    ).fetchall()
    return Moves(
        is_recorded,
        tuple(MoveCount(names.get(a), names.get(b), n) for a, b, n in counts),
        tuple(Mover(p, f"#{p}", names.get(a), names.get(b), at, cause) for p, a, b, at, cause in latest),
    )


def _difference(
    evaluator: Evaluator, queries: ActiveQueries, lifecycle: Lifecycle, since: datetime, until: datetime
) -> None:
    """Fills `moved` with those whose stage as of `until` differs from that as of `since`."""
    name = f"lifecycle:{lifecycle.id}"
    number = queries.by_id[name].number
    cursor = evaluator.as_of(queries, [name], since)
    cursor.execute(
        "CREATE OR REPLACE TEMP TABLE stages_then AS SELECT profile_id, value FROM asof_states WHERE query_id = ?",
        [number],
    )
    evaluator.as_of(queries, [name], until)
    cursor.execute(
        """
        CREATE OR REPLACE TEMP TABLE moved AS
        SELECT coalesce(n.profile_id, t.profile_id) AS profile_id, coalesce(t.value, 0) AS from_value,
               coalesce(n.value, 0) AS to_value, ?::TIMESTAMP AS "at", 'difference' AS cause
        FROM (SELECT profile_id, value FROM asof_states WHERE query_id = ?) n
        FULL JOIN stages_then t ON t.profile_id = n.profile_id
        WHERE coalesce(n.value, 0) <> coalesce(t.value, 0)
        """,
        [until, number],
    )
