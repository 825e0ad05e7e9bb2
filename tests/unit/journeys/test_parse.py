"""Journeys from plain data: every mistake is one clear error with its field and the remedy."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepers.conditions import ast
from keepers.journeys.definition import Reentry
from keepers.journeys.entry.definitions import ENTRIES
from keepers.journeys.parse import FIELDS, parse_journey
from keepers.journeys.steps import step as base
from keepers.journeys.steps.registry import STEPS
from keepers.model.errors import DefinitionError
from keepers.playbook.yaml_nodes import read_document
from profiles import examples

WHOLE = """
id: welcome
name: {en: Welcome, ru: Знакомство}
description: The first fortnight
enter:
  - {event: Signed Up, where: {plan: pro}}
  - {segment: vip, on: entered}
  - {stage: value.new, on: entered}
  - {date: birthday, offset: -7d, at: "09:00", yearly: true}
  - {schedule: "FREQ=WEEKLY;BYDAY=MO", at: "09:00", zone: customer, segment: vip}
  - {api: true}
if: {trait: country, in: [PL, IT]}
reentry: {after: 30d}
max_age: 72h
goal: {when: {did: Order Completed, since: {ref: run.entered_at}}, exit: false}
exits: [{when: {did: Order Completed}, reason: bought}]
priority: lifecycle
steps:
  - {id: hello, message: welcome_1, coupon: pool, otherwise: rest}
  - {id: rest, delay: 3d}
  - {id: morning, delay: {until: "09:00", weekdays: [mo, tu], zone: customer}}
  - {id: dated, delay: {until_date: renewal_at, offset: -7d, at: "09:00"}, otherwise: end}
  - id: bought
    wait: {event: Order Completed, where: {order_id: {ref: trigger.order_id}}}
    timeout: 3d
    on_timeout: nudge
  - {id: fit, wait: {when: {trait: vip, eq: true}}}
  - {id: office, window: {weekdays: [mo, tu, we, th, fr], from: "09:00", to: "18:00"}}
  - {id: fork, branch: [{when: {did: Order Completed}, go: nudge}], else: half}
  - {id: nudge, message: nudge_1}
  - {id: half, split: [{weight: 50, go: test}, {weight: 50, go: mark}]}
  - id: test
    experiment:
      variants: [{id: a, weight: 50, go: mark}, {id: b, weight: 50, go: tell}]
      holdout: 0.1
      goal: {did: Order Completed}
  - {id: mark, update: {traits: {welcomed: true, total: {ref: trigger.total}}}}
  - {id: tell, emit: {event: Welcome Finished, properties: {plan: {ref: trigger.plan}}}}
  - {id: call, webhook: {url: "https://shop.example/x", body: {a: 1}, headers: {X-A: b}}, timeout: 1h, on_failure: end}
  - {id: chain, start: second_purchase}
  - {id: back, jump: done}
  - {id: done, exit: all said}
