"""Values of a journey's run in conditions; consent and engagement as conditions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from keepers.conditions import ast
from keepers.conditions.parsing.conditions import parse_condition
from keepers.conditions.parsing.definitions import parse_derived
from keepers.conditions.wording import describe
from keepers.model.errors import DefinitionError
from keepers.model.moments import Moment

BY_PEOPLE = ast.PropertyTest("machine", (ast.Comparison("ne", True),))


def read(data: Any) -> ast.Condition:
    return parse_condition(data, refs=True)


@pytest.mark.parametrize(
    ("data", "paths"),
    [
        ({"did": "x", "where": {"order_id": {"ref": "trigger.order_id"}}}, {"trigger.order_id"}),
        ({"did": "x", "where": {"a": [{"ref": "trigger.a"}, "b"], "n": {"gt": {"ref": "trigger.n"}}}},
         {"trigger.a", "trigger.n"}),
        ({"did": "x", "where": {"items": {"some": {"sku": {"ref": "trigger.sku"}}}}}, {"trigger.sku"}),
        ({"did": "x", "since": {"ref": "run.entered_at"}}, {"run.entered_at"}),
        ({"did": "x", "between": [{"ref": "run.step_entered_at", "offset": "-3d"}, "now"]}, {"run.step_entered_at"}),
        ({"did": "x", "count": {"ref": "trigger.times"}}, {"trigger.times"}),
        ({"trait": "plan", "ne": {"ref": "run.call.body.plan"}}, {"run.call.body.plan"}),
        ({"trait": "due", "between": [{"ref": "trigger.time"}, {"ref": "run.entered_at"}]},
         {"trigger.time", "run.entered_at"}),
        ({"not": {"sequence": [{"did": "a"}, {"did": "b", "where": {"x": {"ref": "trigger.x"}}}]}}, {"trigger.x"}),
    ],
)  # fmt: skip
def test_refs_stand_where_values_and_moments_do(data: Any, paths: set[str]) -> None:
    assert ast.refs(read(data)) == paths
    with pytest.raises(DefinitionError, match="none here; write the value"):
        parse_condition(data)


def test_a_ref_with_an_offset_is_a_moment() -> None:
    parsed = read({"trait": "due", "before": {"ref": "run.entered_at", "offset": "7d"}})
    moment = Moment(ref="run.entered_at", offset=timedelta(days=7))
    assert parsed == ast.Trait("due", (ast.Comparison("before", moment),))
    assert not moment.is_relative
    assert describe(parsed) == "due is before run.entered_at + 7d"


@pytest.mark.parametrize(
    ("data", "field", "says"),
    [
        ({"trait": "x", "eq": {"ref": "entered_at"}}, "eq", "is no ref"),
        ({"trait": "x", "eq": {"ref": "run.started"}}, "eq", "is no ref"),
        ({"trait": "x", "eq": {"ref": "trigger.x", "plus": 1}}, "eq", "beside a ref"),
        ({"trait": "x", "before": {"ref": "trigger.x", "offset": "soon"}}, "before", "duration"),
        ({"trait": "x", "matches": {"ref": "trigger.x"}}, "matches", "cannot be compared with a ref"),
        ({"trait": "x", "in": {"ref": "trigger.x"}}, "in", "list of values"),
        ({"did": "x", "within": {"ref": "trigger.x"}}, "within", "duration"),
        ({"account": {"trait": "x", "eq": {"ref": "trigger.x"}}}, "account", "take the ref out"),
    ],
)
def test_a_wrong_ref_names_its_field(data: Any, field: str, says: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        read(data)
    assert caught.value.field == field
    assert says in caught.value.reason


@pytest.mark.parametrize(
    ("data", "same_as", "words"),
    [
        ({"subscribed": "email"}, {"trait": "subscribed.email", "eq": True}, "subscribed to email"),
        ({"subscribed": {"channel": "sms", "topic": "news"}}, {"trait": "subscribed.sms.news", "eq": True},
         "subscribed to sms: news"),
        ({"engaged": {"with": "clicked", "message": "m1", "within": "30d"}},
         {"did": "Email Link Clicked", "where": {"message": "m1", "machine": {"ne": True}}, "within": "30d"},
         "did Email Link Clicked (by people) where message is “m1” in the last 30d"),
        ({"engaged": {"with": "opened", "channel": "in_app"}}, {"did": "In-App Read"}, "did In-App Read"),
        ({"engaged": {"with": "opened", "machine": True}}, {"did": "Email Opened", "where": {"machine": True}},
         "did Email Opened where machine is true"),
        ({"engaged": {"with": "received", "count": {"gte": 3}}}, {"did": "Email Sent", "count": {"gte": 3}},
         "did Email Sent, at least 3 times"),
    ],
)  # fmt: skip
def test_consent_and_engagement_are_traits_and_events(data: Any, same_as: Any, words: str) -> None:
    assert parse_condition(data) == parse_condition(same_as)
    assert describe(parse_condition(data)) == words


def test_opens_and_clicks_are_peoples_unless_said_otherwise() -> None:
    opened = parse_condition({"did": "Email Opened"})
    assert opened == ast.Did("Email Opened", (BY_PEOPLE,))
    assert parse_condition({"engaged": {"with": "opened", "machine": "any"}}) == ast.Did("Email Opened")
    parsed = parse_condition({"did": "Email Opened", "where": {"machine": {"exists": True}}})
    assert parsed == ast.Did("Email Opened", (ast.PropertyTest("machine", (ast.Comparison("exists", True),)),))
    steps = parse_condition({"sequence": [{"did": "Email Sent"}, {"did": "Email Link Clicked"}]})
    assert [s.where for s in steps.steps] == [(), (BY_PEOPLE,)]  # type: ignore[union-attr]
    word = parse_derived({"id": "interest", "from": ["Email Link Clicked", "view"]})
    assert [s.where for s in word.sources] == [(BY_PEOPLE,), ()]


@pytest.mark.parametrize(
    ("data", "field", "says"),
    [
        ({"engaged": {"with": "opned"}}, "engaged.with", "received or opened or clicked"),
        ({"engaged": {"with": "opened", "channel": "fax"}}, "engaged.channel", "not reported"),
        ({"engaged": {"with": "opened", "mesage": "x"}}, "engaged", "Did you mean “message”"),
        ({"engaged": "opened"}, "engaged", "expected {with"),
        ({"subscribed": {"chanel": "email"}}, "subscribed", "Did you mean “channel”"),
        ({"subscribed": {"topic": "news"}}, "subscribed.channel", "expected a name"),
    ],
)
def test_a_wrong_engagement_names_its_field(data: Any, field: str, says: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        parse_condition(data)
    assert caught.value.field == field
    assert says in caught.value.reason
