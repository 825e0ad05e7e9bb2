"""Profiles: the listing, one profile with its traits, stages and reasons, and its timeline."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from keepers.app.use_cases.actor import Actor
from keepers.app.use_cases.common_fields import Cursor, Limit, Next, Now, ProfileName, RequestedLocale, moment
from keepers.app.use_cases.paging import seal, unseal
from keepers.app.use_cases.use_case import use_case
from keepers.app.workspace.workspace import Workspace
from keepers.model.errors import NotFoundError, UserError, nearest, problem
from keepers.model.fields import text_in
from keepers.model.moments import format_instant
from keepers.reports import profile_list as listings
from keepers.reports.profile_report import Clause as Explained
from keepers.reports.profile_report import Membership as ReportedMembership
from keepers.reports.profile_report import RecentEvent, report_profile
from keepers.store.profiles import identities

_BATCH = 2_000


class ListProfiles(Struct, frozen=True, kw_only=True):
    id: Annotated[str, Meta(description="Exactly this identity, or `#12`.")] | None = None
    search: (
        Annotated[str, Meta(description="Part of an identity or of a text trait.", min_length=1, max_length=200)] | None
    ) = None
    trait: (
        Annotated[
            str,
            Meta(
                description="A trait's present value, `name:value`.",
                examples=["country:PL"],
                pattern="^[^:]+:",
                max_length=500,
            ),
        ]
        | None
    ) = None
    kind: Annotated[Literal["person", "account"], Meta(description="Only people, or only accounts.")] | None = None
    segment: Annotated[str, Meta(description="In this segment.")] | None = None
    stage: (
        Annotated[
            str,
            Meta(description="In this stage, `lifecycle.stage`.", examples=["value.loyal"], pattern=r"^[^.]+\.[^.]+$"),
        ]
        | None
    ) = None
    now: Now = None
    limit: Limit = 50
    cursor: Cursor = None


class ReadProfile(Struct, frozen=True, kw_only=True):
    id: ProfileName
    now: Now = None
    locale: RequestedLocale = "en"


class ReadTimeline(Struct, frozen=True, kw_only=True):
    id: ProfileName
    now: Now = None
    limit: Limit = 50
    cursor: Cursor = None


class Identifier(Struct, frozen=True):
    kind: Annotated[str, Meta(description="`user_id`, `anonymous_id` or `group_id`.")]
    value: str


class ProfileRow(Struct, frozen=True):
    """A profile in a listing."""

    id: Annotated[str, Meta(description="`#` and Keepers' own number; use it, or any identity, in addresses.")]
    kind: Literal["person", "account"]
    known_since: datetime
    zone: Annotated[str, Meta(description="Its time zone.")]
    identities: list[Identifier]
    traits: dict[str, Any]
    since: Annotated[
        datetime | None, Meta(description="Since when it is in the segment or stage of the filter, where recorded.")
    ] = None


class ProfilePage(Struct, frozen=True):
    items: list[ProfileRow]
    next: Next


class ConditionAnswer(Struct, frozen=True):
    """A condition and its answer; `seen` are the figures of a leaf, `parts` the conditions inside a group."""

    says: str
    holds: bool
    seen: dict[str, Any]
    parts: list[ConditionAnswer]


class SegmentAnswer(Struct, frozen=True, rename={"is_in": "in"}):
    id: str
    name: str
    is_in: bool
    since: datetime | None
    why: ConditionAnswer


class LifecyclePlace(Struct, frozen=True):
    lifecycle: str
    name: str
    stage: Annotated[str | None, Meta(description="The last stage whose conditions hold; null for none.")]
    since: datetime | None
    stages: list[SegmentAnswer]


class Profile(Struct, frozen=True):
    """One profile as of a moment: traits, stages and segments, and the conditions that decide them."""

    id: str
    kind: Literal["person", "account"]
    as_of: datetime
    known_since: datetime
    zone: str
    identities: list[Identifier]
    traits: dict[str, Any]
    rhythm: Annotated[dict[str, Any], Meta(description="Computed traits of its own cycle, such as `due_at`.")]
    segments: list[SegmentAnswer]
    lifecycles: list[LifecyclePlace]
    last_events: Annotated[list[RecentEvent], Meta(description="What it did last, latest first.")]


class TimelineEntry(Struct, frozen=True):
    time: datetime
    kind: Annotated[str, Meta(description="`track`, `page` …, or `change` for entering and leaving.")]
    name: Annotated[str, Meta(description="The event, or the segment or lifecycle moved in.")]
    data: Annotated[dict[str, Any], Meta(description="Properties of the event; `from`, `to` and `cause` of a change.")]


class TimelinePage(Struct, frozen=True):
    items: list[TimelineEntry]
    next: Next


@use_case("GET /profiles", permission="read", problems=(404, 422))
def list_profiles(workspace: Workspace, actor: Actor, request: ListProfiles) -> ProfilePage:
    """List profiles

    People and accounts, oldest number first. Filters add up. A profile that was merged into another is not listed.
    Segment and stage are as the last tick left them, or as of `now`.
    """
    name, _, value = (request.trait or "").partition(":")
    place = _place(workspace, request.segment, request.stage)
    wanted = listings.Wanted(request.kind, (name, value) if request.trait else None, place)
    at = None if request.now is None else moment(workspace, request.now)
    filters = (
        "profiles",
        request.id,
        request.search,
        request.trait,
        request.kind,
        request.segment,
        request.stage,
        request.now,
    )
    after = unseal(workspace.cursor_secret, filters, request.cursor)[0] if request.cursor is not None else -1
    if request.id is not None:
        rows = _only(workspace, wanted, at, after, request.id)
    elif request.search is not None:
        rows = _found(workspace, wanted, at, after, request.limit + 1, request.search)
    else:
        rows = listings.listed(workspace.evaluator, workspace.active_queries(), wanted, at, after, request.limit + 1)
    return page_of(workspace, rows, request.limit, filters, at)


@use_case("GET /profiles/{id}", permission="read", problems=(404, 422))
def read_profile(workspace: Workspace, actor: Actor, request: ReadProfile) -> Profile:
    """One profile, with the reasons for its segments and stages"""
    at = moment(workspace, request.now)
    found = profile_of(workspace, workspace.find_profile(request.id), at, request.locale)
    if found is None:
        raise NotFoundError(problem("“{id}” was not known yet at {at}.", id=request.id, at=format_instant(at)))
    return found


def profile_of(workspace: Workspace, profile_id: int, at: datetime, locale: str) -> Profile | None:
    """A profile as of a moment; None when it was not known yet."""
    found = report_profile(workspace.evaluator, workspace.active_queries(at), profile_id, at, locale)
    if found is None:
        return None
    return Profile(
        f"#{profile_id}",
        found.kind,  # type: ignore[arg-type]
        at,
        found.known_since,
        found.zone,
        _identifiers(workspace, [profile_id]).get(profile_id, []),
        found.traits,
        found.computed,
        [_membership(m, locale) for m in found.segments],
        [
            LifecyclePlace(
                p.lifecycle, text_in(p.name, locale), p.stage, p.since, [_membership(s, locale) for s in p.stages]
            )
            for p in found.lifecycles
        ],
        list(found.events),
    )


@use_case("GET /profiles/{id}/timeline", permission="read", problems=(404, 422))
def read_timeline(workspace: Workspace, actor: Actor, request: ReadTimeline) -> TimelinePage:
    """What one profile did and where it moved

    Latest first: events, and entries to and exits from segments and stages.
    """
    profile_id = workspace.find_profile(request.id)
    listing = ("timeline", profile_id, request.now)
    before: listings.Position | None = None
    if request.cursor is not None:
        # All pages of one listing are as of the same moment, although ticks continue.
        as_of, time, kind, number = unseal(workspace.cursor_secret, listing, request.cursor)
        at, before = datetime.fromisoformat(as_of), (datetime.fromisoformat(time), kind, number)
    else:
        at = moment(workspace, request.now)
    found = listings.timeline(workspace.evaluator, profile_id, at, before, request.limit + 1)
    following = None
    if len(found) > request.limit:
        last = found[request.limit - 1]
        position = [at.isoformat(), last.time.isoformat(), last.kind, last.number]
        following = seal(workspace.cursor_secret, listing, position)
    return TimelinePage([TimelineEntry(e.time, e.kind, e.name, e.data) for e in found[: request.limit]], following)


def page_of(
    workspace: Workspace, rows: list[listings.Row], limit: int, listing: tuple[object, ...], at: datetime | None
) -> ProfilePage:
    """A page of a listing whose rows were asked for with one more than `limit`."""
    kept = rows[:limit]
    ids = [row.profile_id for row in kept]
    named = _identifiers(workspace, ids)
    traits = listings.current_traits(workspace.evaluator, ids, at or workspace.now())
    items = [
        ProfileRow(
            f"#{r.profile_id}",
            r.kind,  # type: ignore[arg-type]
            r.created_at,
            r.zone,
            named.get(r.profile_id, []),
            traits.get(r.profile_id, {}),
            r.since,
        )
        for r in kept
    ]
    return ProfilePage(items, seal(workspace.cursor_secret, listing, [ids[-1]]) if len(rows) > limit else None)


def _only(
    workspace: Workspace, wanted: listings.Wanted, at: datetime | None, after: int, name: str
) -> list[listings.Row]:
    try:
        found = workspace.find_profile(name)
    except NotFoundError:
        return []
    return listings.listed(workspace.evaluator, workspace.active_queries(), _among(wanted, [found]), at, after, 1)


def _found(
    workspace: Workspace, wanted: listings.Wanted, at: datetime | None, after: int, limit: int, text: str
) -> list[listings.Row]:
    """Those past `after` whose identities or traits contain the text, from both stores, in the order of ids."""
    rows: list[listings.Row] = []
    while len(rows) < limit:
        with workspace.store.read() as connection:
            named = identities.search(connection, text, after, _BATCH)
        holding = listings.holding_text(workspace.evaluator, text, after, _BATCH)
        ids = sorted({*named, *holding})[:_BATCH]
        if not ids:
            break
        wanted = _among(wanted, ids)
        rows += listings.listed(workspace.evaluator, workspace.active_queries(), wanted, at, after, limit - len(rows))
        after = ids[-1]
    return rows


def _among(wanted: listings.Wanted, ids: list[int]) -> listings.Wanted:
    return listings.Wanted(wanted.kind, wanted.trait, wanted.place, tuple(ids))


def _place(workspace: Workspace, segment: str | None, stage: str | None) -> tuple[str, int] | None:
    known = workspace.active_queries().definitions
    if segment is not None and stage is not None:
        raise UserError(problem("Filter by a segment or by a stage, not by both at once."), field="stage")
    if segment is not None:
        if segment not in known.segments:
            raise NotFoundError(
                problem("There is no segment “{name}” in force.", near=nearest(segment, known.segments), name=segment)
            )
        return f"segment:{segment}", 1
    if stage is None:
        return None
    lifecycle, _, name = stage.partition(".")
    if lifecycle not in known.lifecycles:
        raise NotFoundError(
            problem(
                "There is no lifecycle “{name}” in force.",
                near=nearest(lifecycle, known.lifecycles),
                name=lifecycle,
            )
        )
    stages = [s.id for s in known.lifecycles[lifecycle].stages]
    if name not in stages:
        raise NotFoundError(
            problem(
                "The lifecycle “{lifecycle}” has no stage “{name}”.",
                near=nearest(name, stages),
                lifecycle=lifecycle,
                name=name,
            )
        )
    return f"lifecycle:{lifecycle}", stages.index(name) + 1


def _identifiers(workspace: Workspace, ids: list[int]) -> dict[int, list[Identifier]]:
    with workspace.store.read() as connection:
        found = identities.of_profiles(connection, ids)
    return {i: [Identifier(n.kind, n.value) for n in names] for i, names in found.items()}


def _membership(membership: ReportedMembership, locale: str) -> SegmentAnswer:
    m = membership
    return SegmentAnswer(m.id, text_in(m.name, locale), m.is_in, m.since, _clause(m.why))


def _clause(clause: Explained) -> ConditionAnswer:
    return ConditionAnswer(clause.says, clause.holds, clause.seen, [_clause(p) for p in clause.parts])
