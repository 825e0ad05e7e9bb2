"""What runs ask: their own values, their own moments, this very event, memberships as they were."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from keepers.conditions.compile.one_event import this_event
from keepers.conditions.parsing.conditions import Parser, parse_condition
from keepers.conditions.parsing.definitions import parse_derived, parse_segment
from keepers.evaluation.active_queries import Definitions
from keepers.evaluation.questions import Question, Reply, answer
from keepers.warehouse.database import Warehouse
from properties.running import Live
from warehouse_rows import START, profile, row, track

H = timedelta(hours=1)
ABOUT_GOLD = {"account": {"did": "Order"}}
WORDS = {
    "purchase": {"id": "purchase", "from": ["Order"], "unless": {"did": ["Cancel"], "same": "order_id"}},
    "third": {"id": "third", "from": "Order", "times": 3},
}


def running(*rows: Any) -> Live:
    segments = {"buyers": parse_segment({"id": "buyers", "who": {"did": "Order", "within": "10h"}})}
    events = {name: parse_derived(word) for name, word in WORDS.items()}
    warehouse = Warehouse.open(None, threads=1)
    live = Live(warehouse, Definitions(events, segments, questions=(parse_condition(ABOUT_GOLD),)), START)
    live.load([*(profile(n, n, str(n)) for n in (1, 2, 3)), profile(4, 9, "a", "account"), *rows])
    return live


def answers(live: Live, condition: Any, *questions: Question) -> list[bool]:
    parsed = parse_condition(condition, refs=True) if isinstance(condition, dict) else condition
    replies = answer(live.evaluator, live.queries, {"q": parsed}, questions)
    return [replies["q", question.run_id].holds for question in questions]


def at(hours: float) -> datetime:
    return START + hours * H


def test_several_runs_of_one_customer_are_answered_each_for_itself() -> None:
    live = running(track(10, 1, "Order", 1, order_id="a", n=5), track(11, 1, "Order", 3, order_id="b", n=7))
    same = {"did": "Order", "where": {"order_id": {"ref": "trigger.order_id"}}}
    questions = [
        Question(1, 1, at(2), {"trigger.order_id": "a"}), Question(2, 1, at(2), {"trigger.order_id": "b"}),
        Question(3, 1, at(3), {"trigger.order_id": "b"}), Question(4, 1, at(9), {"trigger.order_id": "c"}),
        Question(5, 2, at(9), {"trigger.order_id": "a"}), Question(6, 1, at(9), {"trigger.order_id": None}),
        Question(7, 1, at(9)), Question(8, 77, at(9), {"trigger.order_id": "a"}),
    ]  # fmt: skip
    assert answers(live, same, *questions) == [True, False, True, False, False, False, False, False]
    parsed = parse_condition(same, refs=True)
    assert answer(live.evaluator, live.queries, {"q": parsed}, questions)["q", 2] == Reply(False, at(3))
    assert answer(live.evaluator, live.queries, {}, questions) == {}
    assert answer(live.evaluator, live.queries, {"q": parsed}, []) == {}


@pytest.mark.parametrize(
    ("condition", "key", "holds"),
    [
        ({"did": "Order", "where": {"n": {"ref": "trigger.x"}}}, 5, True),
        ({"did": "Order", "where": {"n": {"ref": "trigger.x"}}}, "5", False),
        ({"did": "Order", "where": {"n": {"gt": {"ref": "trigger.x"}}}}, 4.5, True),
        ({"did": "Order", "where": {"n": {"between": [{"ref": "trigger.x"}, 9]}}}, 6, False),
        ({"did": "Order", "where": {"ok": {"ref": "trigger.x"}}}, True, True),
        ({"did": "Order", "where": {"ok": {"ne": {"ref": "trigger.x"}}}}, None, True),
        ({"did": "Order", "where": {"id": {"starts_with": {"ref": "trigger.x"}}}}, "ab", True),
        ({"did": "Order", "where": {"due": {"lt": {"ref": "trigger.x"}}}}, "2026-02-02", True),
        ({"did": "Order", "where": {"due": {"before": {"ref": "trigger.x", "offset": "-2d"}}}}, "2026-02-02", False),
        ({"did": "Order", "where": {"tags": {"ref": "trigger.x"}}}, "vip", True),
        ({"did": "Order", "where": {"tags": {"not_contains": {"ref": "trigger.x"}}}}, "vip", False),
        ({"did": "Order", "where": {"items": {"some": {"sku": {"ref": "trigger.x"}, "n": {"gte": 2}}}}}, "k", True),
        ({"did": "Order", "where": {"items": {"some": {"sku": {"ref": "trigger.x"}, "n": {"gte": 2}}}}}, "l", False),
        ({"did": "Order", "where": {"n": [{"ref": "trigger.x"}, 99]}}, 5, True),
        ({"did": "Order", "count": {"gte": {"ref": "trigger.x"}}}, 1, True),
        ({"did": "Order", "sum": {"of": "n", "lt": {"ref": "trigger.x"}}}, 5, False),
        ({"trait": "plan", "eq": {"ref": "trigger.x"}}, "pro", True),
        ({"trait": "since", "gte": {"ref": "trigger.x"}}, datetime(2025, 6, 1), True),
        ({"trait": "interests", "contains": {"ref": "trigger.x"}}, "golf", True),
        ({"did": "Order", "since": {"ref": "trigger.x"}}, at(1), True),
        ({"did": "Order", "since": {"ref": "trigger.x"}}, at(1.5), False),
        ({"did": "Order", "since": {"ref": "trigger.x", "offset": "-1h"}}, at(1.5), True),
        ({"did": "Order", "since": {"ref": "trigger.x"}}, "soon", False),
        ({"did": "Order", "between": [{"ref": "trigger.x"}, "now"]}, "2026-01-01T01:00:00Z", True),
        ({"did": "Order", "first": True, "since": {"ref": "trigger.x"}}, at(0), True),
        ({"did_not": "Order", "since": {"ref": "trigger.x"}}, None, True),
        ({"sequence": [{"did": "Order"}, {"did": "View", "where": {"n": {"ref": "trigger.x"}}}]}, 1, True),
        ({"sequence": [{"did": "Order"}, {"did": "View", "where": {"n": {"ref": "trigger.x"}}}]}, 2, False),
        ({"did": "Order", "where": {"n": {"ref": "trigger.x"}}}, ["5"], False),
    ],
)  # fmt: skip
def test_a_value_of_the_run_is_compared_as_what_it_is(condition: Any, key: Any, holds: bool) -> None:
    live = running(
        row(10, "identify", 1, traits={"plan": "pro", "since": "2025-06-01", "interests": ["golf", "sea"]}),
        track(11, 1, "Order", 1, n=5, ok=True, id="abc", due="2026-02-01", tags=["vip"],
              items=[{"sku": "k", "n": 3}, {"sku": "l", "n": 1}]),
        track(12, 1, "View", 2, n=1),
    )  # fmt: skip
    assert answers(live, condition, Question(1, 1, at(5), {"trigger.x": key})) == [holds]


def test_this_very_event_is_told_from_others_of_its_kind() -> None:
    live = running(
        track(10, 1, "Order", 1, order_id="a", total=5), track(11, 1, "Order", 2, order_id="b", total=90),
        track(12, 1, "Cancel", 3, order_id="b"), track(13, 1, "Order", 4, order_id="c", total=50),
    )  # fmt: skip
    big = Parser(None, refs=True).where({"total": {"gte": 50}}, "where")

    def which(event: str, hours: float, where: Any = ()) -> list[int]:
        condition = this_event(event, where)
        seqs = [10, 11, 13]
        holds = answers(live, condition, *(Question(s, 1, at(hours), {"trigger.seq": s}) for s in seqs))
        return [s for s, held in zip(seqs, holds, strict=True) if held]

    assert which("Order", 9) == [10, 11, 13]
    assert which("Order", 9, big) == [11, 13]
    assert which("purchase", 9) == [10, 13]
    assert which("purchase", 2, big) == [11]
    assert which("third", 9) == [13]
    assert which("View", 9) == []


def test_memberships_are_those_of_the_moment_of_asking() -> None:
    live = running(track(10, 1, "Order", 1))
    for hours in (0, 5, 20):
        live.tick(at(hours))
    inside, settled = {"in_segment": "buyers"}, {"in_segment": "buyers", "for": "3h"}
    questions = [Question(n, 1, at(hours)) for n, hours in enumerate((0.5, 1, 3, 4, 10.9, 11, 30))]
    assert answers(live, inside, *questions) == [False, True, True, True, True, False, False]
    assert answers(live, settled, *questions) == [False, False, False, True, True, False, False]


def test_accounts_that_only_journeys_ask_about_are_answered_ahead() -> None:
    live = running(row(10, "group", 1, other=9, at=1), track(11, 2, "Order", 2), row(12, "group", 2, other=9, at=1))
    live.tick(at(5))
    assert answers(live, ABOUT_GOLD, Question(1, 1, at(5)), Question(2, 3, at(5))) == [True, False]


def test_who_was_merged_asks_as_whom_they_live_on_in() -> None:
    live = running(track(10, 1, "Order", 1), row(11, "merge", 1, other=2, at=2))
    condition = {"did": "Order"}
    assert answers(live, condition, Question(1, 1, at(5)), Question(2, 2, at(5)), Question(3, 3, at(5))) == [
        True,
        True,
        False,
    ]


def test_a_question_may_be_asked_inside_a_transaction() -> None:
    live = running(track(10, 1, "Order", 1))
    with live.warehouse.transaction():
        assert answers(live, {"did": "Order"}, Question(1, 1, at(5))) == [True]
    assert answers(live, {"did": "Order"}, Question(1, 1, at(0.5))) == [False]


NAMES = ("id", "now", "since", "raw", "from_id", "to_id", "member_id", "identified_id", "item0", "items", "profile_id")


def test_a_property_may_be_called_as_a_column_of_the_evaluator_is() -> None:
    properties = {name: f"{name} of it" for name in NAMES}
    live = running(
        track(10, 1, "Order", 1, **properties, lines=[properties]), row(11, "merge", 2, other=1, at=1),
        row(12, "group", 1, other=9, at=1),
    )  # fmt: skip
    where = {name: f"{name} of it" for name in NAMES}
    condition = {"did": "Order", "where": where | {"lines": {"some": where}}, "distinct": {"of": "id", "eq": 1}}
    refs = {name: {"ref": f"trigger.{name}"} for name in NAMES}
    referring = {"did": "Order", "where": refs | {"lines": {"some": refs}}}
    keys = {f"trigger.{name}": text for name, text in properties.items()}
    assert answers(live, condition, Question(1, 1, at(5))) == [True]
    assert answers(live, referring, Question(1, 1, at(5), keys)) == [True]
    parsed = parse_condition(condition)
    assert live.evaluator.count(live.queries, parsed, at(5)) == 1
    assert live.evaluator.count(live.queries, parsed, at(5), of="account") == 1
