"""Answers as of a past moment are those that were given then; history filled in later is known at its own time."""

from __future__ import annotations

from random import Random

from hypothesis import given

from keepers.warehouse.standing import Definitions
from properties import generate
from properties.definitions import playbook
from properties.oracle import Oracle
from properties.running import SEEDS, Live, difference, expected, few
from properties.test_fold import END, visible
from properties.world import STEP, World, at


def check(world: World, definitions: Definitions, r: Random) -> None:
    running = Live(definitions, at(0))
    snapshots = {}
    done = 0
    for step in [*sorted(r.sample(range(1, END), 3)), END]:
        arrived = [f.row() for f in world.facts if f.received <= at(step)][done:]
        running.load(arrived, r)
        running.tick(at(step))
        done += len(arrived)
        snapshots[at(step)] = running.states()
    for now, then in snapshots.items():
        assert not (found := difference(running.as_of(now), then, world, definitions)), f"as of {now}: {found}"
    running.warehouse.close()


@few(1)
@given(seed=SEEDS)
def test_as_of_equals_what_was_answered_then(seed: int) -> None:
    r = Random(seed)
    check(generate.world(r, late=True), playbook(r, lasting=True), r)


@few(1)
@given(seed=SEEDS)
def test_as_of_equals_what_was_answered_then_with_merges_and_accounts(seed: int) -> None:
    r = Random(seed)
    world = generate.world(r, late=True, merges=True, accounts=True)
    check(world, playbook(r, lasting=True, accounts=True), r)


@few(1)
@given(seed=SEEDS)
def test_as_of_knows_history_at_its_own_time(seed: int) -> None:
    """Rows that came more than 72 h late count as if they had been there all along."""
    r = Random(seed)
    world = generate.world(r, late=True)
    for who in range(1, 17):
        time = at(r.randrange(8))
        world.track(who, "Order Completed", time, time + STEP * 13, **generate.properties(r))
    world = world.sorted_by_arrival()
    definitions = playbook(r)
    running = Live(definitions, at(0))
    running.load(world.rows())
    running.tick(at(END))
    for now in (at(3), at(7), at(13)):
        wanted = expected(Oracle(world.known_by(now), definitions), now)
        got = running.as_of(now)
        assert not (found := difference(visible(got), visible(wanted), world, definitions)), f"as of {now}: {found}"
    running.warehouse.close()
