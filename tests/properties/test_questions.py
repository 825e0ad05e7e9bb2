"""A run's question is answered as the segment of the same condition; a ref is as good as what it stands for."""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import given

from keepers.audience.ast import Condition
from keepers.audience.definitions import Segment
from keepers.audience.parse import parse_condition
from keepers.model.errors import DefinitionError
from keepers.warehouse.answers import Answerer
from keepers.warehouse.questions import Asking, answer
from keepers.warehouse.standing import Definitions
from properties import generate
from properties.definitions import playbook, words
from properties.oracle import Oracle
from properties.referring import Keys, other, referring, written
from properties.running import SEEDS, Live, few, loaded, standing_of
from properties.world import STEP, World, at


def holds(oracle: Oracle, condition: Condition, asking: Asking) -> bool:
    return bool(oracle.value(Segment("asked", condition), asking.profile_id, asking.now))


def of(asking: Asking, world: World, condition: Any) -> str:
    facts = [str(f) for f in world.facts if asking.profile_id in (f.who, f.other)]
    return "\n".join([str(asking), str(condition), *facts])


@few(3)
@given(seed=SEEDS)
def test_questions_equal_the_oracle(seed: int) -> None:
    r = Random(seed)
    world = generate.world(r, merges=seed % 2 == 0, zones=True)
    definitions = Definitions(words(r))
    asked = {f"q{n}": parse_condition(generate.condition(r, ("purchase", *generate.EVENTS))) for n in range(10)}
    warehouse, oracle = loaded(world), Oracle(world, definitions)
    people = [who for who in oracle.subjects() for _ in range(3)]
    askings = [Asking(n, who, at(r.randrange(generate.LENGTH))) for n, who in enumerate(people)]
    r.shuffle(askings)
    replies = answer(Answerer(warehouse), standing_of(definitions), asked, askings)
    assert len(replies) == len(asked) * len(askings)
    for name, condition in asked.items():
        for asking in askings:
            wanted = holds(oracle, condition, asking)
            assert replies[name, asking.run_id].holds == wanted, of(asking, world, condition)
    warehouse.close()


@few(6)
@given(seed=SEEDS)
def test_a_ref_is_as_good_as_what_it_stands_for(seed: int) -> None:
    """Each asking has its own values; the oracle and the literal question know them written down."""
    r = Random(seed)
    world = generate.world(r, merges=seed % 2 == 0)
    definitions = Definitions(words(r))
    warehouse, oracle, standing = loaded(world), Oracle(world, definitions), standing_of(definitions)
    answerer = Answerer(warehouse)
    for _ in range(6):
        keys: Keys = {}
        data = referring(generate.condition(r, ("purchase", *generate.EVENTS)), r, keys)
        condition = parse_condition(data, refs=True)
        first = [Asking(who, who, at(r.randrange(generate.LENGTH)), keys) for who in oracle.subjects()]
        replies = answer(answerer, standing, {"q": condition}, first)
        assert replies == answer(answerer, standing, {"q": parse_condition(written(data, keys))}, first), data
        askings = [a._replace(keys=varied(data, keys, r)) for a in first]
        replies = answer(answerer, standing, {"q": condition}, askings)
        for asking in askings:
            wanted = holds(oracle, parse_condition(written(data, dict(asking.keys))), asking)
            assert replies["q", asking.run_id].holds == wanted, of(asking, world, data)
    warehouse.close()


def varied(data: Any, keys: Keys, r: Random) -> Keys:
    """Other values, if they make sense where they stand: a window must not end before it starts."""
    changed = {path: other(value, r) for path, value in keys.items()}
    try:
        parse_condition(written(data, changed))
    except DefinitionError:
        return keys
    return changed


@few(2)
@given(seed=SEEDS)
def test_memberships_are_taken_as_they_were_at_the_moment_of_asking(seed: int) -> None:
    r = Random(seed)
    world = generate.world(r, late=False)
    definitions = playbook(r)
    oracle = Oracle(world, definitions)
    running = Live(definitions, at(0))
    running.tick(at(0))
    running.load(world.rows())
    for step in range(1, generate.LENGTH + 1, 3):
        running.tick(at(step))
    names = ["active", "slipping", "fresh", "worth", "random1"]
    asked = {name: parse_condition({"in_segment": name}) for name in names}
    asked["stage"] = parse_condition({"in_stage": "value.g2"})
    lasting = {f"lasting {name}": parse_condition({"in_segment": name, "for": "12h"}) for name in names}
    askings = [Asking(n, who, at(r.randrange(1, generate.LENGTH))) for n, who in enumerate(oracle.subjects())]
    replies = answer(running.answerer, running.standing, asked | lasting, askings)
    for asking in askings:
        for name, condition in asked.items():
            wanted = holds(oracle, condition, asking)
            assert replies[name, asking.run_id].holds == wanted, of(asking, world, definitions.segments.get(name))
        for name in names:
            inside = [holds(oracle, asked[name], asking._replace(now=asking.now - STEP * n)) for n in range(3)]
            if replies[f"lasting {name}", asking.run_id].holds:
                assert all(inside), of(asking, world, definitions.segments[name])
    running.warehouse.close()
