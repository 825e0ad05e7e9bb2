"""A run's question is answered as the segment of the same condition; a ref is as good as what it stands for."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from keepers.conditions.ast import Condition
from keepers.conditions.definitions import DerivedEvent, Segment
from keepers.conditions.parsing.conditions import parse_condition
from keepers.evaluation.active_queries import Definitions, build
from keepers.evaluation.questions import Question, answer
from keepers.model.errors import DefinitionError
from profiles import large
from properties.definitions import playbooks, words
from properties.generate import EVENTS, condition
from properties.oracle import Oracle
from properties.populations import LENGTH, scenarios
from properties.referring import Keys, others, referring, written
from properties.running import Live, evaluator_of, loaded
from properties.scenario import STEP, Scenario, at
from properties.warehouses import empty_warehouse

conditions = condition(("purchase", *EVENTS))
moments = st.lists(st.integers(0, LENGTH - 1), min_size=1, max_size=8)
"""of the questions, over and over"""


def holds(oracle: Oracle, condition: Condition, question: Question) -> bool:
    return bool(oracle.value(Segment("tested", condition), question.profile_id, question.now))


def of(question: Question, scenario: Scenario, condition: Any) -> str:
    facts = [str(f) for f in scenario.facts if question.profile_id in (f.who, f.other)]
    return "\n".join([str(question), str(condition), *facts])


@large()
@given(st.data(), scenarios(merges=True, zones=True), words(), st.lists(conditions, min_size=1, max_size=2), moments)
def test_questions_equal_the_oracle(
    drawn: st.DataObject, scenario: Scenario, events: dict[str, DerivedEvent], conditions: list[Any], steps: list[int]
) -> None:
    definitions = Definitions(events)
    parsed = {f"q{n}": parse_condition(data) for n, data in enumerate(conditions)}
    oracle = Oracle(scenario, definitions)
    people = [who for who in oracle.subjects() for _ in range(3)]
    people = drawn.draw(st.permutations(people))
    questions = [Question(n, who, at(steps[n % len(steps)])) for n, who in enumerate(people)]
    with loaded(scenario) as warehouse:
        replies = answer(evaluator_of(warehouse), build(definitions), parsed, questions)
    assert len(replies) == len(parsed) * len(questions)
    for name, tested in parsed.items():
        for question in questions:
            wanted = holds(oracle, tested, question)
            assert replies[name, question.run_id].holds == wanted, of(question, scenario, tested)


@large()
@given(st.data(), scenarios(merges=True), words(), referring(conditions), moments)
def test_a_ref_is_as_good_as_what_it_stands_for(
    drawn: st.DataObject,
    scenario: Scenario,
    events: dict[str, DerivedEvent],
    referred: tuple[Any, Keys],
    steps: list[int],
) -> None:
    """Each question has its own values; the oracle and the literal condition have them written down."""
    data, keys = referred
    definitions = Definitions(events)
    oracle, queries = Oracle(scenario, definitions), build(definitions)
    condition = parse_condition(data, refs=True)
    first = [Question(who, who, at(steps[n % len(steps)]), keys) for n, who in enumerate(oracle.subjects())]
    own = drawn.draw(st.lists(others(keys).map(lambda new: sensible(data, new, keys)), min_size=1, max_size=4))
    varied = [question._replace(keys=own[n % len(own)]) for n, question in enumerate(first)]
    with loaded(scenario) as warehouse:
        evaluator = evaluator_of(warehouse)
        replies = answer(evaluator, queries, {"q": condition}, first)
        assert replies == answer(evaluator, queries, {"q": parse_condition(written(data, keys))}, first), data
        replies = answer(evaluator, queries, {"q": condition}, varied)
    for question in varied:
        wanted = holds(oracle, parse_condition(written(data, dict(question.keys))), question)
        assert replies["q", question.run_id].holds == wanted, of(question, scenario, data)


def sensible(data: Any, changed: Keys, keys: Keys) -> Keys:
    """The other values if they make sense where they stand: a window must not end before it starts."""
    try:
        parse_condition(written(data, changed))
    except DefinitionError:
        return keys
    return changed


_NAMES = ("active", "worth", "fresh", "drawn")


@large()
@given(scenarios(), st.sampled_from(_NAMES).flatmap(lambda name: playbooks(always=(name,))), moments)
def test_memberships_are_taken_as_they_were_at_the_moment_of_asking(
    scenario: Scenario, definitions: Definitions, steps: list[int]
) -> None:
    oracle = Oracle(scenario, definitions)
    names = list(definitions.segments)
    parsed = {name: parse_condition({"in_segment": name}) for name in names}
    if definitions.lifecycles:
        parsed["stage"] = parse_condition({"in_stage": "value.g2"})
    lasting = {f"lasting {name}": parse_condition({"in_segment": name, "for": "12h"}) for name in names}
    questions = [Question(n, who, at(steps[n % len(steps)] + 1)) for n, who in enumerate(oracle.subjects())]
    with empty_warehouse(is_named=True) as warehouse:
        running = Live(warehouse, definitions, at(0))
        running.tick(at(0))
        running.load(scenario.rows())
        for step in (1, *range(4, LENGTH + 1, 4)):  # an event of the very first moment is seen by the next tick
            running.tick(at(step))
        replies = answer(running.evaluator, running.queries, parsed | lasting, questions)
    for question in questions:
        for name, tested in parsed.items():
            wanted = holds(oracle, tested, question)
            assert replies[name, question.run_id].holds == wanted, of(
                question, scenario, definitions.segments.get(name)
            )
        for name in names:
            inside = [holds(oracle, parsed[name], question._replace(now=question.now - STEP * n)) for n in range(3)]
            if replies[f"lasting {name}", question.run_id].holds:
                assert all(inside), of(question, scenario, definitions.segments[name])
