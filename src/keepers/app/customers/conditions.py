"""Conditions that are in no playbook: how many profiles they match, and their text."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta, Struct

from keepers.app.use_cases.actor import Actor
from keepers.app.use_cases.common_fields import Now, RequestedLocale, moment
from keepers.app.use_cases.use_case import use_case
from keepers.app.workspace.workspace import Workspace
from keepers.conditions.definitions import Segment
from keepers.conditions.wording import describe
from keepers.model.errors import DefinitionError, NotFoundError, UserError, nearest, problem
from keepers.playbook.load import read_file
from keepers.playbook.preview import PreviewedCondition, read_preview, refuse_unknown

Condition = Annotated[
    Any,
    Meta(
        title="Condition",
        description=(
            "A condition exactly as in the playbook, as JSON: `{did: …}`, `{trait: …}`, `{all: […]}`, `anyone`; or a "
            "segment with `who`, and `of: account` to ask about accounts. Names are checked against what has arrived."
        ),
        examples=[
            {
                "all": [
                    {"did": "Order Completed", "count": {"gte": 2}},
                    {"did_not": "Order Completed", "within": "60d"},
                ]
            },
            "anyone",
        ],
        extra_json_schema={
            "extra": {"oneOf": [{"type": "object"}, {"type": "string", "enum": ["anyone", "nobody"]}]},
        },
    ),
]


class CountCondition(Struct, frozen=True, kw_only=True):
    condition: Condition
    now: Now = None


class CountConditionFile(Struct, frozen=True, kw_only=True):
    path: Annotated[str, Meta(description="A YAML or JSON file with one condition, by its absolute path.")]
    now: Annotated[str, Meta(description="Answer as of this moment.", max_length=64)] | None = None


class CountSegment(Struct, frozen=True, kw_only=True):
    id: Annotated[str, Meta(description="The segment's id.", examples=["lapsed_vip"])]
    now: Now = None


class DescribeCondition(Struct, frozen=True, kw_only=True):
    condition: Condition
    locale: RequestedLocale = "en"


class Counted(Struct, frozen=True):
    count: Annotated[int, Meta(ge=0, description="How many profiles (or accounts) it holds for.", examples=[2469])]
    as_of: datetime


class Described(Struct, frozen=True):
    says: Annotated[str, Meta(description="The condition as one sentence.")]
    of: Annotated[str, Meta(description="`person` or `account`.")]


@use_case("POST /audience/count", permission="read", body="condition", problems=(422,))
def count_condition(workspace: Workspace, actor: Actor, request: CountCondition) -> Counted:
    """Count who a condition holds for

    Over what was known by `now`. The condition is compiled once and kept, so the same request is quick the next time.
    """
    at = moment(workspace, request.now)
    return _counted(workspace, _known(workspace, _read(workspace, request.condition), at), at)


@use_case("POST /audience/count-file", permission="read", is_local=True, problems=(404, 422))
def count_condition_file(workspace: Workspace, actor: Actor, request: CountConditionFile) -> Counted:
    """Count who a condition in a file on the server's machine holds for"""
    at = moment(workspace, request.now)
    path = Path(request.path)
    if not os.path.isfile(path):
        raise NotFoundError(problem("There is no file {path}.", path=path))
    document = read_file(path, str(path))
    try:
        segment = _known(workspace, read_preview(document.data, workspace.zone), at)
    except DefinitionError as error:
        line = document.line(error.field) or 1
        raise DefinitionError(error.problem, field=error.field, file=str(path), line=line) from None
    return _counted(workspace, segment, at)


@use_case("GET /segments/{id}/count", permission="read", problems=(404, 422))
def count_segment(workspace: Workspace, actor: Actor, request: CountSegment) -> Counted:
    """Count who a segment's condition holds for

    Computed as of `now`, so that a segment that was applied after the last tick has its figure too.
    """
    segments = workspace.active_playbook().playbook.segments
    if request.id not in segments:
        raise NotFoundError(
            problem("There is no segment “{name}” in force.", near=nearest(request.id, segments), name=request.id)
        )
    return _counted(workspace, segments[request.id], moment(workspace, request.now))


@use_case("POST /audience/describe", permission="read", body="condition", problems=(422,))
def describe_condition(workspace: Workspace, actor: Actor, request: DescribeCondition) -> Described:
    """A condition as a sentence"""
    segment = _read(workspace, request.condition).segment
    return Described(describe(segment.who, request.locale), segment.of)


def _counted(workspace: Workspace, segment: Segment, at: datetime) -> Counted:
    return Counted(workspace.evaluator.count(workspace.active_queries(at), segment.who, at, segment.of), at)


def _known(workspace: Workspace, found: PreviewedCondition, at: datetime) -> Segment:
    """The condition, refused when it names what is not known. Raises DefinitionError naming the field."""
    refuse_unknown(workspace.active_playbook().playbook, found, workspace.warehouse.schema(at))
    return found.segment


def _read(workspace: Workspace, data: Any) -> PreviewedCondition:
    # A playbook may leave a condition empty while it is written; a count without one is an error.
    if not isinstance(data, dict | str):
        raise UserError(problem("A condition is needed, as an object or “anyone”."), code="body")
    return read_preview(data, workspace.zone)
