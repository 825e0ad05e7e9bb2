"""Date traits: the value, an offset and a local time give an instant; once, or every year."""

from __future__ import annotations

from calendar import isleap
from datetime import date, datetime, time, timedelta
from typing import Any

from keepers.contact.local_time import DAY, at_local, to_local, zone_of
from keepers.model.errors import UserError
from keepers.model.moments import parse_instant


def date_of(value: Any, zone: str) -> date | datetime | None:
    """A local date, or an instant (naive UTC) when the value has a time of day; None when it is neither."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return value
    if not isinstance(value, str):
        return None
    text = value.strip()
    try:
        return date.fromisoformat(text)
    except ValueError:
        try:
            return parse_instant(text, zone_of(zone))
        except UserError:
            return None


def instant_of(value: Any, offset: timedelta, at: time | None, zone: str) -> datetime | None:
    """The instant `offset` from a date trait, at a local time (09:00 for a plain date); None when it is no date.

    Whole days are counted on the calendar, the rest of the offset in exact seconds. Without `at`, an instant with a
    time of day keeps its own.
    """
    found = date_of(value, zone)
    if found is None:
        return None
    days, rest = divmod(offset, DAY)
    try:
        if isinstance(found, datetime):
            local = to_local(found, zone)
            return at_local(local.date() + days * DAY, at or local.time(), zone) + rest
        return at_local(found + days * DAY, at or time(9), zone) + rest
    except OverflowError:
        return None


def in_year(day: date, year: int) -> date:
    """The anniversary of a day in a year; that of a 29 February is the 28th where there is none."""
    if day.month == 2 and day.day == 29 and not isleap(year):
        return date(year, 2, 28)
    return day.replace(year=year)
