"""Segments over HTTP: what there is with counts, and who is in one."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from litestar import Controller, get
from litestar.openapi.spec import Example
from litestar.params import PathParameter
from msgspec import Meta, Struct

from keepers.api import examples
from keepers.api.desk import Desk
from keepers.api.parameters import (
    AtDesk,
    CursorParameter,
    Instant,
    LimitParameter,
    LocaleParameter,
    NowParameter,
    moment,
    shown,
    unseal,
)
from keepers.api.problems import answers
from keepers.api.profiles import ProfilePage, page_of
from keepers.audience.definitions import Segment
from keepers.audience.wording import describe
from keepers.measure import profiles as listings
from keepers.measure.segments import counts
from keepers.model.definitions import text_in
from keepers.model.errors import NotFoundError, nearest


class SegmentSummary(Struct, frozen=True):
    """A segment in force."""

    id: str
    name: str
    description: str
    of: Literal["person", "account"]
    says: Annotated[str, Meta(description="Its condition as a sentence.")]
    count: Annotated[int, Meta(ge=0, description="How many are in it.")]


class SegmentList(Struct, frozen=True):
    as_of: Instant
    items: list[SegmentSummary]


class SegmentDetail(Struct, frozen=True):
    """A segment in force with its condition as the playbook has it."""

    id: str
    name: str
    description: str
    of: Literal["person", "account"]
    says: str
    count: Annotated[int, Meta(ge=0)]
    as_of: Instant
    version: int
    who: Annotated[Any, Meta(description="The condition, exactly as in the playbook.")]


IdParameter = Annotated[str, PathParameter(description="The segment's id.", examples=[Example(value="lapsed_vip")])]


class Segments(Controller):
    path = "/segments"
    tags = ["segments"]

    @get(
        summary="List segments with their counts",
        responses=answers(SegmentList, examples.SEGMENT_LIST, 400, 422),
        sync_to_thread=True,
    )
    def list_segments(self, desk: AtDesk, now: NowParameter = None, locale: LocaleParameter = "en") -> SegmentList:
        standing = desk.standing()
        at = moment(desk, now)
        chosen = list(standing.definitions.segments.values())
        numbers = counts(desk.answerer, standing, [s.id for s in chosen], None if now is None else at)
        items = [_summary(s, numbers[s.id], locale) for s in sorted(chosen, key=lambda s: s.id)]
        return SegmentList(shown(at) or "", items)

    @get(
        "/{id:str}",
        summary="One segment",
        responses=answers(SegmentDetail, examples.SEGMENT, 400, 404, 422),
        sync_to_thread=True,
    )
    def one_segment(
        self, desk: AtDesk, id: IdParameter, now: NowParameter = None, locale: LocaleParameter = "en"
    ) -> SegmentDetail:
        segment = _known(desk, id)
        at = moment(desk, now)
        live = desk.in_force()
        number = counts(desk.answerer, desk.standing(), [id], None if now is None else at)[id]
        s = _summary(segment, number, locale)
        key = f"segment/{id}"
        body = live.playbook.bodies[key]
        return SegmentDetail(
            s.id, s.name, s.description, s.of, s.says, s.count, shown(at) or "", live.versions[key], body["who"]
        )

    @get(
        "/{id:str}/members",
        summary="Who is in a segment",
        description="By number, each with the time since which it is in, where that was recorded.",
        responses=answers(ProfilePage, examples.PROFILE_PAGE, 400, 404, 422),
        sync_to_thread=True,
    )
    def members(
        self,
        desk: AtDesk,
        id: IdParameter,
        now: NowParameter = None,
        limit: LimitParameter = 50,
        cursor: CursorParameter = None,
    ) -> ProfilePage:
        _known(desk, id)
        at = None if now is None else moment(desk, now)
        listing = ("members", id, now)
        after = unseal(desk.secret, listing, cursor)[0] if cursor is not None else -1
        wanted = listings.Wanted(place=(f"segment:{id}", 1))
        rows = listings.listed(desk.answerer, desk.standing(), wanted, at, after, limit + 1)
        return page_of(desk, rows, limit, listing, at)


def _known(desk: Desk, id: str) -> Segment:
    known = desk.standing().definitions.segments
    if id not in known:
        raise NotFoundError(f"There is no segment “{id}” in force.{nearest(id, known)}")
    return known[id]


def _summary(s: Segment, count: int, locale: str) -> SegmentSummary:
    return SegmentSummary(
        s.id, text_in(s.name, locale) or s.id, text_in(s.description, locale), s.of, describe(s.who, locale), count
    )
