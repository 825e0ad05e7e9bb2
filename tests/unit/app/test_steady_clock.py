"""Which moments of the clock a tick takes: small steps back count as the last tick, long jumps need a witness."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from keepers.app.workspace.steady_clock import LONGEST_BACK, SteadyClock, require_near
from keepers.model.errors import ConflictError

LAST = datetime(2026, 3, 2, 12)
DAY = timedelta(days=1)
WEEK = 7 * DAY
SECOND = timedelta(seconds=1)


class Machine:
    """A machine's clock that tests set, and the seconds it has really run."""

    def __init__(self) -> None:
        self.shows = LAST
        self.ran_s = 0.0
        self.arrived: list[datetime] = []
        self.clock = SteadyClock(lambda: self.shows, lambda: self.ran_s)
        self.clock.note_tick(LAST)

    def moment(self) -> datetime:
        now = self.clock()
        self.clock.require_believable(now, WEEK, lambda last: (at for at in self.arrived if at > last))
        return now


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_a_clock_that_falls_back_a_little_shows_the_time_of_the_last_tick(machine: Machine) -> None:
    machine.shows = LAST - LONGEST_BACK
    assert machine.moment() == LAST
    machine.shows = LAST - SECOND
    assert machine.moment() == LAST
    machine.shows = LAST + SECOND
    assert machine.moment() == LAST + SECOND


def test_a_clock_that_falls_back_further_is_refused_with_the_way_back(machine: Machine) -> None:
    machine.shows = LAST - LONGEST_BACK - SECOND
    with pytest.raises(ConflictError, match="keepers rewind"):
        machine.moment()


def test_a_jump_is_refused_until_the_clock_is_right_again(machine: Machine) -> None:
    machine.shows = LAST + 365 * DAY
    with pytest.raises(ConflictError, match="365 days after the last tick") as refused:
        machine.moment()
    assert "--allow-jump" in refused.value.message
    machine.shows = LAST + WEEK
    assert machine.moment() == LAST + WEEK


def test_what_this_process_has_measured_is_no_jump(machine: Machine) -> None:
    """As when the disk was full for a month."""
    machine.shows = LAST + 30 * DAY
    machine.ran_s = (24 * DAY).total_seconds()
    assert machine.moment() == LAST + 30 * DAY
    machine.ran_s = (22 * DAY).total_seconds()
    with pytest.raises(ConflictError):
        machine.moment()


def test_events_that_arrived_all_along_are_a_witness_and_one_at_the_end_is_none(machine: Machine) -> None:
    """As when `keepers collect` ran on while `serve` was stopped. An event after a jump has the same wrong clock."""
    machine.shows = LAST + 20 * DAY
    machine.arrived = [LAST + 6 * DAY, LAST + 13 * DAY]
    assert machine.moment() == LAST + 20 * DAY
    machine.arrived = [LAST + 6 * DAY, LAST + 20 * DAY]
    with pytest.raises(ConflictError):
        machine.moment()


def test_a_given_moment_is_held_against_the_clock() -> None:
    require_near(LAST + WEEK, LAST, WEEK)
    with pytest.raises(ConflictError, match="lies 8 days ahead of this machine's clock"):
        require_near(LAST + 8 * DAY, LAST, WEEK)
