"""Who enters, how often, and when dates and schedules fall due."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from keepers.journeys.entry.definitions import DateEntry, ScheduleEntry
from keepers.journeys.entry_rules import (
    EntryRejected,
    candidate_days,
    date_occurrences,
    may_enter,
    schedule_occurrences,
    trigger_at,
)
from keepers.model.moments import format_instant
from unit.journeys.driving import MONDAY, at, journey

DAY = timedelta(days=1)
Earlier = tuple[str, datetime, datetime | None]


def enter(
    reentry: Any, earlier: list[Earlier] | None = None, trigger: Any = None, **options: Any
) -> str | EntryRejected:
    definition = journey({"id": "a", "exit": "x"}, reentry=reentry)
    return may_enter(definition, earlier or [], {"time": format_instant(MONDAY)} | (trigger or {}), MONDAY, **options)


def test_never_lets_in_once() -> None:
    assert enter("never") == "once"
    assert enter("never", [("once", MONDAY - 90 * DAY, MONDAY - 80 * DAY)]) == EntryRejected("already_entered")


def test_after_exit_lets_in_again_when_the_run_before_has_ended() -> None:
    assert enter("after_exit", [("seq:1", MONDAY - DAY, None)], {"seq": 2}) == EntryRejected("still_in")
    assert enter("after_exit", [("seq:1", MONDAY - DAY, MONDAY)], {"seq": 2}) == "seq:2"


def test_the_same_trigger_starts_one_run_however_often_it_is_seen() -> None:
    assert enter("after_exit", [("seq:2", MONDAY, MONDAY)], {"seq": 2}) == EntryRejected("already_entered")
    key = enter("after_exit")
    assert key == "at:2026-03-02T12:00:00Z"
    assert enter("after_exit", [(str(key), MONDAY, MONDAY)]) == EntryRejected("already_entered")


def test_after_a_span_lets_in_again_when_it_is_over() -> None:
    assert enter({"after": "30d"}, [("seq:1", MONDAY - 29 * DAY, MONDAY - 28 * DAY)], {"seq": 2}) == EntryRejected(
        "too_soon"
    )
    assert enter({"after": "30d"}, [("seq:1", MONDAY - 30 * DAY, MONDAY - 28 * DAY)], {"seq": 2}) == "seq:2"
    assert enter({"after": "30d"}, [("seq:1", MONDAY - 30 * DAY, None)], {"seq": 2}) == EntryRejected("still_in")


def test_per_a_property_there_is_one_run_for_each_value() -> None:
    per = {"per": "order_id"}
    assert enter(per, [("order_id=A1", MONDAY, None)], {"order_id": "A2"}) == "order_id=A2"
    assert enter(per, [("order_id=A1", MONDAY, MONDAY)], {"order_id": "A1"}) == EntryRejected("already_entered")
    assert enter(per, [("order_id=5", MONDAY, None)], {"order_id": 5}) == EntryRejected("already_entered")
    assert enter(per, [("order_id=5", MONDAY, None)], {"order_id": 5.0}) == EntryRejected("already_entered")
    assert enter(per) == EntryRejected("no_value.order_id")


def test_a_late_event_starts_nothing_when_it_is_older_than_max_age() -> None:
    late = {"time": format_instant(MONDAY - timedelta(hours=72, seconds=1))}
    assert enter("never", trigger=late) == EntryRejected("too_old")
    assert enter("never", trigger={"time": format_instant(MONDAY - timedelta(hours=72))}) == "once"


@pytest.mark.parametrize("cause", ["import", "backfill", "merge", "definition"])
def test_nobody_is_enrolled_by_accident(cause: Any) -> None:
    assert enter("never", cause=cause) == EntryRejected(f"not_live.{cause}")


def test_journeys_that_start_one_another_come_to_an_end() -> None:
    assert enter("never", hops=10) == "once"
    assert enter("never", hops=11) == EntryRejected("too_many_hops")


def due(entry: DateEntry, value: Any, after: str, until: str, zone: str = "Europe/Warsaw") -> list[str]:
    return [i.isoformat(" ", "minutes") for i in date_occurrences(entry, value, zone, at(after), at(until))]


def test_a_date_falls_due_once_in_the_customers_zone() -> None:
    entry = DateEntry(date="renewal_at", offset="-7d")
    assert due(entry, "2026-04-10", "2026-04-01", "2026-05-01") == ["2026-04-03 07:00"]
    assert due(entry, "2026-04-10", "2026-04-03 07:00", "2026-05-01") == []
    assert due(entry, "2026-04-10", "2026-04-01", "2026-05-01", "America/New_York") == ["2026-04-03 13:00"]
    assert due(entry, "next spring", "2026-04-01", "2026-05-01") == []


def test_a_birthday_comes_every_year_with_its_offset_over_new_year() -> None:
    entry = DateEntry(date="birthday", offset="-7d", yearly=True)
    assert due(entry, "1990-01-03", "2025-06-01", "2027-06-01") == ["2025-12-27 08:00", "2026-12-27 08:00"]


def test_who_was_born_on_a_leap_day_has_a_birthday_every_year() -> None:
    entry = DateEntry(date="birthday", yearly=True)
    assert due(entry, "1992-02-29", "2026-01-01", "2028-12-31") == [
        "2026-02-28 08:00", "2027-02-28 08:00", "2028-02-29 08:00",
    ]  # fmt: skip


def test_anniversaries_begin_with_the_date_itself() -> None:
    assert due(DateEntry(date="d", yearly=True), "2026-05-01", "2020-01-01", "2027-12-31") == [
        "2026-05-01 07:00", "2027-05-01 07:00",
    ]  # fmt: skip


def test_intervals_that_follow_one_another_see_each_occurrence_once() -> None:
    entry = DateEntry(date="birthday", yearly=True, at="02:30")
    found = []
    moment = at("2024-01-01")
    while moment < at("2028-01-01"):
        following = moment + timedelta(hours=7, minutes=13)
        found += date_occurrences(entry, "1990-03-29", "Europe/Warsaw", moment, following)
        moment = following
    assert found == date_occurrences(entry, "1990-03-29", "Europe/Warsaw", at("2024-01-01"), moment)
    assert len(found) == 4


def test_candidates_are_no_fewer_than_those_who_are_due() -> None:
    entry = DateEntry(date="d", offset="-7d")
    first, last = candidate_days(entry, at("2026-04-03 00:00"), at("2026-04-03 12:00"))
    assert first <= at("2026-04-10").date() <= last


def scheduled(entry: ScheduleEntry, zone: str, after: str, until: str) -> list[str]:
    return [i.isoformat(" ", "minutes") for i in schedule_occurrences(entry, zone, at(after), at(until))]


def test_a_schedule_runs_by_the_customers_clock_over_a_change_of_clocks() -> None:
    entry = ScheduleEntry(schedule="FREQ=WEEKLY;BYDAY=MO", segment="vip")
    assert scheduled(entry, "Europe/Warsaw", "2026-03-20", "2026-04-01") == ["2026-03-23 08:00", "2026-03-30 07:00"]
    assert scheduled(entry, "Asia/Tokyo", "2026-03-22 12:00", "2026-03-23 12:00") == ["2026-03-23 00:00"]


def test_a_schedule_may_be_the_same_instant_for_everybody() -> None:
    entry = ScheduleEntry(schedule="FREQ=DAILY", segment="vip", zone="UTC")
    assert scheduled(entry, "Asia/Tokyo", "2026-03-22", "2026-03-23") == ["2026-03-22 09:00"]


@pytest.mark.parametrize(
    ("rule", "days"),
    [
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=TU", ["2026-03-03", "2026-03-17", "2026-03-31"]),
        ("RRULE:FREQ=MONTHLY;BYDAY=-1FR", ["2026-03-27"]),
        ("FREQ=MONTHLY;BYMONTHDAY=31", ["2026-03-31"]),
        ("FREQ=DAILY;COUNT=3", ["2026-03-03", "2026-03-04", "2026-03-05"]),
        ("FREQ=DAILY;UNTIL=20260304", ["2026-03-03", "2026-03-04"]),
    ],
)
def test_schedules_are_those_of_rfc_5545(rule: str, days: list[str]) -> None:
    entry = ScheduleEntry(schedule=rule, segment="vip", start=at("2026-03-03").date())
    assert [i[:10] for i in scheduled(entry, "UTC", "2026-03-01", "2026-04-01")] == days


def test_a_trigger_says_which_date_or_schedule_it_was() -> None:
    assert trigger_at(DateEntry(date="birthday"), MONDAY) == {
        "event": "date", "time": "2026-03-02T12:00:00Z", "trait": "birthday",
    }  # fmt: skip
