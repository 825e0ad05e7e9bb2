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
from properties.populations import LENGTH, worlds
from properties.referring import Keys, others, referring, written
from properties.running import Live, answerer, loaded
from properties.warehouses import empty_warehouse
from properties.world import STEP, World, at

asked_of = condition(("purchase", *EVENTS))
moments = st.lists(st.integers(0, LENGTH - 1), min_size=1, max_size=8)
"""of the askings, over and over"""


def holds(oracle: Oracle, condition: Condition, asking: Question) -> bool:
    return bool(oracle.value(Segment("asked", condition), asking.profile_id, asking.now))


def of(asking: Question, world: World, condition: Any) -> str:
    facts = [str(f) for f in world.facts if asking.profile_id in (f.who, f.other)]
    return "\n".join([str(asking), str(condition), *facts])


@large()
@given(st.data(), worlds(merges=True, zones=True), words(), st.lists(asked_of, min_size=1, max_size=2), moments)
def test_questions_equal_the_oracle(
    drawn: st.DataObject, world: World, events: dict[str, DerivedEvent], conditions: list[Any], steps: list[int]
) -> None:
    definitions = Definitions(events)
    asked = {f"q{n}": parse_condition(data) for n, data in enumerate(conditions)}
    oracle = Oracle(world, definitions)
    people = [who for who in oracle.subjects() for _ in range(3)]
    people = drawn.draw(st.permutations(people))
    askings = [Question(n, who, at(steps[n % len(steps)])) for n, who in enumerate(people)]
    with loaded(world) as warehouse:
        replies = answer(answerer(warehouse), build(definitions), asked, askings)
    assert len(replies) == len(asked) * len(askings)
    for name, question in asked.items():
        for asking in askings:
            wanted = holds(oracle, question, asking)
            assert replies[name, asking.run_id].holds == wanted, of(asking, world, question)


@large()
@given(st.data(), worlds(merges=True), words(), referring(asked_of), moments)
def test_a_ref_is_as_good_as_what_it_stands_for(
    drawn: st.DataObject,
    world: World,
    events: dict[str, DerivedEvent],
    referred: tuple[Any, Keys],
    steps: list[int],
) -> None:
    """Each asking has its own values; the oracle and the literal question know them written down."""
    data, keys = referred
    definitions = Definitions(events)
    oracle, standing = Oracle(world, definitions), build(definitions)
    condition = parse_condition(data, refs=True)
    first = [Question(who, who, at(steps[n % len(steps)]), keys) for n, who in enumerate(oracle.subjects())]
    own = drawn.draw(st.lists(others(keys).map(lambda new: sensible(data, new, keys)), min_size=1, max_size=4))
    varied = [asking._replace(keys=own[n % len(own)]) for n, asking in enumerate(first)]
    with loaded(world) as warehouse:
        asking_of = answerer(warehouse)
        replies = answer(asking_of, standing, {"q": condition}, first)
        assert replies == answer(asking_of, standing, {"q": parse_condition(written(data, keys))}, first), data
        replies = answer(asking_of, standing, {"q": condition}, varied)
    for asking in varied:
        wanted = holds(oracle, parse_condition(written(data, dict(asking.keys))), asking)
        assert replies["q", asking.run_id].holds == wanted, of(asking, world, data)


def sensible(data: Any, changed: Keys, keys: Keys) -> Keys:
    """The other values if they make sense where they stand: a window must not end before it starts."""
    try:
        parse_condition(written(data, changed))
    except DefinitionError:
        return keys
    return changed


_NAMES = ("active", "worth", "fresh", "drawn")


@large()
@given(worlds(), st.sampled_from(_NAMES).flatmap(lambda name: playbooks(always=(name,))), moments)
def test_memberships_are_taken_as_they_were_at_the_moment_of_asking(
    world: World, definitions: Definitions, steps: list[int]
) -> None:
    oracle = Oracle(world, definitions)
    names = list(definitions.segments)
    asked = {name: parse_condition({"in_segment": name}) for name in names}
    if definitions.lifecycles:
        asked["stage"] = parse_condition({"in_stage": "value.g2"})
    lasting = {f"lasting {name}": parse_condition({"in_segment": name, "for": "12h"}) for name in names}
    askings = [Question(n, who, at(steps[n % len(steps)] + 1)) for n, who in enumerate(oracle.subjects())]
    with empty_warehouse(is_named=True) as warehouse:
        running = Live(warehouse, definitions, at(0))
        running.tick(at(0))
        running.load(world.rows())
        for step in (1, *range(4, LENGTH + 1, 4)):  # an event of the very first moment is seen by the next tick
            running.tick(at(step))
        replies = answer(running.answerer, running.standing, asked | lasting, askings)
    for asking in askings:
        for name, question in asked.items():
            wanted = holds(oracle, question, asking)
            assert replies[name, asking.run_id].holds == wanted, of(asking, world, definitions.segments.get(name))
        for name in names:
            inside = [holds(oracle, asked[name], asking._replace(now=asking.now - STEP * n)) for n in range(3)]
            if replies[f"lasting {name}", asking.run_id].holds:
                assert all(inside), of(asking, world, definitions.segments[name])
