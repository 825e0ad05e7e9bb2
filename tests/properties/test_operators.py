"""Every condition equals the oracle, for everybody at once and for a scope; `changes_at` is never late."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import find, given, settings
from hypothesis import strategies as st

from keepers.conditions.operators import OPERATORS
from keepers.conditions.parsing.definitions import parse_segment
from keepers.evaluation.active_queries import Definitions, build
from profiles import large
from properties import generate
from properties.oracle import Oracle
from properties.populations import LENGTH, scenarios
from properties.running import answers_at, describe, difference, expected, loaded, segments
from properties.scenario import Scenario, at

moments = st.integers(0, LENGTH - 1)
own_moments = st.lists(moments, min_size=1, max_size=8)
"""each subject's own moment, over and over"""


def check(scenario: Scenario, conditions: list[Any], moment: int, own: list[int]) -> None:
    """Everybody at one moment, then each at a moment of their own."""
    definitions = Definitions(segments=segments(conditions))
    queries, oracle, now = build(definitions), Oracle(scenario, definitions), at(moment)
    with loaded(scenario) as warehouse:
        got = {key: value for key, (value, _) in answers_at(warehouse, queries, now).items() if value}
        assert not (found := difference(got, expected(oracle, now), scenario, definitions)), f"at {now}: {found}"
        scope = {who: at(own[n % len(own)]) for n, who in enumerate(oracle.subjects())}
        for (name, who), (value, _) in answers_at(warehouse, queries, now, scope).items():
            wanted = oracle.value(definitions.by_id()[name], who, scope[who])
            assert value == wanted, f"at {scope[who]}: {value}\n{describe((name, who), scenario, definitions)}"


def several(condition: generate.Strategy) -> Any:
    return st.lists(condition, min_size=1, max_size=2)


@large()
@given(scenarios(merges=True), several(generate.did()), moments, own_moments)
def test_events_equal_the_oracle(scenario: Scenario, conditions: list[Any], moment: int, own: list[int]) -> None:
    check(scenario, conditions, moment, own)


@large()
@given(scenarios(merges=True), several(generate.sequence()), moments, own_moments)
def test_sequences_equal_the_oracle(scenario: Scenario, conditions: list[Any], moment: int, own: list[int]) -> None:
    check(scenario, conditions, moment, own)


def test_a_list_known_from_public_rows_alone_is_tested_beside_an_instant() -> None:
    scenario, order = Scenario(), "Order Completed"
    scenario.person(1, at(0))
    scenario.track(1, order, at(0))
    fact = scenario.track(1, order, at(0), products=[{"price": 3}])
    scenario.facts[-1] = replace(fact, trust="public")
    scenario.track(1, order, at(0), when="2026-03-27T00:00:00Z")
    both = {"did": order, "where": {"products": {"some": {"price": {"exists": True}}}, "when": {"before": "now"}}}
    check(scenario, [both, {"sequence": [{"did": order}, both, {"did": order}]}], 0, [0, 1])


@large()
@given(scenarios(merges=True, zones=True), several(generate.trait), moments, own_moments)
def test_traits_equal_the_oracle(scenario: Scenario, conditions: list[Any], moment: int, own: list[int]) -> None:
    check(scenario, conditions, moment, own)


@large()
@given(scenarios(zones=True), several(generate.condition()), moments, own_moments)
def test_groups_equal_the_oracle(scenario: Scenario, conditions: list[Any], moment: int, own: list[int]) -> None:
    check(scenario, conditions, moment, own)


def test_every_operator_is_generated() -> None:
    kinds = ("any", "number", "text", "date", "trait_date")
    for operator in OPERATORS:

        def has(tests: Any, wanted: str = operator.id) -> bool:
            parsed = parse_segment({"id": "x", "who": {"trait": "x", **tests}})
            return wanted in {test.op for test in parsed.who.tests}  # type: ignore[union-attr]

        find(st.one_of(*map(generate.comparison, kinds)), has, settings=settings(max_examples=3000))


def alone(definitions: Definitions, *events: dict[str, Any]) -> dict[str, int]:
    """One person who did `A` with each of these properties; their answers a day later."""
    scenario = Scenario()
    scenario.person(1, at(0))
    for properties in events:
        scenario.track(1, "A", at(1), **properties)
    with loaded(scenario) as warehouse:
        return {name: value for (name, _), (value, _) in answers_at(warehouse, build(definitions), at(5)).items()}


def test_a_number_too_large_to_sum_is_left_out() -> None:
    sums = [{"did": "A", f: {"of": "total", "eq": 5}} for f in ("sum", "avg")]
    answers = alone(Definitions(segments=segments(sums)), {"total": 1e300}, {"total": -1e33}, {"total": 5})
    assert set(answers.values()) == {1}


def test_a_basket_of_exactly_300_is_at_least_300() -> None:
    exact = {"did": "A", "sum": {"of": "total", "gte": 300}}
    parts = [{"total": 0.1}] * 10 + [{"total": 99.7}, {"total": 199.3}]
    assert alone(Definitions(segments=segments([exact])), *parts) == {"segment:s0": 1}


def test_words_that_an_engine_reads_as_times_are_no_dates() -> None:
    rules = [{"did": "A", "where": {"when": {"after": "now"}}}, {"did": "A", "where": {"when": {"older_than": "1d"}}}]
    events = [{"when": word} for word in ("infinity", "-infinity", "epoch", "now", "today", "10")]
    assert set(alone(Definitions(segments=segments(rules)), *events).values()) == {0}
