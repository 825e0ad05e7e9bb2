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
from properties.populations import properties, scenarios
from properties.running import Live, difference, expected, live
from properties.scenario import STEP, Scenario, at
from properties.test_fold import END, batches, names_are_known, ticks, visible
from properties.warehouses import empty_warehouse


def check(
    scenario: Scenario, definitions: Definitions, moments: list[datetime], sizes: tuple[int, ...], is_named: bool
) -> None:
    with empty_warehouse(is_named=is_named) as warehouse:
        running = Live(warehouse, definitions, at(0))
        snapshots = {}
        for now in running.ticks(scenario, moments, sizes):
            snapshots[now] = running.states()
        for now, then in snapshots.items():
            assert not (found := difference(running.as_of(now), then, scenario, definitions)), f"as of {now}: {found}"


def _scenarios_and_playbooks(accounts: bool) -> Any:
    return st.tuples(scenarios(late=True, merges=True, accounts=accounts), playbooks(lasting=True, accounts=accounts))


@large()
@given(st.booleans().flatmap(_scenarios_and_playbooks), ticks(2), batches, names_are_known)
def test_as_of_equals_what_was_answered_then(
    drawn: tuple[Scenario, Definitions], moments: list[datetime], sizes: tuple[int, ...], is_named: bool
) -> None:
    check(*drawn, moments, sizes, is_named)


_history = st.lists(st.tuples(st.integers(1, 8), st.integers(0, 7), properties), min_size=1, max_size=6)
"""orders (of whom, when) that arrive more than 72 hours late"""


@large()
@given(scenarios(late=True), playbooks(), _history, st.lists(st.integers(1, END), min_size=1, max_size=3, unique=True))
def test_as_of_knows_history_at_its_own_time(
    scenario: Scenario, definitions: Definitions, history: list[tuple[int, int, dict[str, Any]]], moments: list[int]
) -> None:
    """Rows that came more than 72 h late count as if they had been there all along."""
    people = sum(f.kind == "profile" for f in scenario.facts)
    for who, step, held in history:
        scenario.track((who - 1) % people + 1, "Order Completed", at(step), at(step) + STEP * 13, **held)
    scenario = scenario.sorted_by_arrival()
    with live(scenario, definitions, [at(END)]) as running:
        for now in map(at, moments):
            wanted = expected(Oracle(scenario.known_by(now), definitions), now)
            got = running.as_of(now)
            assert not (found := difference(visible(got), visible(wanted), scenario, definitions)), (
                f"as of {now}: {found}"
            )
