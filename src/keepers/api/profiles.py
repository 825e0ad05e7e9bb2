"""Profiles over HTTP: who there is, one with all that is known and why, and what one did."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from litestar import Controller, get
from litestar.openapi.spec import Example
from litestar.params import PathParameter, QueryParameter
from msgspec import Meta, Struct

from keepers.api import examples
from keepers.api.desk import Desk
from keepers.api.parameters import (
    TEXT,
    AtDesk,
    CursorParameter,
    Instant,
    LimitParameter,
    LocaleParameter,
    Next,
    NowParameter,
    moment,
    seal,
    shown,
    unseal,
)
from keepers.api.problems import answers
from keepers.measure import profiles as listings
from keepers.measure.portrait import Clause as Explained
from keepers.measure.portrait import Membership as Standing
from keepers.measure.portrait import portrait
from keepers.model.definitions import text_in
from keepers.model.errors import NotFoundError, UserError, nearest
from keepers.store import identities

_BATCH = 2_000


class Identifier(Struct, frozen=True):
    kind: Annotated[str, Meta(description="`user_id`, `anonymous_id` or `group_id`.")]
    value: str


class ProfileRow(Struct, frozen=True):
    """A profile in a listing."""

    id: Annotated[str, Meta(description="`#` and Keepers' own number; use it, or any identity, in addresses.")]
    kind: Literal["person", "account"]
    known_since: Instant
    zone: Annotated[str, Meta(description="Its time zone.")]
    identities: list[Identifier]
    traits: dict[str, Any]
    since: Annotated[
        Instant | None, Meta(description="Since when it is in the segment or stage asked for, where recorded.")
    ] = None


class ProfilePage(Struct, frozen=True):
    items: list[ProfileRow]
    next: Next


class Clause(Struct, frozen=True):
    """A condition and its answer; `seen` are the figures of a leaf, `parts` the conditions inside a group."""

    says: str
    holds: bool
    seen: dict[str, Any]
    parts: list[Clause]


class Membership(Struct, frozen=True, rename={"is_in": "in"}):
    id: str
    name: str
    is_in: bool
    since: Instant | None
    why: Clause


class Place(Struct, frozen=True):
    lifecycle: str
    name: str
    stage: Annotated[str | None, Meta(description="The last stage whose conditions hold; null for none.")]
    since: Instant | None
    stages: list[Membership]


class Profile(Struct, frozen=True):
    """All about one profile as of a moment, and why it stands where it does."""

    id: str
    kind: Literal["person", "account"]
    as_of: Instant
    known_since: Instant
    zone: str
    identities: list[Identifier]
    traits: dict[str, Any]
    rhythm: Annotated[dict[str, Any], Meta(description="Computed traits of its own cycle, such as `due_at`.")]
    segments: list[Membership]
    lifecycles: list[Place]


class TimelineEntry(Struct, frozen=True):
    time: Instant
    kind: Annotated[str, Meta(description="`track`, `page` …, or `change` for entering and leaving.")]
    name: Annotated[str, Meta(description="The event, or the segment or lifecycle moved in.")]
    data: Annotated[dict[str, Any], Meta(description="Properties of the event; `from`, `to` and `cause` of a change.")]


class TimelinePage(Struct, frozen=True):
    items: list[TimelineEntry]
    next: Next


NameParameter = Annotated[
    str,
    PathParameter(
        description="A user id, anonymous id or group id, or `#` and Keepers' number (`%2312`).",
        examples=[Example(value="#1")],
        max_length=512,
    ),
]


class Profiles(Controller):
    path = "/profiles"
    tags = ["profiles"]

    @get(
        summary="List profiles",
        description=(
            "People and accounts, oldest number first. Filters add up. A profile that was merged into another is not "
            "listed. Segment and stage are as the last tick left them, or as of `now`."
        ),
        responses=answers(ProfilePage, examples.PROFILE_PAGE, 400, 404, 422),
        sync_to_thread=True,
    )
    def list_profiles(
        self,
        desk: AtDesk,
        id: Annotated[
            str | None, QueryParameter(name="id", description="Exactly this identity, or `#12`.", schema_extra=TEXT)
        ] = None,
        search: Annotated[
            str | None,
            QueryParameter(
                name="search",
                description="Part of an identity or of a text trait.",
                min_length=1,
                max_length=200,
                schema_extra=TEXT,
            ),
        ] = None,
        trait: Annotated[
            str | None,
            QueryParameter(
                name="trait",
                description="A trait's present value, `name:value`.",
                examples=[Example(value="country:PL")],
                pattern="^[^:]+:",
                max_length=500,
                schema_extra=TEXT,
            ),
        ] = None,
        kind: Annotated[
            Literal["person", "account"] | None,
            QueryParameter(name="kind", description="Whose.", schema_extra=TEXT | {"enum": ["person", "account"]}),
        ] = None,
        segment: Annotated[
            str | None, QueryParameter(name="segment", description="In this segment.", schema_extra=TEXT)
        ] = None,
        stage: Annotated[
            str | None,
            QueryParameter(
                name="stage",
                description="In this stage, `lifecycle.stage`.",
                examples=[Example(value="value.loyal")],
                pattern=r"^[^.]+\.[^.]+$",
                schema_extra=TEXT,
            ),
        ] = None,
        now: NowParameter = None,
        limit: LimitParameter = 50,
        cursor: CursorParameter = None,
    ) -> ProfilePage:
        name, _, value = (trait or "").partition(":")
        wanted = listings.Wanted(kind, (name, value) if trait else None, _place(desk, segment, stage))
        at = None if now is None else moment(desk, now)
        filters = ("profiles", id, search, trait, kind, segment, stage, now)
        after = unseal(desk.secret, filters, cursor)[0] if cursor is not None else -1
        if id is not None:
            rows = _only(desk, wanted, at, after, id)
        elif search is not None:
            rows = _found(desk, wanted, at, after, limit + 1, search)
        else:
            rows = listings.listed(desk.answerer, desk.standing(), wanted, at, after, limit + 1)
        return page_of(desk, rows, limit, filters, at)

    @get(
        "/{id:str}",
        summary="One profile, and why it stands where it does",
        responses=answers(Profile, examples.PROFILE, 400, 404, 422),
        sync_to_thread=True,
    )
    def one_profile(
        self, desk: AtDesk, id: NameParameter, now: NowParameter = None, locale: LocaleParameter = "en"
    ) -> Profile:
        at = moment(desk, now)
        profile_id = desk.find_profile(id)
        found = portrait(desk.answerer, desk.standing(), profile_id, at, locale, last=0)
        if found is None:
            raise NotFoundError(f"“{id}” was not known yet at {shown(at)}.")
        return Profile(
            f"#{profile_id}",
            found.kind,  # type: ignore[arg-type]
            _instant(at),
            _instant(found.known_since),
            found.zone,
            _identifiers(desk, [profile_id]).get(profile_id, []),
            found.traits,
            {name: shown(v) if isinstance(v, datetime) else v for name, v in found.computed.items()},
            [_membership(m, locale) for m in found.segments],
            [
                Place(
                    p.lifecycle,
                    text_in(p.name, locale),
                    p.stage,
                    shown(p.since),
                    [_membership(s, locale) for s in p.stages],
                )
                for p in found.lifecycles
            ],
        )

    @get(
        "/{id:str}/timeline",
        summary="What one profile did and where it moved",
        description="Latest first: events, and entries to and exits from segments and stages.",
        responses=answers(TimelinePage, examples.TIMELINE_PAGE, 400, 404, 422),
        sync_to_thread=True,
    )
    def timeline(
        self,
        desk: AtDesk,
        id: NameParameter,
        now: NowParameter = None,
        limit: LimitParameter = 50,
        cursor: CursorParameter = None,
    ) -> TimelinePage:
        profile_id = desk.find_profile(id)
        listing = ("timeline", profile_id, now)
        before: listings.Position | None = None
        if cursor is not None:
            # Pages of one listing are as of one moment, though ticks go on meanwhile.
            asked, time, kind, number = unseal(desk.secret, listing, cursor)
            at, before = datetime.fromisoformat(asked), (datetime.fromisoformat(time), kind, number)
        else:
            at = moment(desk, now)
        found = listings.timeline(desk.answerer, profile_id, at, before, limit + 1)
        following = None
        if len(found) > limit:
            last = found[limit - 1]
            position = [at.isoformat(), last.time.isoformat(), last.kind, last.number]
            following = seal(desk.secret, listing, position)
        return TimelinePage([TimelineEntry(_instant(e.time), e.kind, e.name, e.data) for e in found[:limit]], following)


def page_of(
    desk: Desk, rows: list[listings.Row], limit: int, listing: tuple[object, ...], at: datetime | None
) -> ProfilePage:
    """A page of a listing whose rows were asked for with one more than `limit`."""
    kept = rows[:limit]
    ids = [row.profile_id for row in kept]
    named = _identifiers(desk, ids)
    traits = listings.current_traits(desk.answerer, ids, at or desk.now())
    items = [
        ProfileRow(
            f"#{r.profile_id}",
            r.kind,  # type: ignore[arg-type]
            _instant(r.created_at),
            r.zone,
            named.get(r.profile_id, []),
            traits.get(r.profile_id, {}),
            shown(r.since),
        )
        for r in kept
    ]
    return ProfilePage(items, seal(desk.secret, listing, [ids[-1]]) if len(rows) > limit else None)


def _only(desk: Desk, wanted: listings.Wanted, at: datetime | None, after: int, name: str) -> list[listings.Row]:
    try:
        found = desk.find_profile(name)
    except NotFoundError:
        return []
    return listings.listed(desk.answerer, desk.standing(), _among(wanted, [found]), at, after, 1)


def _found(
    desk: Desk, wanted: listings.Wanted, at: datetime | None, after: int, limit: int, text: str
) -> list[listings.Row]:
    """Those past `after` whose identities or traits contain the text, from both stores, in the order of ids."""
    rows: list[listings.Row] = []
    while len(rows) < limit:
        with desk.store.read() as connection:
            named = identities.search(connection, text, after, _BATCH)
        holding = listings.holding_text(desk.answerer, text, after, _BATCH)
        ids = sorted({*named, *holding})[:_BATCH]
        if not ids:
            break
        wanted = _among(wanted, ids)
        rows += listings.listed(desk.answerer, desk.standing(), wanted, at, after, limit - len(rows))
        after = ids[-1]
    return rows


def _among(wanted: listings.Wanted, ids: list[int]) -> listings.Wanted:
    return listings.Wanted(wanted.kind, wanted.trait, wanted.place, tuple(ids))


def _place(desk: Desk, segment: str | None, stage: str | None) -> tuple[str, int] | None:
    known = desk.standing().definitions
    if segment is not None and stage is not None:
        raise UserError("Filter by a segment or by a stage, not by both at once.", field="stage")
    if segment is not None:
        if segment not in known.segments:
            raise NotFoundError(f"There is no segment “{segment}” in force.{nearest(segment, known.segments)}")
        return f"segment:{segment}", 1
    if stage is None:
        return None
    lifecycle, _, name = stage.partition(".")
    if lifecycle not in known.lifecycles:
        raise NotFoundError(f"There is no lifecycle “{lifecycle}” in force.{nearest(lifecycle, known.lifecycles)}")
    stages = [s.id for s in known.lifecycles[lifecycle].stages]
    if name not in stages:
        raise NotFoundError(f"The lifecycle “{lifecycle}” has no stage “{name}”.{nearest(name, stages)}")
    return f"lifecycle:{lifecycle}", stages.index(name) + 1


def _identifiers(desk: Desk, ids: list[int]) -> dict[int, list[Identifier]]:
    with desk.store.read() as connection:
        found = identities.of_profiles(connection, ids)
    return {i: [Identifier(n.kind, n.value) for n in names] for i, names in found.items()}


def _membership(membership: Standing, locale: str) -> Membership:
    m = membership
    return Membership(m.id, text_in(m.name, locale), m.is_in, shown(m.since), _clause(m.why))


def _clause(clause: Explained) -> Clause:
    seen = {name: shown(v) if isinstance(v, datetime) else v for name, v in clause.seen.items()}
    return Clause(clause.says, clause.holds, seen, [_clause(p) for p in clause.parts])


def _instant(at: datetime) -> str:
    found = shown(at)
    assert found is not None
    return found
