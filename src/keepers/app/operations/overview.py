"""What the status page shows: health, and one lifecycle with its stages over time and its latest moves."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from msgspec import Meta, Struct

from keepers.app.customers.lifecycles import StageSummary, stages_of
from keepers.app.operations.health import Health, health_of
from keepers.app.use_cases.actor import Actor
from keepers.app.use_cases.common_fields import RequestedLocale
from keepers.app.use_cases.use_case import use_case
from keepers.app.workspace.workspace import Workspace
from keepers.conditions.definitions import Lifecycle
from keepers.model.fields import text_in
from keepers.reports import moves as measure_moves
from keepers.reports import stages as measure_stages

MOVES_SHOWN = 12
MOVES_WITHIN = timedelta(days=7)
POINTS = 78
_LONGEST = timedelta(weeks=78)


class ReadOverview(Struct, frozen=True, kw_only=True):
    lifecycle: Annotated[str, Meta(description="The lifecycle to show; else the first one.", max_length=200)] | None = (
        None
    )
    locale: RequestedLocale = "en"


class LifecycleName(Struct, frozen=True):
    id: str
    name: str


class StageMove(Struct, frozen=True):
    source: int
    target: int
    profiles: int


class LatestMove(Struct, frozen=True):
    profile: Annotated[str, Meta(description="`#` and Keepers' number.")]
    source: int
    target: int
    at: datetime


class LifecycleOverview(Struct, frozen=True):
    """One lifecycle in figures. In moves, stages are named by their place in `stages`, from 0; -1 is none."""

    id: str
    name: str
    of: str
    stages: list[StageSummary]
    history: list[measure_stages.Point]
    moves: list[StageMove]
    latest: list[LatestMove]
    moves_since: datetime


class Overview(Struct, frozen=True):
    """The workspace's figures for the status page."""

    workspace: str
    as_of: datetime
    health: Health
    lifecycles: list[LifecycleName]
    shown: LifecycleOverview | None


@use_case("GET /overview", permission="read", tag="health", problems=(404,))
def read_overview(workspace: Workspace, actor: Actor, request: ReadOverview) -> Overview:
    """What the status page shows

    Health, and one lifecycle as the last tick left it: its stages, their history and the latest moves.
    """
    queries = workspace.active_queries()
    known = sorted(queries.definitions.lifecycles.values(), key=lambda x: (x.phases_of is not None, x.id))
    lifecycle: Lifecycle | None = None
    if request.lifecycle is not None:
        lifecycle = measure_stages.find_lifecycle(queries, request.lifecycle)
    elif known:
        lifecycle = known[0]
    now = workspace.now()
    shown = _lifecycle(workspace, lifecycle, now, request.locale) if lifecycle is not None else None
    listed = [LifecycleName(x.id, text_in(x.name, request.locale) or x.id) for x in known]
    return Overview(workspace.settings.workspace.name, now, health_of(workspace, request.locale), listed, shown)


def _lifecycle(workspace: Workspace, lifecycle: Lifecycle, now: datetime, locale: str) -> LifecycleOverview:
    evaluator, queries = workspace.evaluator, workspace.active_queries()
    places: dict[str | None, int] = {s.id: n for n, s in enumerate(lifecycle.stages)} | {None: -1}
    since = now - MOVES_WITHIN
    recorded = measure_moves.recorded(evaluator, queries, lifecycle, since, now, MOVES_SHOWN)
    return LifecycleOverview(
        lifecycle.id,
        text_in(lifecycle.name, locale) or lifecycle.id,
        lifecycle.of,
        stages_of(measure_stages.current(evaluator, queries, lifecycle), locale),
        _history(workspace, lifecycle, now),
        [StageMove(places[m.source], places[m.target], m.profiles) for m in recorded.counts],
        [LatestMove(m.profile, places[m.source], places[m.target], m.at) for m in recorded.latest],
        since,
    )


def _history(workspace: Workspace, lifecycle: Lifecycle, now: datetime) -> list[measure_stages.Point]:
    """At most `POINTS` points since the first move, at most 18 months back."""
    evaluator, queries = workspace.evaluator, workspace.active_queries()
    first = measure_stages.first_change(evaluator, queries, lifecycle)
    if first is None or first >= now:
        return []
    begin = max(first, now - _LONGEST)
    step = max((now - begin) / POINTS, timedelta(minutes=1))
    return measure_stages.history(evaluator, queries, lifecycle, begin, now, f"{int(step.total_seconds())} seconds")
