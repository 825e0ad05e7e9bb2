"""Answers as of a past moment are those that were given then; history filled in later is known at its own time."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from keepers.evaluation.active_queries import Definitions
from profiles import large
from properties.definitions import playbooks
from properties.oracle import Oracle
from properties.populations import properties, worlds
from properties.running import Live, difference, expected, live
from properties.test_fold import END, batches, names_are_known, ticks, visible
from properties.warehouses import empty_warehouse
from properties.world import STEP, World, at


def check(
    world: World, definitions: Definitions, moments: list[datetime], sizes: tuple[int, ...], is_named: bool
) -> None:
    with empty_warehouse(is_named=is_named) as warehouse:
        running = Live(warehouse, definitions, at(0))
        snapshots = {}
        for now in running.ticks(world, moments, sizes):
            snapshots[now] = running.states()
        for now, then in snapshots.items():
            assert not (found := difference(running.as_of(now), then, world, definitions)), f"as of {now}: {found}"


def _worlds_and_playbooks(accounts: bool) -> Any:
    return st.tuples(worlds(late=True, merges=True, accounts=accounts), playbooks(lasting=True, accounts=accounts))


@large()
@given(st.booleans().flatmap(_worlds_and_playbooks), ticks(2), batches, names_are_known)
def test_as_of_equals_what_was_answered_then(
    drawn: tuple[World, Definitions], moments: list[datetime], sizes: tuple[int, ...], is_named: bool
) -> None:
    check(*drawn, moments, sizes, is_named)


_history = st.lists(st.tuples(st.integers(1, 8), st.integers(0, 7), properties), min_size=1, max_size=6)
"""orders (of whom, when) that arrive more than 72 hours late"""


@large()
@given(worlds(late=True), playbooks(), _history, st.lists(st.integers(1, END), min_size=1, max_size=3, unique=True))
def test_as_of_knows_history_at_its_own_time(
    world: World, definitions: Definitions, history: list[tuple[int, int, dict[str, Any]]], asked: list[int]
) -> None:
    """Rows that came more than 72 h late count as if they had been there all along."""
    people = sum(f.kind == "profile" for f in world.facts)
    for who, step, held in history:
        world.track((who - 1) % people + 1, "Order Completed", at(step), at(step) + STEP * 13, **held)
    world = world.sorted_by_arrival()
    with live(world, definitions, [at(END)]) as running:
        for now in map(at, asked):
            wanted = expected(Oracle(world.known_by(now), definitions), now)
            got = running.as_of(now)
            assert not (found := difference(visible(got), visible(wanted), world, definitions)), f"as of {now}: {found}"
