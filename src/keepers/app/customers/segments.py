"""Segments: what there is with counts, and who is in one."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from keepers.app.customers.profiles import ProfilePage, page_of
from keepers.app.use_cases.actor import Actor
from keepers.app.use_cases.common_fields import Cursor, Limit, Now, RequestedLocale, moment
from keepers.app.use_cases.paging import unseal
from keepers.app.use_cases.use_case import use_case
from keepers.app.workspace.workspace import Workspace
from keepers.conditions.definitions import Segment
from keepers.conditions.wording import describe
from keepers.model.errors import NotFoundError, nearest, problem
from keepers.model.fields import text_in
from keepers.reports import profile_list as listings
from keepers.reports.segments import counts

SegmentId = Annotated[str, Meta(description="The segment's id.", examples=["lapsed_vip"])]


class ListSegments(Struct, frozen=True, kw_only=True):
    now: Now = None
    locale: RequestedLocale = "en"


class ReadSegment(Struct, frozen=True, kw_only=True):
    id: SegmentId
    now: Now = None
    locale: RequestedLocale = "en"


class ListMembers(Struct, frozen=True, kw_only=True):
    id: SegmentId
    now: Now = None
    limit: Limit = 50
    cursor: Cursor = None


class SegmentSummary(Struct, frozen=True):
    """A segment in force."""

    id: str
    name: str
    description: str
    of: Literal["person", "account"]
    says: Annotated[str, Meta(description="Its condition as a sentence.")]
    count: Annotated[int, Meta(ge=0, description="How many are in it.")]


class SegmentList(Struct, frozen=True):
    as_of: datetime
    items: list[SegmentSummary]


class SegmentDetail(Struct, frozen=True):
    """A segment in force with its condition as the playbook has it."""

    id: str
    name: str
    description: str
    of: Literal["person", "account"]
    says: str
    count: Annotated[int, Meta(ge=0)]
    as_of: datetime
    version: int
    who: Annotated[Any, Meta(description="The condition, exactly as in the playbook.")]


@use_case("GET /segments", permission="read", problems=(422,))
def list_segments(workspace: Workspace, actor: Actor, request: ListSegments) -> SegmentList:
    """List segments with their counts"""
    queries = workspace.active_queries()
    at = moment(workspace, request.now)
    chosen = list(queries.definitions.segments.values())
    numbers = counts(workspace.evaluator, queries, [s.id for s in chosen], None if request.now is None else at)
    return SegmentList(at, [_summary(s, numbers[s.id], request.locale) for s in sorted(chosen, key=lambda s: s.id)])


@use_case("GET /segments/{id}", permission="read", problems=(404, 422))
def read_segment(workspace: Workspace, actor: Actor, request: ReadSegment) -> SegmentDetail:
    """One segment"""
    segment = _known(workspace, request.id)
    at = moment(workspace, request.now)
    live = workspace.active_playbook()
    number = counts(workspace.evaluator, workspace.active_queries(), [segment.id], None if request.now is None else at)
    s = _summary(segment, number[segment.id], request.locale)
    key = f"segment/{segment.id}"
    body = live.playbook.bodies[key]
    return SegmentDetail(s.id, s.name, s.description, s.of, s.says, s.count, at, live.versions[key], body["who"])


@use_case("GET /segments/{id}/members", permission="read", problems=(404, 422))
def list_members(workspace: Workspace, actor: Actor, request: ListMembers) -> ProfilePage:
    """Who is in a segment

    By number, each with the time since which it is in, where that was recorded.
    """
    _known(workspace, request.id)
    at = None if request.now is None else moment(workspace, request.now)
    listing = ("members", request.id, request.now)
    after = unseal(workspace.cursor_secret, listing, request.cursor)[0] if request.cursor is not None else -1
    wanted = listings.Wanted(place=(f"segment:{request.id}", 1))
    rows = listings.listed(workspace.evaluator, workspace.active_queries(), wanted, at, after, request.limit + 1)
    return page_of(workspace, rows, request.limit, listing, at)


def _known(workspace: Workspace, id: str) -> Segment:
    known = workspace.active_queries().definitions.segments
    if id not in known:
        raise NotFoundError(problem("There is no segment “{name}” in force.", near=nearest(id, known), name=id))
    return known[id]


def _summary(s: Segment, count: int, locale: str) -> SegmentSummary:
    return SegmentSummary(
        s.id, text_in(s.name, locale) or s.id, text_in(s.description, locale), s.of, describe(s.who, locale), count
    )
