"""Stages, history, moves."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta, Struct

from keepers.app.workspace.common_fields import Instant, moment, moment_named, shown
from keepers.app.workspace.desk import WorkspaceApi
from keepers.app.workspace.progress import Progress
from keepers.app.workspace.workspace import Workspace
from keepers.conditions.definitions import Lifecycle, Stage
from keepers.conditions.wording import describe
from keepers.model.errors import UserError
from keepers.model.moments import Moment, format_instant, parse_duration, parse_moment
from keepers.model.texts import text_in
from keepers.reports import moves as measure_moves
from keepers.reports import stages as measure_stages
from keepers.store.profiles import identities

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


def _counts(desk: WorkspaceApi, lifecycle: Lifecycle, now: str | None) -> list[measure_stages.StageCount]:
    if now is None:
        return measure_stages.current(desk.answerer, desk.standing(), lifecycle)
    return measure_stages.stages(desk.answerer, desk.standing(), lifecycle, moment_named(desk, now))


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


def stages(workspace: Workspace, progress: Progress, lifecycle: str | None = None, now: str | None = None) -> Any:
    """Profiles per stage, in order."""
    at = moment(workspace, now)
    standing = workspace.standing(at)
    chosen = measure_stages.find_lifecycle(standing, lifecycle)
    found = measure_stages.stages(workspace.answerer, standing, chosen, at)
    return {
        "lifecycle": chosen.id,
        "name": chosen.name,
        "as_of": format_instant(at),
        "stages": [{"stage": s.stage, "profiles": s.profiles, "name": s.name} for s in found],
    }


def moves(
    workspace: Workspace, progress: Progress, since: str, lifecycle: str | None = None, now: str | None = None
) -> Any:
    """Who moved since a moment, from where to where."""
    until = moment(workspace, now)
    start = _back_to(since, workspace.zone)
    standing = workspace.standing(until)
    chosen = measure_stages.find_lifecycle(standing, lifecycle)
    begin = start.at if start.at is not None else until + start.offset
    if begin > until:
        raise UserError(f"--since {since} lies after {format_instant(until)}, up to which moves are counted.")
    found = measure_moves.moves(workspace.answerer, standing, chosen, begin, until)
    with workspace.store.read() as connection:
        names = identities.of_profiles(connection, [mover.profile_id for mover in found.latest])
    latest = tuple(
        msgspec.structs.replace(m, profile=names[m.profile_id][-1].value) if m.profile_id in names else m
        for m in found.latest
    )
    return shown(msgspec.structs.replace(found, latest=latest))


def _back_to(since: str, zone: ZoneInfo) -> Moment:
    """A moment, or how far back: `30d` is `30d ago`, as a span ahead is never meant here."""
    try:
        return Moment(offset=-parse_duration(since))
    except UserError:
        return parse_moment(since, zone)
