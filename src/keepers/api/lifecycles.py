"""Lifecycles over HTTP: stages with counts, their history, and who moved."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from litestar import Controller, get
from litestar.openapi.spec import Example
from litestar.params import PathParameter, QueryParameter
from msgspec import Meta, Struct

from keepers.api import examples
from keepers.api.desk import Desk
from keepers.api.parameters import AtDesk, Instant, LocaleParameter, NowParameter, moment, shown
from keepers.api.problems import answers
from keepers.audience.definitions import Lifecycle, Stage
from keepers.audience.wording import describe
from keepers.measure import moves as measure_moves
from keepers.measure import stages as measure_stages
from keepers.model.definitions import text_in
from keepers.model.errors import UserError
from keepers.model.moments import parse_duration, parse_moment
from keepers.store import identities

MOST_POINTS = 1_000


class StageCount(Struct, frozen=True):
    id: str
    name: str
    profiles: Annotated[int, Meta(ge=0, description="How many are in this stage.")]


class LifecycleSummary(Struct, frozen=True):
    """A lifecycle in force, its stages in order."""

    id: str
    name: str
    description: str
    of: Literal["person", "account"]
    phases_of: Annotated[str | None, Meta(description="Set on a second reading of another lifecycle's customers.")]
    stages: list[StageCount]


class LifecycleList(Struct, frozen=True):
    as_of: Instant
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
    as_of: Instant
    version: int
    stages: list[StageDetail]
    body: Annotated[Any, Meta(description="The definition, exactly as in the playbook.")]


class HistoryPoint(Struct, frozen=True):
    at: Instant
    profiles: Annotated[list[int], Meta(description="Per stage, in the order of `stages`.")]


class History(Struct, frozen=True):
    """Profiles per stage over time, folded from the recorded moves."""

    lifecycle: str
    stages: list[str]
    points: list[HistoryPoint]


class MoveCount(Struct, frozen=True):
    source: Annotated[str | None, Meta(description="The stage left; null for none yet.")]
    target: Annotated[str | None, Meta(description="The stage entered; null for none any more.")]
    profiles: Annotated[int, Meta(ge=0)]


class Mover(Struct, frozen=True):
    profile: Annotated[str, Meta(description="`#` and Keepers' number.")]
    identity: Annotated[str | None, Meta(description="An identifier of it, a user id if there is one.")]
    source: str | None
    target: str | None
    at: Instant
    cause: Annotated[str, Meta(description="What brought the move about, such as `event:Order Completed` or `time`.")]


class Moves(Struct, frozen=True):
    """`is_recorded` false: the difference between both moments, without moves there and back."""

    lifecycle: str
    since: Instant
    until: Instant
    is_recorded: bool
    counts: list[MoveCount]
    latest: list[Mover]


IdParameter = Annotated[str, PathParameter(description="The lifecycle's id.", examples=[Example(value="value")])]
SinceParameter = Annotated[
    str,
    QueryParameter(
        name="since",
        description="From this moment: ISO 8601, or back from `now` as in `-30d`.",
        examples=[Example(value="-30d"), Example(value="2026-01-01")],
        max_length=64,
    ),
]


class Lifecycles(Controller):
    path = "/lifecycles"
    tags = ["lifecycles"]

    @get(
        summary="List lifecycles with their counts",
        responses=answers(LifecycleList, examples.LIFECYCLE_LIST, 400, 422),
        sync_to_thread=True,
    )
    def list_lifecycles(self, desk: AtDesk, now: NowParameter = None, locale: LocaleParameter = "en") -> LifecycleList:
        known = desk.standing().definitions.lifecycles.values()
        items = [
            LifecycleSummary(
                x.id,
                text_in(x.name, locale) or x.id,
                text_in(x.description, locale),
                x.of,
                x.phases_of,
                [StageCount(c.stage, _name(c.name, c.stage, locale), c.profiles) for c in _counts(desk, x, now)],
            )
            for x in sorted(known, key=lambda x: x.id)
        ]
        return LifecycleList(shown(moment(desk, now)) or "", items)

    @get(
        "/{id:str}",
        summary="One lifecycle",
        description="Its stages in order: count, rule as a sentence, needs, signals, touchpoints, metrics.",
        responses=answers(LifecycleDetail, examples.LIFECYCLE, 400, 404, 422),
        sync_to_thread=True,
    )
    def one_lifecycle(
        self, desk: AtDesk, id: IdParameter, now: NowParameter = None, locale: LocaleParameter = "en"
    ) -> LifecycleDetail:
        lifecycle = measure_stages.find_lifecycle(desk.standing(), id)
        live = desk.in_force()
        key = f"lifecycle/{id}"
        counted = {c.stage: c.profiles for c in _counts(desk, lifecycle, now)}
        return LifecycleDetail(
            lifecycle.id,
            text_in(lifecycle.name, locale) or lifecycle.id,
            text_in(lifecycle.description, locale),
            lifecycle.of,
            shown(moment(desk, now)) or "",
            live.versions[key],
            [_detail(stage, counted[stage.id], locale) for stage in lifecycle.stages],
            live.playbook.bodies[key],
        )

    @get(
        "/{id:str}/history",
        summary="Stages over time",
        responses=answers(History, examples.HISTORY, 400, 404, 422),
        sync_to_thread=True,
    )
    def history(
        self,
        desk: AtDesk,
        id: IdParameter,
        since: SinceParameter = "-365d",
        step: Annotated[
            str,
            QueryParameter(
                name="step",
                description="Time between two points, `6h`, `1d`, `1w`.",
                pattern=r"^[0-9]{1,4}[mhdw]$",
            ),
        ] = "1w",
        now: NowParameter = None,
    ) -> History:
        standing = desk.standing()
        lifecycle = measure_stages.find_lifecycle(standing, id)
        until = moment(desk, now)
        start = parse_moment(since, desk.zone)
        begin = start.at if start.at is not None else until + start.offset
        span = parse_duration(step)
        if begin > until:
            raise UserError(f"since {since} lies after {shown(until)}, where the history ends.", field="since")
        if span <= timedelta(0) or (until - begin) / span > MOST_POINTS:
            raise UserError(f"That is more than {MOST_POINTS:,} points. Ask for a longer step.", field="step")
        seconds = f"{int(span.total_seconds())} seconds"
        points = measure_stages.history(desk.answerer, standing, lifecycle, begin, until, seconds)
        return History(
            lifecycle.id,
            [s.id for s in lifecycle.stages],
            [HistoryPoint(shown(p.at) or "", list(p.profiles)) for p in points],
        )

    @get(
        "/{id:str}/moves",
        summary="Who moved, from where to where",
        description="Counts of all moves since a moment, and the latest of them.",
        responses=answers(Moves, examples.MOVES, 400, 404, 422),
        sync_to_thread=True,
    )
    def moves(
        self,
        desk: AtDesk,
        id: IdParameter,
        since: SinceParameter = "-7d",
        now: NowParameter = None,
        limit: Annotated[int, QueryParameter(name="limit", ge=0, le=200, description="Most latest moves.")] = 20,
    ) -> Moves:
        standing = desk.standing()
        lifecycle = measure_stages.find_lifecycle(standing, id)
        until = moment(desk, now)
        start = parse_moment(since, desk.zone)
        begin = start.at if start.at is not None else until + start.offset
        if begin > until:
            raise UserError(f"since {since} lies after {shown(until)}, up to which moves are counted.", field="since")
        found = measure_moves.moves(desk.answerer, standing, lifecycle, begin, until, limit)
        with desk.store.read() as connection:
            named = identities.of_profiles(connection, [m.profile_id for m in found.latest])
        return Moves(
            found.lifecycle,
            shown(found.since) or "",
            shown(found.until) or "",
            found.is_recorded,
            [MoveCount(c.source or None, c.target or None, c.profiles) for c in found.counts],
            [
                Mover(
                    f"#{m.profile_id}",
                    named[m.profile_id][-1].value if m.profile_id in named else None,
                    m.source or None,
                    m.target or None,
                    shown(m.at) or "",
                    m.cause,
                )
                for m in found.latest
            ],
        )


def _counts(desk: Desk, lifecycle: Lifecycle, now: str | None) -> list[measure_stages.StageCount]:
    if now is None:
        return measure_stages.current(desk.answerer, desk.standing(), lifecycle)
    return measure_stages.stages(desk.answerer, desk.standing(), lifecycle, moment(desk, now))


def _name(name: Any, id: str, locale: str) -> str:
    return text_in(name, locale) or id


def _detail(stage: Stage, profiles: int, locale: str) -> StageDetail:
    return StageDetail(
        stage.id,
        _name(stage.name, stage.id, locale),
        profiles,
        describe(stage.when, locale),
        text_in(stage.description, locale),
        [text_in(t, locale) for t in stage.needs],
        [text_in(t, locale) for t in stage.signals],
        [text_in(t, locale) for t in stage.touchpoints],
        [text_in(t, locale) for t in stage.metrics],
    )
