"""The fold: answers kept up tick by tick equal one full evaluation of everything, and the oracle."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random

import pytest
from hypothesis import given

from keepers.warehouse.standing import Definitions
from properties import generate
from properties.definitions import playbook
from properties.oracle import Oracle
from properties.running import SEEDS, Live, difference, expected, few, segments
from properties.world import World, at

END = generate.LENGTH + 12


def ticks(r: Random) -> list[datetime]:
    """Moments of ticks, some soon after each other, some after an outage."""
    steps = sorted(r.sample(range(1, END), r.randrange(3, 8)))
    return [at(step) for step in [*steps, END]]


def live(
    world: World, definitions: Definitions, moments: list[datetime], r: Random | None = None, like: Live | None = None
) -> Live:
    """Ticks through a world: at each moment, what has arrived by then."""
    running = Live(definitions, at(0), like)
    done = 0
    for now in moments:
        arrived = [f.row() for f in world.facts if f.received <= now][done:]
        running.load(arrived, r)
        running.tick(now)
        done += len(arrived)
    return running


def check(world: World, definitions: Definitions, r: Random) -> None:
    moments = ticks(r)
    running = live(world, definitions, moments, r)
    got = running.states()
    fresh = live(world, definitions, moments[-1:], like=running)
    assert not (found := difference(got, fresh.states(), world, definitions)), f"not as a full evaluation: {found}"
    oracle = Oracle(world, definitions)
    assert not (found := difference(visible(got), visible(expected(oracle, moments[-1])), world, definitions)), found
    assert not (found := difference(running.fold(), got, world, definitions)), f"the changes do not add up: {found}"
    in_order(running)
    running.warehouse.close()
    fresh.warehouse.close()


def visible(answers: dict[tuple[str, int], int]) -> dict[tuple[str, int], int]:
    """Without the hidden definitions of accounts, whose subjects' answers show in those of their members."""
    return {key: value for key, value in answers.items() if not key[0].startswith("account:")}


def in_order(running: Live) -> None:
    """A subject's changes never go back in time."""
    last: dict[tuple[str, int], datetime] = {}
    for name, who, _, _, moment in running.changes():
        assert last.get((name, who), moment) <= moment, f"{name} of {who} went back from {last[name, who]} to {moment}"
        last[name, who] = moment


@few(2)
@given(seed=SEEDS)
def test_ticks_in_any_order_equal_one_full_evaluation(seed: int) -> None:
    r = Random(seed)
    check(generate.world(r, late=True, zones=seed % 2 == 0), playbook(r), r)


@few(2)
@given(seed=SEEDS)
def test_merges_taken_back_or_not_equal_one_full_evaluation(seed: int) -> None:
    r = Random(seed)
    check(generate.world(r, late=True, merges=True), playbook(r), r)


@few(2)
@given(seed=SEEDS)
def test_accounts_equal_one_full_evaluation(seed: int) -> None:
    r = Random(seed)
    check(generate.world(r, people=12, late=True, accounts=True, merges=seed % 2 == 0), playbook(r, accounts=True), r)


@pytest.mark.parametrize("accounts", [False, True])
@few(2)
@given(seed=SEEDS)
def test_an_outage_changes_no_transition(accounts: bool, seed: int) -> None:
    """With nothing late, ticks skipped and ticks kept give the same transitions at the same instants."""
    r = Random(seed)
    world = generate.world(r, people=8, each=6, accounts=accounts)
    definitions = playbook(r, accounts=accounts, lasting=True)
    often = live(world, definitions, [at(0), *(at(n) for n in range(4, END + 1, 4))])
    few_moments = [at(0), *(at(n) for n in sorted(r.sample(range(1, END), 2))), at(END)]
    seldom = live(world, definitions, few_moments, like=often)
    kept, skipped = sorted(often.changes()), sorted(seldom.changes())
    assert kept == skipped, f"only often: {set(kept) - set(skipped)}\nonly seldom: {set(skipped) - set(kept)}"
    for running in (often, seldom):
        in_order(running)
        running.warehouse.close()


def test_an_anniversary_moves_with_the_customers_zone() -> None:
    world = World()
    world.person(1, at(0))
    world.add("identify", 1, at(0), data={"birthday": "1990-03-28"})
    world.add("identify", 1, at(1), data={"timezone": "Pacific/Auckland"})
    definitions = Definitions(segments=segments([{"trait": "birthday", "anniversary": {"in": "0d"}}]))
    running = live(world, definitions, [at(0), at(1.5), at(2.5)])
    assert running.changes() == [("segment:s0", 1, 0, 1, at(1) + timedelta(hours=5))]
