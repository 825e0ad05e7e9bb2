"""Conditions over HTTP, before they are in any playbook: how many they hold for, and how they read."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Controller, post
from litestar.openapi.spec import Example
from litestar.params import Body

from keepers.app.customers.conditions import Counted, Described, _read
from keepers.app.workspace.common_fields import moment_named, shown_instant
from keepers.conditions.wording import describe
from keepers.http.common.parameters import AtDesk, LocaleParameter, NowParameter, json_body_guard
from keepers.http.common.problems import answers
from keepers.http.management import examples_customers as examples
from keepers.playbook.preview import refuse_unknown

CONDITION = {
    "all": [
        {"did": "Order Completed", "count": {"gte": 2}},
        {"did_not": "Order Completed", "within": "60d"},
    ]
}
ConditionBody = Annotated[
    Any,
    Body(
        title="Condition",
        description=(
            "A condition exactly as in the playbook, as JSON: `{did: …}`, `{trait: …}`, `{all: […]}`, `anyone`; or a "
            "segment with `who`, and `of: account` to ask about accounts. Names are checked against what has arrived."
        ),
        examples=[
            Example(summary="Came back, then silent", value=CONDITION),
            Example(summary="Everybody", value="anyone"),
        ],
        schema_extra={"oneOf": [{"type": "object"}, {"type": "string", "enum": ["anyone", "nobody"]}]},
    ),
]


class ConditionEndpoints(Controller):
    path = "/audience"
    tags = ["audience"]
    guards = [json_body_guard]

    @post(
        "/count",
        summary="Count who a condition holds for",
        description="Over what was known by `now`. The condition is compiled once and kept, so asking again is quick.",
        responses=answers(Counted, examples.COUNTED, 400, 413, 415, 422),
        status_code=200,
        sync_to_thread=True,
    )
    def count(self, desk: AtDesk, data: ConditionBody, now: NowParameter = None) -> Counted:
        at = moment_named(desk, now)
        found = _read(data, desk.zone)
        refuse_unknown(desk.in_force().playbook, found, desk.answerer.warehouse.schema(at))
        segment = found.segment
        return Counted(desk.answerer.count(desk.standing(), segment.who, at, segment.of), shown_instant(at) or "")

    @post(
        "/describe",
        summary="A condition as a sentence",
        responses=answers(Described, examples.DESCRIBED, 400, 413, 415, 422),
        status_code=200,
        sync_to_thread=True,
    )
    def describe_condition(self, desk: AtDesk, data: ConditionBody, locale: LocaleParameter = "en") -> Described:
        segment = _read(data, desk.zone).segment
        return Described(describe(segment.who, locale), segment.of)