"""


def test_every_field_of_the_format_is_read(tmp_path: Path) -> None:
    definition = parse_journey(read_document(WHOLE.encode(), "welcome.yaml").data)
    assert {step.head for step in definition.steps.values()} == set(STEPS)
    assert [entry.head for entry in definition.entries] == list(ENTRIES)
    assert definition.first == "hello"
    assert definition.reentry == Reentry(after="30d")
    assert sorted(definition.questions()) == [
        "bought.until", "entry.0", "exit.0", "fit.until", "fork.when.0", "goal", "if", "test.goal",
    ]  # fmt: skip
    assert definition.condition == definition.questions()["if"]
    assert [question.question for question in definition.exit_questions] == ["goal", "exit.0"]
    assert definition.bound == {"bought.until"}
    assert definition.refs["goal"] == ("run.entered_at",)


def test_what_is_not_written_has_its_default() -> None:
    definition = parse_journey({"id": "j", "enter": [{"api": True}], "steps": [{"id": "a", "exit": "x"}]})
    assert (definition.reentry, definition.max_age, definition.priority) == ("never", "72h", "")


def test_ports_lead_to_the_following_step_unless_told() -> None:
    steps = [{"id": "a", "delay": "1d"}, {"id": "b", "delay": "1d", "next": "a"}, {"id": "c", "delay": "1d"}]
    definition = parse_journey({"id": "j", "enter": [{"api": True}], "steps": steps})
    assert definition.routes == {"a": {"next": "b"}, "b": {"next": "a"}, "c": {"next": None}}


def test_an_event_with_a_filter_asks_of_the_trigger() -> None:
    enter = [{"event": "Signed Up", "where": {"plan": "pro"}}, {"event": "Seen"}]
    definition = parse_journey({"id": "j", "enter": enter, "steps": [{"id": "a", "exit": "x"}]})
    condition = definition.questions()["entry.0"]
    assert isinstance(condition, ast.Did)
    assert condition.event == "Signed Up"
    assert definition.refs["entry.0"] == ("trigger.time",)
    assert "entry.1" not in definition.questions()


@pytest.mark.parametrize(
    ("step", "field", "says"),
    [
        ({"id": "a"}, "", "message, delay"),
        ({"id": "a", "mesage": "x"}, "", "Did you mean “message”"),
        ({"id": "a", "delay": "3 moons"}, ".delay", "14d"),
        ({"id": "a", "delay": {"until": "25:00"}}, ".delay.until", "23:59"),
        ({"id": "a", "delay": {"until": "9:00", "zone": "Mars/X"}}, ".delay", "not a time zone"),
        ({"id": "a", "delay": {"until": "9:00", "until_date": "x"}}, ".delay", "either"),
        ({"id": "a", "delay": {"until": "9:00", "offset": "1d"}}, ".delay", "belong to “until_date”"),
        ({"id": "a", "delay": 5}, ".delay", "a text or fields"),
        ({"id": "a", "delay": "9999999w"}, "", "100 years"),
        ({"id": "a", "branch": []}, ".branch", "length >= 1"),
        ({"id": "a", "branch": [{"when": {"dd": "x"}, "go": "b"}]}, ".branch[0].when", "Did you mean “did”"),
        ({"id": "a", "wait": {"event": "X", "when": "anyone"}}, ".wait", "either"),
        ({"id": "a", "wait": {"when": "anyone", "where": {}}}, ".wait", "belongs to “event”"),
        ({"id": "a", "wait": {"event": "X", "where": {"a": {"ref": "a.b"}}}}, ".wait.where.a.eq", "is no ref"),
        ({"id": "a", "window": {"weekdays": ["xx"]}}, ".window.weekdays[0]", "not known"),
        ({"id": "a", "window": {}}, ".window", "always open"),
        ({"id": "a", "split": [{"go": "x"}]}, ".split", "length >= 2"),
        ({"id": "a", "split": [{"go": "x", "weight": 0}, {"go": "y"}]}, ".split[0].weight", "> 0"),
        ({"id": "a", "experiment": {"variants": [{"id": "x", "go": "a"}]}}, ".experiment", "add a variant"),
        ({"id": "a", "experiment": {"variants": [{"id": "holdout", "go": "a"}]}}, ".experiment", "of its own"),
        ({"id": "a", "webhook": {"url": "ftp://x"}}, ".webhook.url", "https://"),
        ({"id": "a", "webhook": {"url": "https://x", "headers": {"A": "b\nc"}}}, ".webhook", "line break"),
        ({"id": "a", "update": {"traits": {}}}, ".update", "no trait"),
        ({"id": "a", "emit": {"event": ""}}, ".emit.event", "length >= 1"),
        ({"id": "a", "exit": 5}, ".exit", "a text"),
        ({"id": "a", "delay": "1d", "nxt": "x"}, "", "Did you mean “next”"),
        ({"id": "a", "delay": "1d", "jump": "b"}, "", "two steps"),
        ({"delay": "1d"}, "", "“id” is missing"),
        ({"id": "A b", "delay": "1d"}, ".id", "lower-case"),
        ({"id": "a\n", "delay": "1d"}, ".id", "lower-case"),
        ({"id": "end", "delay": "1d"}, ".id", "another id"),
        ("x", "", "expected a step"),
    ],
)
def test_a_mistake_in_a_step_names_its_field(step: Any, field: str, says: str) -> None:
    with pytest.raises(DefinitionError) as error:
        parse_journey({"id": "j", "enter": [{"api": True}], "steps": [step]}, at="journeys[3]")
    assert error.value.field == f"journeys[3].steps[0]{field}"
    assert says in error.value.reason


@pytest.mark.parametrize(
    ("fields", "field", "says"),
    [
        ({"enter": []}, "enter", "list of entries"),
        ({"enter": [{"even": "x"}]}, "enter[0]", "Did you mean “event”"),
        ({"enter": [{"segment": "vip", "on": "entred"}]}, "enter[0].on", "not known"),
        ({"enter": [{"stage": "new"}]}, "enter[0]", "lifecycle.stage"),
        ({"enter": [{"event": "X", "where": {"a": None}}]}, "enter[0].where.a", "exists: false"),
        ({"enter": [{"schedule": "weekly", "segment": "vip"}]}, "enter[0]", "no RRULE"),
        ({"enter": [{"schedule": "FREQ=DAILY"}]}, "enter[0]", "“segment” is missing"),
        ({"enter": [{"schedule": "FREQ=HOURLY", "segment": "vip"}]}, "enter[0]", "names days"),
        ({"enter": [{"schedule": "FREQ=DAILY;BYHOUR=9", "segment": "vip"}]}, "enter[0]", "names days"),
        (
            {"enter": [{"schedule": "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30;COUNT=1", "segment": "vip"}]},
            "enter[0]",
            "no day",
        ),
        ({"enter": [{"schedule": "FREQ=DAILY\nDTSTART:20260101", "segment": "vip"}]}, "enter[0]", "no RRULE"),
        ({"enter": [{"date": "x", "at": "9"}]}, "enter[0].at", "time of day"),
        ({"reentry": "always"}, "reentry", "never"),
        ({"reentry": {"after": "30d", "per": "x"}}, "reentry", "{after: 30d}"),
        ({"reentry": {"after": "3x"}}, "reentry.after", "duration"),
        ({"max_age": "x"}, "max_age", "duration"),
        ({"goal": {"whe": 1}}, "goal", "Did you mean “when”"),
        ({"goal": {"when": {"did": 1.5}}}, "goal.when.did", "name"),
        ({"exits": {"when": {}}}, "exits", "list"),
        ({"priority": "high"}, "priority", "lifecycle"),
        ({"steps": []}, "steps", "list of steps"),
        ({"steps": [{"id": "a", "exit": "x"}, {"id": "a", "exit": "x"}]}, "steps[1].id", "already a step"),
        ({"steps": [{"id": f"s{n}", "exit": "x"} for n in range(501)]}, "steps", "more than 500"),
        ({"stps": []}, "", "Did you mean “steps”"),
        ({"id": "A"}, "id", "lower-case"),
    ],
)
def test_a_mistake_in_a_journey_names_its_field(fields: dict[str, Any], field: str, says: str) -> None:
    whole = {"id": "j", "enter": [{"api": True}], "steps": [{"id": "a", "exit": "x"}]}
    with pytest.raises(DefinitionError) as error:
        parse_journey(whole | fields)
    assert error.value.field == field
    assert says in error.value.reason


def test_a_step_is_one_file() -> None:
    files = [p.stem for folder in ("actions", "flow") for p in (Path(base.__file__).parent / folder).glob("*.py")]
    assert sorted(files) == sorted([*STEPS, "__init__", "__init__"])


WORDS = st.sampled_from(
    [*STEPS, *ENTRIES, *FIELDS, "when", "go", "else", "next", "ref", "until", "timeout", "end", "a"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)


@examples(3)
@given(JSON, JSON, JSON)
def test_nothing_but_a_definition_error_comes_of_nonsense(enter: Any, step: Any, rest: Any) -> None:
    whole = {"id": "j", "enter": enter, "steps": [step]} | (rest if isinstance(rest, dict) else {})
    with suppress(DefinitionError):
        parse_journey(whole)
    with suppress(DefinitionError):
        parse_journey(
            {"id": "j", "enter": [{"api": True}], "steps": [{"id": "a", **step} if isinstance(step, dict) else step]}
        )
