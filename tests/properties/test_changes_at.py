"""`changes_at` is never late: until that instant the answer stays what it was, at every instant that could matter."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from keepers.evaluation.active_queries import Definitions, build
from keepers.model.moments import parse_duration
from profiles import large
from properties import generate
from properties.generate import EVENTS, choice, of, one
from properties.oracle import Oracle
from properties.populations import LENGTH, scenarios
from properties.running import answers_at, describe, loaded, segments
from properties.scenario import MICRO, Scenario, at, instants_of

# A relative moment shifts what matters by its own span, either way; anniversaries and dates by whole days.
SPANS = [parse_duration(s) * sign for s in ("6h", "12h", "1d", "36h", "2d", "3d", "5d") for sign in (1, -1)]
HORIZON = at(LENGTH + 40)
LAST, SPREAD = 10, 30
"""instants tried per answer: the last ones before the claimed change, and some spread over the others"""
moments = st.integers(0, LENGTH - 1)


def check_never_late(scenario: Scenario, conditions: list[Any], moment: int, offset: int) -> None:
    definitions = Definitions(segments=segments(conditions))
    oracle, now = Oracle(scenario, definitions), at(moment)
    grid = {at(n) + d for n in range(LENGTH + 40) for d in (-MICRO, timedelta(0), MICRO)}
    instants = sorted({*instants_of([scenario], SPANS), *_local_midnights(), *grid})
    with loaded(scenario) as warehouse:
        answers = answers_at(warehouse, build(definitions), now)
    for (name, who), (value, changes_at) in answers.items():
        until = HORIZON if changes_at is None else min(changes_at, HORIZON)
        ahead = instants[bisect_right(instants, now) : bisect_left(instants, until)]
        every = len(ahead) // SPREAD + 1
        for instant in [*ahead[offset % every : -LAST : every], *ahead[-LAST:]]:
            then = oracle.value(definitions.by_id()[name], who, instant)
            assert then == value, (
                f"asked at {now}: {value} until {changes_at}; at {instant} already {then}\n"
                f"{describe((name, who), scenario, definitions)}"
            )


def _local_midnights() -> list[datetime]:
    """Instants at which some zone's date changes, with the microsecond before."""
    hours = [at(0) + timedelta(minutes=30 * n) for n in range(24 * 2 * 12)]
    return [h - d for h in hours for d in (timedelta(0), timedelta(microseconds=1))]


_when = one("when", generate.comparison("date"))
_sequence = _when.map(lambda rule: {"sequence": [{"did": "view"}, {"did": "Order Completed", "where": rule}]})
_did = st.tuples(choice(one("did", of(*EVENTS)), one("did_not", of(*EVENTS))), _when).map(
    lambda parts: {**parts[0], "where": parts[1]}
)
dated = st.tuples(choice(_did, _did, _sequence), generate.window).map(lambda parts: parts[0] | parts[1])
"""events whose own property is compared with the clock"""
conditions_on_events = choice(generate.did(), dated, generate.sequence(), generate.condition())
offsets = st.integers(0, 40)


@large()
@given(scenarios(people=5), st.lists(conditions_on_events, min_size=1, max_size=2), moments, offsets)
def test_events_change_no_earlier_than_said(
    scenario: Scenario, conditions: list[Any], moment: int, offset: int
) -> None:
    check_never_late(scenario, conditions, moment, offset)


@large()
@given(scenarios(people=5, zones=True), st.lists(generate.trait, min_size=1, max_size=3), moments, offsets)
def test_traits_change_no_earlier_than_said_in_any_zone(
    scenario: Scenario, conditions: list[Any], moment: int, offset: int
) -> None:
    check_never_late(scenario, conditions, moment, offset)
