"""The comparison operators over plain JSON values, written from their documentation."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from keepers.conditions.ast import Comparison
from keepers.conditions.comparisons import Anniversary
from keepers.model.moments import Moment

NEGATIVE = {"ne": "eq", "not_in": "in", "not_contains": "contains"}
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}($|[T ]\d{2}:?\d{2})")


@dataclass(frozen=True)
class Clock:
    now: datetime
    zone: str = "UTC"


def moment(value: Moment, clock: Clock) -> datetime:
    return value.at if value.at is not None else clock.now + value.offset


def passes(value: Any, tests: tuple[Comparison, ...], clock: Clock, read_zone: str) -> bool:
    """All tests on one value; `read_zone` is where a date without an offset lies.

    A list passes when one of its items does; the negative operators ask that none does.
    """
    positive = tuple(t for t in tests if t.op not in NEGATIVE and t.op != "exists")
    for test in tests:
        if test.op == "exists" and (value is not None and value != []) != test.operand:
            return False
        if test.op in NEGATIVE and passes(value, (Comparison(NEGATIVE[test.op], test.operand),), clock, read_zone):
            return False
    if not positive:
        return True
    if isinstance(value, list):
        as_items = tuple(Comparison("eq", t.operand) if t.op == "contains" else t for t in positive)
        items = [i for i in value if not isinstance(i, dict | list)]
        return any(all(_one(item, t, clock, read_zone) for t in as_items) for item in items)
    return all(_one(value, t, clock, read_zone) for t in positive)


def _one(value: Any, test: Comparison, clock: Clock, read_zone: str) -> bool:
    if value is None:
        return False
    operand = test.operand
    match test.op:
        case "eq":
            return _equal(value, operand, clock, read_zone)
        case "in":
            return any(_equal(value, o, clock, read_zone) for o in operand)
        case "lt" | "before":
            return _ordered(value, operand, clock, read_zone, lambda a, b: a < b)
        case "lte":
            return _ordered(value, operand, clock, read_zone, lambda a, b: a <= b)
        case "gt" | "after":
            return _ordered(value, operand, clock, read_zone, lambda a, b: a > b)
        case "gte":
            return _ordered(value, operand, clock, read_zone, lambda a, b: a >= b)
        case "between":
            low, high = operand
            return _ordered(value, low, clock, read_zone, lambda a, b: a >= b) and _ordered(
                value, high, clock, read_zone, lambda a, b: a <= b
            )
        case "contains":
            return isinstance(value, str) and operand in nfc(value)
        case "starts_with":
            return isinstance(value, str) and nfc(value).startswith(operand)
        case "ends_with":
            return isinstance(value, str) and nfc(value).endswith(operand)
        case "matches":
            return isinstance(value, str) and re.search(operand, nfc(value)) is not None
    instant = read_instant(value, read_zone)
    if instant is None:
        return False
    match test.op:
        case "within_last":
            return clock.now - operand < instant <= clock.now
        case "within_next":
            return clock.now < instant <= clock.now + operand
        case "older_than":
            return instant <= clock.now - operand
        case "anniversary":
            return _anniversary(read_day(value, read_zone), operand, clock)
    raise AssertionError(test.op)


def nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _equal(value: Any, operand: Any, clock: Clock, read_zone: str) -> bool:
    if isinstance(operand, Moment):
        return read_instant(value, read_zone) == moment(operand, clock)
    if isinstance(operand, bool) or isinstance(value, bool):
        return isinstance(value, bool) and isinstance(operand, bool) and value == operand
    if is_number(operand):
        return is_number(value) and float(value) == float(operand)
    return isinstance(value, str) and nfc(value) == operand


def _ordered(value: Any, operand: Any, clock: Clock, read_zone: str, is_so: Any) -> bool:
    if isinstance(operand, Moment):
        instant = read_instant(value, read_zone)
        return instant is not None and is_so(instant, moment(operand, clock))
    if is_number(operand):
        return is_number(value) and is_so(float(value), float(operand))
    return isinstance(value, str) and is_so(nfc(value), operand)


def read_instant(value: Any, zone: str) -> datetime | None:
    """A text that is an ISO date or time, as naive UTC."""
    if not isinstance(value, str) or not _DATE.match(value):
        return None
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        return None
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=ZoneInfo(zone))
    return parsed.astimezone(UTC).replace(tzinfo=None)


def read_day(value: str, zone: str) -> date:
    """The local date of a text that is an ISO date or time."""
    parsed = datetime.fromisoformat(value)
    return parsed.astimezone(ZoneInfo(zone)).date() if parsed.tzinfo else parsed.date()


def local_day(instant: datetime, zone: str) -> date:
    return instant.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).date()


def _anniversary(day: date, operand: Anniversary, clock: Clock) -> bool:
    """Walks forward from today to the next day that is the date's return."""
    today = local_day(clock.now, clock.zone)
    ahead = 0
    while not _returns(day, today + timedelta(days=ahead)):
        ahead += 1
    return ahead <= operand.days if operand.within else ahead == operand.days


def _returns(day: date, candidate: date) -> bool:
    if (day.month, day.day) == (2, 29) and (candidate.month, candidate.day) == (2, 28):
        return (candidate + timedelta(days=1)).month == 3
    return (day.month, day.day) == (candidate.month, candidate.day)
