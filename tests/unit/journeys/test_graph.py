"""What `check` says of a journey."""

from __future__ import annotations

from typing import Any

import pytest

from keepers.journeys.graph import check, successors
from unit.journeys.driving import journey

BOUGHT = {"did": "Order Completed"}


def findings(*steps: dict[str, Any], **fields: Any) -> list[tuple[str, str, str]]:
    found = check(journey(*steps, **fields), ["one"], ["second"], ["pool"])
    return [(f.field, f.level, str(f.sentence)) for f in found]


def test_a_sound_journey_has_nothing_wrong() -> None:
    fork = {"id": "fork", "branch": [{"when": BOUGHT, "go": "end"}], "else": "rest"}
    assert findings({"id": "m", "message": "one", "coupon": "pool"}, {"id": "rest", "delay": "1d"}, fork) == []


@pytest.mark.parametrize(
    ("step", "field", "says"),
    [
        ({"id": "a", "jump": "b"}, "steps[0]", "no step “b”"),
        ({"id": "a", "delay": "1d", "next": "aa"}, "steps[0]", "Did you mean “a”"),
        ({"id": "a", "message": "onne"}, "steps[0].message", "Did you mean “one”"),
        ({"id": "a", "message": "one", "coupon": "x"}, "steps[0].coupon", "no pool"),
        ({"id": "a", "start": "third"}, "steps[0].start", "no journey “third”"),
        (
            {"id": "a", "update": {"traits": {"x": {"ref": "run.call.body.x"}}}},
            "steps[0]",
            "needs a step “call” that gets an answer",
        ),
        ({"id": "a", "update": {"traits": {"x": {"ref": "customer.x"}}}}, "steps[0]", "begins with"),
        ({"id": "a", "wait": {"when": {"trait": "x", "eq": {"ref": "run.call.body"}}}}, "steps[0]", "gets an answer"),
    ],
)
def test_names_that_are_not_there_are_errors(step: dict[str, Any], field: str, says: str) -> None:
    found = [f for f in findings(step) if f[1] == "error"]
    assert len(found) == 1
    assert found[0][0] == field
    assert says in found[0][2]


def test_names_are_not_looked_up_where_none_are_given() -> None:
    assert check(journey({"id": "a", "message": "onne"})) == []


@pytest.mark.parametrize(
    "steps",
    [
        [{"id": "a", "jump": "a"}],
        [{"id": "a", "message": "one"}, {"id": "b", "jump": "a"}],
        [{"id": "a", "delay": "0s"}, {"id": "b", "jump": "a"}],
        [{"id": "a", "webhook": {"url": "https://shop.example"}, "on_failure": "a"}],
        [{"id": "d", "delay": "1d"}, {"id": "a", "branch": [{"when": BOUGHT, "go": "d"}], "else": "b"},
         {"id": "b", "message": "one", "next": "a"}],
    ],
)  # fmt: skip
def test_a_loop_without_a_wait_is_refused(steps: list[dict[str, Any]]) -> None:
    found = [f for f in findings(*steps) if f[1] == "error"]
    assert len(found) == 1
    assert "loop without a wait" in found[0][2]


@pytest.mark.parametrize(
    "wait", [{"delay": "1d"}, {"wait": {"event": "Paid"}}, {"window": {"from": "09:00", "to": "17:00"}}]
)
def test_a_loop_through_a_wait_is_allowed(wait: dict[str, Any]) -> None:
    found = findings(
        {"id": "m", "message": "one"}, {"id": "w", **wait}, {"id": "b", "jump": "m"}, exits=[{"when": BOUGHT}]
    )
    assert found == []


def test_a_step_nothing_leads_to_is_named() -> None:
    assert findings({"id": "a", "exit": "x"}, {"id": "b", "message": "one"}) == [
        ("steps[1]", "warning", "nothing leads to the step “b”")
    ]


def test_a_journey_that_never_ends_is_named() -> None:
    found = findings({"id": "a", "delay": "1d"}, {"id": "b", "jump": "a"})
    assert [(f[0], f[1]) for f in found] == [("steps[0]", "warning")]
    assert "never ends" in found[0][2]


def test_a_wait_for_ever_is_named() -> None:
    assert "for ever" in findings({"id": "a", "wait": {"event": "Paid"}})[0][2]
    assert findings({"id": "a", "wait": {"event": "Paid"}}, goal={"when": BOUGHT}) == []


@pytest.mark.parametrize("entry", [{"date": "birthday", "yearly": True}, {"schedule": "FREQ=DAILY", "segment": "vip"}])
def test_what_recurs_but_lets_in_once_is_named(entry: dict[str, Any]) -> None:
    assert findings({"id": "a", "exit": "x"}, enter=[entry])[0][0] == "enter[0]"
    assert findings({"id": "a", "exit": "x"}, enter=[entry], reentry="after_exit") == []


def test_successors_are_what_the_ports_lead_to() -> None:
    definition = journey(
        {"id": "a", "message": "one", "otherwise": "c"},
        {"id": "b", "split": [{"go": "c"}, {"go": "end"}]},
        {"id": "c", "exit": "x"},
    )
    assert successors(definition.routes) == {"a": ("b", "c"), "b": ("c",), "c": ()}
