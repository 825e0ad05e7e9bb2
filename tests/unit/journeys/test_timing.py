"""Local wall time: gaps, doubled hours, windows and quiet."""

from __future__ import annotations

from datetime import date, time, timedelta

import pytest

from keepers.contact.local_time import next_open, next_time, quiet_until, to_instant, to_local
from unit.journeys.driving import at

WARSAW = "Europe/Warsaw"
NIGHT = (time(21), time(7))


def never(day: date) -> bool:
    return False


@pytest.mark.parametrize(
    ("zone", "local", "instant"),
    [
        (WARSAW, "2026-03-29 02:30", "2026-03-29 01:30"),  # does not exist: 03:30
        (WARSAW, "2026-10-25 02:30", "2026-10-25 00:30"),  # twice: the first
        ("America/New_York", "2026-03-08 02:00", "2026-03-08 07:00"),
        ("Australia/Lord_Howe", "2026-10-04 02:10", "2026-10-03 15:40"),  # half an hour's change
        ("Africa/Casablanca", "2026-02-15 02:30", "2026-02-15 01:30"),  # summer time ends for Ramadan
        ("Pacific/Apia", "2011-12-30 12:00", "2011-12-30 22:00"),  # a day that did not exist
        ("UTC", "2026-03-29 02:30", "2026-03-29 02:30"),
    ],
)
def test_wall_time_has_one_instant(zone: str, local: str, instant: str) -> None:
    assert to_instant(at(local), zone) == at(instant)


def test_the_next_time_is_after_not_at() -> None:
    assert next_time("UTC", at("2026-03-02 09:00"), time(9)) == at("2026-03-03 09:00")
    assert next_time("UTC", at("2026-03-02 08:59:59"), time(9)) == at("2026-03-02 09:00")


def test_a_daily_time_comes_once_a_day_over_both_changes_of_clocks() -> None:
    for start in ("2026-03-27 12:00", "2026-10-23 12:00"):
        moment, days = at(start), []
        for _ in range(6):
            moment = next_time(WARSAW, moment, time(2, 30))
            days.append(to_local(moment, WARSAW).date())
        assert days == [days[0] + timedelta(days=n) for n in range(6)]


def test_a_window_swallowed_by_a_change_of_clocks_is_left_out() -> None:
    found = next_open(WARSAW, at("2026-03-28 12:00"), time(2, 0), time(2, 30))
    assert found == at("2026-03-29 01:00")  # 03:00–03:30, moved forward as a whole
    assert next_open(WARSAW, at("2026-03-29 00:59"), time(2, 30), time(3, 0)) == at("2026-03-30 00:30")


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-03-02 12:00", None),
        ("2026-03-02 20:30", "2026-03-03 06:00"),
        ("2026-03-03 05:59:59", "2026-03-03 06:00"),
        ("2026-03-03 06:00", None),
        ("2026-03-02 20:00", "2026-03-03 06:00"),
        ("2026-03-28 22:00", "2026-03-29 05:00"),  # the night the clocks go forward
        ("2026-10-24 21:00", "2026-10-25 06:00"),  # the night they go back
    ],
)
def test_a_night_is_quiet_by_the_customers_clock(now: str, until: str | None) -> None:
    assert quiet_until(WARSAW, at(now), *NIGHT, never) == (at(until) if until else None)


def test_quiet_that_ends_in_the_doubled_hour_ends_once() -> None:
    hours = (time(21), time(2, 30))
    assert quiet_until(WARSAW, at("2026-10-24 21:00"), *hours, never) == at("2026-10-25 00:30")
    assert quiet_until(WARSAW, at("2026-10-25 01:10"), *hours, never) is None  # 02:10, the second time


def test_closed_days_and_nights_follow_one_another() -> None:
    def sunday(day: date) -> bool:
        return day.weekday() == 6

    saturday_evening = at("2026-03-07 21:30")
    assert quiet_until(WARSAW, saturday_evening, time(20), time(9), sunday) == at("2026-03-09 08:00")
    assert quiet_until(WARSAW, saturday_evening, None, None, sunday) is None


def test_a_calendar_without_an_open_day_does_not_search_for_ever() -> None:
    assert quiet_until(WARSAW, at("2026-03-07 21:30"), None, None, lambda day: True) is not None
