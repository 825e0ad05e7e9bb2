"""`changes_at` is never late: until that instant the answer stays what it was, at every instant that could matter."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given

from keepers.model.moments import parse_duration
from keepers.warehouse.standing import Definitions
from properties import generate
from properties.oracle import Oracle
from properties.running import SEEDS, answers_at, describe, few, loaded, segments, standing_of
from properties.world import MICRO, World, at, instants_of

# A relative moment shifts what matters by its own span, either way; anniversaries and dates by whole days.
SPANS = [parse_duration(s) * sign for s in ("6h", "12h", "1d", "36h", "2d", "3d", "5d") for sign in (1, -1)]
HORIZON = at(generate.LENGTH + 40)
MOST = 60
"""instants tried per answer: the last ones before the claimed change, and a sample of the others"""


def check_never_late(world: World, definitions: Definitions, r: Random) -> None:
    warehouse, standing = loaded(world), standing_of(definitions)
    oracle = Oracle(world, definitions)
    now = at(r.randrange(generate.LENGTH))
    grid = {at(n) + d for n in range(generate.LENGTH + 40) for d in (-MICRO, timedelta(0), MICRO)}
    instants = sorted({*instants_of([world], SPANS), *_local_midnights(), *grid})
    for (name, who), (value, changes_at) in answers_at(warehouse, standing, now).items():
        until = HORIZON if changes_at is None else min(changes_at, HORIZON)
        ahead = instants[bisect_right(instants, now) : bisect_left(instants, until)]
        if len(ahead) > MOST:
            ahead = [*r.sample(ahead[:-10], MOST - 10), *ahead[-10:]]
        for instant in ahead:
            then = oracle.value(definitions.by_id()[name], who, instant)
            assert then == value, (
                f"asked at {now}: {value} until {changes_at}; at {instant} already {then}\n"
                f"{describe((name, who), world, definitions)}"
            )
    warehouse.close()


def _local_midnights() -> list[Any]:
    """Instants at which some zone's date changes, with the microsecond before."""
    hours = [at(0) + timedelta(minutes=30 * n) for n in range(24 * 2 * 12)]
    return [h - d for h in hours for d in (timedelta(0), timedelta(microseconds=1))]


def dated(r: Random) -> Any:
    """Events whose own property is compared with the clock."""
    rule = {"when": generate.comparison(r, "date")}
    if r.random() < 0.3:
        return {"sequence": [{"did": "view"}, {"did": "Order Completed", "where": rule}], **generate.window(r)}
    return {r.choice(("did", "did_not")): r.choice(generate.EVENTS), "where": rule, **generate.window(r)}


LEAVES = {"did": generate.did, "dated": dated, "sequence": generate.sequence, "all": generate.condition}


@pytest.mark.parametrize("leaf", LEAVES.values(), ids=LEAVES)
@few(2)
@given(seed=SEEDS)
def test_events_change_no_earlier_than_said(leaf: Callable[[Random], Any], seed: int) -> None:
    r = Random(seed)
    world = generate.world(r, people=10)
    check_never_late(world, Definitions(segments=segments(leaf(r) for _ in range(8))), r)


@few(3)
@given(seed=SEEDS)
def test_traits_change_no_earlier_than_said_in_any_zone(seed: int) -> None:
    r = Random(seed)
    world = generate.world(r, people=10, zones=True)
    check_never_late(world, Definitions(segments=segments(generate.trait(r) for _ in range(12))), r)
