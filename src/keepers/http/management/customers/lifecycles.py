"""Lifecycles over HTTP: stages with counts, their history, and who moved."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from litestar import Controller, get
from litestar.openapi.spec import Example
from litestar.params import PathParameter, QueryParameter

from keepers.app.customers.lifecycles import (
    MOST_POINTS,
    History,
    HistoryPoint,
    LifecycleDetail,
    LifecycleList,
    LifecycleSummary,
    MoveCount,
    Mover,
    Moves,
    StageCount,
    _counts,
    _detail,
    _name,
)
from keepers.app.workspace.common_fields import moment_named, shown_instant
from keepers.http.common.parameters import AtDesk, LocaleParameter, NowParameter
from keepers.http.common.problems import answers
from keepers.http.management import examples_customers as examples
from keepers.model.errors import UserError
from keepers.model.moments import parse_duration, parse_moment
from keepers.model.texts import text_in
from keepers.reports import moves as measure_moves
from keepers.reports import stages as measure_stages
from keepers.store.profiles import identities

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
        return LifecycleList(shown_instant(moment_named(desk, now)) or "", items)

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
            shown_instant(moment_named(desk, now)) or "",
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
        until = moment_named(desk, now)
        start = parse_moment(since, desk.zone)
        begin = start.at if start.at is not None else until + start.offset
        span = parse_duration(step)
        if begin > until:
            raise UserError(f"since {since} lies after {shown_instant(until)}, where the history ends.", field="since")
        if span <= timedelta(0) or (until - begin) / span > MOST_POINTS:
            raise UserError(f"That is more than {MOST_POINTS:,} points. Ask for a longer step.", field="step")
        seconds = f"{int(span.total_seconds())} seconds"
        points = measure_stages.history(desk.answerer, standing, lifecycle, begin, until, seconds)
        return History(
            lifecycle.id,
            [s.id for s in lifecycle.stages],
            [HistoryPoint(shown_instant(p.at) or "", list(p.profiles)) for p in points],
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
        until = moment_named(desk, now)
        start = parse_moment(since, desk.zone)
        begin = start.at if start.at is not None else until + start.offset
        if begin > until:
            raise UserError(
                f"since {since} lies after {shown_instant(until)}, up to which moves are counted.", field="since"
            )
        found = measure_moves.moves(desk.answerer, standing, lifecycle, begin, until, limit)
        with desk.store.read() as connection:
            named = identities.of_profiles(connection, [m.profile_id for m in found.latest])
        return Moves(
            found.lifecycle,
            shown_instant(found.since) or "",
            shown_instant(found.until) or "",
            found.is_recorded,
            [MoveCount(c.source or None, c.target or None, c.profiles) for c in found.counts],
            [
                Mover(
                    f"#{m.profile_id}",
                    named[m.profile_id][-1].value if m.profile_id in named else None,
                    m.source or None,
                    m.target or None,
                    shown_instant(m.at) or "",
                    m.cause,
                )
                for m in found.latest
            ],
        )
