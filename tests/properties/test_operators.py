"""Every condition equals the oracle, for everybody at once and for a scope; `changes_at` is never late."""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import given

from keepers.audience.operators import OPERATORS
from keepers.audience.reading import parse_segment
from keepers.warehouse.standing import Definitions
from properties import generate
from properties.oracle import Oracle
from properties.running import (
    SEEDS,
    answers_at,
    describe,
    difference,
    expected,
    few,
    loaded,
    segments,
    standing_of,
)
from properties.world import World, at


def check(world: World, definitions: Definitions, r: Random) -> None:
    """Everybody at one moment, then each at a moment of their own."""
    warehouse, standing = loaded(world), standing_of(definitions)
    oracle = Oracle(world, definitions)
    now = at(r.randrange(generate.LENGTH))
    got = {key: value for key, (value, _) in answers_at(warehouse, standing, now).items() if value}
    assert not (found := difference(got, expected(oracle, now), world, definitions)), f"at {now}: {found}"
    scope = {who: at(r.randrange(generate.LENGTH)) for who in oracle.subjects() if r.random() < 0.8}
    for (name, who), (value, _) in answers_at(warehouse, standing, now, scope).items():
        wanted = oracle.value(definitions.by_id()[name], who, scope[who])
        assert value == wanted, f"at {scope[who]}: {value}\n{describe((name, who), world, definitions)}"
    warehouse.close()


@few(5)
@given(SEEDS)
def test_events_equal_the_oracle(seed: int) -> None:
    r = Random(seed)
    world = generate.world(r, merges=seed % 2 == 0)
    check(world, Definitions(segments=segments(generate.did(r) for _ in range(14))), r)


@few(4)
@given(SEEDS)
def test_sequences_equal_the_oracle(seed: int) -> None:
    r = Random(seed)
    world = generate.world(r, merges=seed % 2 == 0)
    check(world, Definitions(segments=segments(generate.sequence(r) for _ in range(8))), r)


@few(4)
@given(SEEDS)
def test_traits_equal_the_oracle(seed: int) -> None:
    r = Random(seed)
    world = generate.world(r, merges=seed % 2 == 0, zones=True)
    check(world, Definitions(segments=segments(generate.trait(r) for _ in range(16))), r)


@few(3)
@given(SEEDS)
def test_groups_equal_the_oracle(seed: int) -> None:
    r = Random(seed)
    check(generate.world(r), Definitions(segments=segments(generate.condition(r) for _ in range(10))), r)


def test_every_operator_is_generated() -> None:
    r = Random(0)
    seen = set()
    for _ in range(1500):
        for kind in ("any", "number", "text", "date", "trait_date"):
            parsed = parse_segment({"id": "x", "who": {"trait": "x", **generate.comparison(r, kind)}})
            seen |= {t.op for t in parsed.who.tests}  # type: ignore[union-attr]
    assert seen == {row.id for row in OPERATORS}


def alone(definitions: Definitions, *events: dict[str, Any]) -> dict[str, int]:
    """One person who did `A` with each of these properties; their answers a day later."""
    world = World()
    world.person(1, at(0))
    for properties in events:
        world.track(1, "A", at(1), **properties)
    warehouse, standing = loaded(world), standing_of(definitions)
    return {name: value for (name, _), (value, _) in answers_at(warehouse, standing, at(5)).items()}


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
