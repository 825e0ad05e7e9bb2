"""The fold: answers kept up tick by tick equal one full evaluation of everything, and the oracle."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from keepers.evaluation.active_queries import Definitions
from profiles import large
from properties.definitions import playbooks
from properties.oracle import Oracle
from properties.populations import LENGTH, scenarios
from properties.running import Live, difference, expected, live, segments
from properties.scenario import Scenario, at

END = LENGTH + 12
batches = st.sampled_from(((), (9,), (2, 12)))
names_are_known = st.sampled_from((True, True, True, True, False))
"""whether new tables and columns come up between ticks"""


def ticks(most: int) -> Any:
    """Moments of ticks, some soon after each other, some after an outage."""
    chosen = st.lists(st.integers(1, END - 1), max_size=most, unique=True).map(sorted)
    return chosen.map(lambda steps: [at(step) for step in [*steps, END]])


def check(
    scenario: Scenario, definitions: Definitions, moments: list[datetime], sizes: tuple[int, ...], is_named: bool
) -> None:
    with live(scenario, definitions, moments, sizes, is_named=is_named) as running:
        got = running.states()
        with live(scenario, definitions, moments[-1:], is_named=is_named) as fresh:
            full = fresh.states()
        assert not (found := difference(got, full, scenario, definitions)), f"not as a full evaluation: {found}"
        wanted = expected(Oracle(scenario, definitions), moments[-1])
        assert not (found := difference(visible(got), visible(wanted), scenario, definitions)), found
        assert not (found := difference(running.fold(), got, scenario, definitions)), (
            f"the changes do not add up: {found}"
        )
        in_order(running)


def visible(answers: dict[tuple[str, int], int]) -> dict[tuple[str, int], int]:
    """Without the hidden definitions of accounts, whose subjects' answers show in those of their members."""
    return {key: value for key, value in answers.items() if not key[0].startswith("account:")}


def in_order(running: Live) -> None:
    """A subject's changes never go back in time."""
    last: dict[tuple[str, int], datetime] = {}
    for name, who, _, _, moment in running.changes():
        assert last.get((name, who), moment) <= moment, f"{name} of {who} went back from {last[name, who]} to {moment}"
        last[name, who] = moment


@large()
@given(scenarios(late=True, zones=True, merges=True), playbooks(), ticks(3), batches, names_are_known)
def test_ticks_in_any_order_equal_one_full_evaluation(
    scenario: Scenario, definitions: Definitions, moments: list[datetime], sizes: tuple[int, ...], is_named: bool
) -> None:
    check(scenario, definitions, moments, sizes, is_named)


@large()
@given(scenarios(late=True, accounts=True, merges=True), playbooks(accounts=True), ticks(3), batches, names_are_known)
def test_accounts_equal_one_full_evaluation(
    scenario: Scenario, definitions: Definitions, moments: list[datetime], sizes: tuple[int, ...], is_named: bool
) -> None:
    check(scenario, definitions, moments, sizes, is_named)


def _outages(accounts: bool) -> Any:
    return st.tuples(scenarios(accounts=accounts, people=5), playbooks(accounts=accounts, lasting=True))


@large()
@given(st.booleans().flatmap(_outages), ticks(2))
def test_an_outage_changes_no_transition(drawn: tuple[Scenario, Definitions], moments: list[datetime]) -> None:
    """With nothing late, ticks skipped and ticks kept give the same transitions at the same instants."""
    changes = []
    for kept in ([at(n) for n in (*range(0, END, 12), END)], [at(0), *moments]):
        with live(*drawn, kept) as running:
            in_order(running)
            changes.append(sorted(running.changes()))
    often, seldom = changes
    assert often == seldom, f"only often: {set(often) - set(seldom)}\nonly seldom: {set(seldom) - set(often)}"


def test_an_anniversary_moves_with_the_customers_zone() -> None:
    scenario = Scenario()
    scenario.person(1, at(0))
    scenario.add("identify", 1, at(0), data={"birthday": "1990-03-28"})
    scenario.add("identify", 1, at(1), data={"timezone": "Pacific/Auckland"})
    definitions = Definitions(segments=segments([{"trait": "birthday", "anniversary": {"in": "0d"}}]))
    with live(scenario, definitions, [at(0), at(1.5), at(2.5)]) as running:
        assert running.changes() == [("segment:s0", 1, 0, 1, at(1) + timedelta(hours=5))]
