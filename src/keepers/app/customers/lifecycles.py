"""Lifecycles: stages with counts, counts over time, and who moved."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta, Struct

from keepers.app.use_cases.actor import Actor
from keepers.app.use_cases.common_fields import Now, RequestedLocale, moment
from keepers.app.use_cases.use_case import use_case
from keepers.app.workspace.workspace import Workspace
from keepers.conditions.definitions import Lifecycle, Stage
from keepers.conditions.wording import describe
from keepers.model.errors import UserError, problem
from keepers.model.fields import text_in
from keepers.model.moments import Moment, format_instant, parse_duration, parse_moment
from keepers.reports import moves as measure_moves
from keepers.reports import stages as measure_stages
from keepers.store.profiles import identities

MOST_POINTS = 1_000
LifecycleId = Annotated[str, Meta(description="The lifecycle's id.", examples=["value"])]
Since = Annotated[
    str,
    Meta(
        description="From this moment: ISO 8601, or back from `now` as in `30d`.",
        examples=["30d", "2026-01-01"],
        max_length=64,
    ),
]


class ListLifecycles(Struct, frozen=True, kw_only=True):
    now: Now = None
    locale: RequestedLocale = "en"


class ReadLifecycle(Struct, frozen=True, kw_only=True):
    id: LifecycleId
    now: Now = None
    locale: RequestedLocale = "en"


class ReadStageHistory(Struct, frozen=True, kw_only=True):
    id: LifecycleId
    since: Since = "-365d"
    step: Annotated[
        str, Meta(description="Time between two points, `6h`, `1d`, `1w`.", pattern=r"^[0-9]{1,4}[mhdw]$")
    ] = "1w"
    now: Now = None


class ListMoves(Struct, frozen=True, kw_only=True):
    id: LifecycleId
    since: Since = "-7d"
    now: Now = None
    limit: Annotated[int, Meta(description="Most latest moves.", ge=0, le=200)] = 20


class StageSummary(Struct, frozen=True):
    id: str
    name: str
    profiles: Annotated[int, Meta(ge=0, description="How many are in this stage.")]


class LifecycleSummary(Struct, frozen=True):
    """A lifecycle in force, its stages in order."""

    id: str
    name: str
    description: str
    of: Literal["person", "account"]
    phases_of: Annotated[str | None, Meta(description="Set where it is another view of that lifecycle's customers.")]
    stages: list[StageSummary]


class LifecycleList(Struct, frozen=True):
    as_of: datetime
    items: list[LifecycleSummary]


class StageDetail(Struct, frozen=True):
    """A stage: how many are in it, its rule, and what the playbook says about it."""

    id: str
    name: str
    profiles: Annotated[int, Meta(ge=0)]
    says: Annotated[str, Meta(description="Its rule as a sentence.")]
    description: str
    needs: list[str]
    signals: list[str]
    touchpoints: list[str]
    metrics: list[str]


class LifecycleDetail(Struct, frozen=True):
    id: str
    name: str
    description: str
    of: Literal["person", "account"]
    as_of: datetime
    version: int
    stages: list[StageDetail]
    body: Annotated[Any, Meta(description="The definition, exactly as in the playbook.")]


class StageHistory(Struct, frozen=True):
    """Profiles per stage over time, folded from the recorded moves."""

    lifecycle: str
    stages: list[str]
    points: list[measure_stages.Point]


class MoveList(Struct, frozen=True):
    """Moves between stages. `is_recorded` false: the difference between both moments, without moves there and back."""

    lifecycle: str
    since: datetime
    until: datetime
    is_recorded: bool
    counts: tuple[measure_moves.MoveCount, ...]
    latest: tuple[measure_moves.Mover, ...]


@use_case("GET /lifecycles", permission="read", problems=(422,))
def list_lifecycles(workspace: Workspace, actor: Actor, request: ListLifecycles) -> LifecycleList:
    """List lifecycles with their counts"""
    known = sorted(workspace.active_queries().definitions.lifecycles.values(), key=lambda x: x.id)
    items = [
        LifecycleSummary(
            x.id,
            text_in(x.name, request.locale) or x.id,
            text_in(x.description, request.locale),
            x.of,
            x.phases_of,
            stages_of(_counts(workspace, x, request.now), request.locale),
        )
        for x in known
    ]
    return LifecycleList(moment(workspace, request.now), items)


@use_case("GET /lifecycles/{id}", permission="read", problems=(404, 422))
def read_lifecycle(workspace: Workspace, actor: Actor, request: ReadLifecycle) -> LifecycleDetail:
    """One lifecycle

    Its stages in order: count, rule as a sentence, needs, signals, touchpoints, metrics.
    """
    lifecycle = measure_stages.find_lifecycle(workspace.active_queries(), request.id)
    live = workspace.active_playbook()
    key = f"lifecycle/{lifecycle.id}"
    counted = {c.stage: c.profiles for c in _counts(workspace, lifecycle, request.now)}
    return LifecycleDetail(
        lifecycle.id,
        text_in(lifecycle.name, request.locale) or lifecycle.id,
        text_in(lifecycle.description, request.locale),
        lifecycle.of,
        moment(workspace, request.now),
        live.versions[key],
        [_detail(stage, counted[stage.id], request.locale) for stage in lifecycle.stages],
        live.playbook.bodies[key],
    )


@use_case("GET /lifecycles/{id}/history", permission="read", problems=(404, 422))
def read_stage_history(workspace: Workspace, actor: Actor, request: ReadStageHistory) -> StageHistory:
    """Stages over time"""
    queries = workspace.active_queries()
    lifecycle = measure_stages.find_lifecycle(queries, request.id)
    until = moment(workspace, request.now)
    begin = _begin(workspace, request.since, until)
    span = parse_duration(request.step)
    if begin > until:
        raise UserError(
            problem(
                "since {since} lies after {until}, where the history ends.",
                since=request.since,
                until=format_instant(until),
            ),
            field="since",
        )
    if span <= timedelta(0) or (until - begin) / span > MOST_POINTS:
        raise UserError(
            problem("That is more than {most} points. Ask for a longer step.", most=f"{MOST_POINTS:,}"),
            field="step",
        )
    seconds = f"{int(span.total_seconds())} seconds"
    points = measure_stages.history(workspace.evaluator, queries, lifecycle, begin, until, seconds)
    return StageHistory(lifecycle.id, [s.id for s in lifecycle.stages], points)


@use_case("GET /lifecycles/{id}/moves", permission="read", problems=(404, 422))
def list_moves(workspace: Workspace, actor: Actor, request: ListMoves) -> MoveList:
    """Moves between stages

    Counts of all moves since a moment, and the latest of them.
    """
    until = moment(workspace, request.now)
    queries = workspace.active_queries(until)
    lifecycle = measure_stages.find_lifecycle(queries, request.id)
    begin = _begin(workspace, request.since, until)
    if begin > until:
        raise UserError(
            problem(
                "since {since} lies after {until}, up to which moves are counted.",
                since=request.since,
                until=format_instant(until),
            ),
            field="since",
        )
    found = measure_moves.moves(workspace.evaluator, queries, lifecycle, begin, until, request.limit)
    with workspace.store.read() as connection:
        named = identities.of_profiles(connection, [mover.profile_id for mover in found.latest])
    latest = tuple(
        msgspec.structs.replace(mover, identity=named[mover.profile_id][-1].value)
        if mover.profile_id in named
        else mover
        for mover in found.latest
    )
    return MoveList(lifecycle.id, begin, until, found.is_recorded, found.counts, latest)


def stages_of(counts: list[measure_stages.StageCount], locale: str) -> list[StageSummary]:
    """Stages by their names in a language."""
    return [StageSummary(c.stage, text_in(c.name, locale) or c.stage, c.profiles) for c in counts]


def _counts(workspace: Workspace, lifecycle: Lifecycle, now: str | None) -> list[measure_stages.StageCount]:
    """Profiles per stage: as the last tick left them, or worked out where it has not answered this lifecycle yet."""
    queries = workspace.active_queries()
    if now is None and measure_stages.is_answered(workspace.evaluator, queries, lifecycle):
        return measure_stages.current(workspace.evaluator, queries, lifecycle)
    at = moment(workspace, now)
    return measure_stages.stages(workspace.evaluator, workspace.active_queries(at), lifecycle, at)


def _begin(workspace: Workspace, since: str, until: datetime) -> datetime:
    start = parse_since(since, workspace.zone)
    return start.at if start.at is not None else until + start.offset


def parse_since(since: str, zone: ZoneInfo) -> Moment:
    """A moment, or how far back: `30d` is `30d ago`, as a span ahead is never meant here."""
    try:
        return Moment(offset=-parse_duration(since))
    except UserError:
        return parse_moment(since, zone)


def _detail(stage: Stage, profiles: int, locale: str) -> StageDetail:
    return StageDetail(
        stage.id,
        text_in(stage.name, locale) or stage.id,
        profiles,
        describe(stage.when, locale),
        text_in(stage.description, locale),
        [text_in(t, locale) for t in stage.needs],
        [text_in(t, locale) for t in stage.signals],
        [text_in(t, locale) for t in stage.touchpoints],
        [text_in(t, locale) for t in stage.metrics],
    )
