"""Local wall time and instants: a time that does not exist moves forward, one that is twice happens the first time.

Instants are naive UTC, local times naive wall time, zones IANA names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)
_ALL = frozenset(range(7))


@cache
def zone_of(name: str) -> ZoneInfo:
    """A zone by the tzdata that the warehouse's offsets are from; the system's own may be of another year."""
    with (files("tzdata") / "zoneinfo").joinpath(*name.split("/")).open("rb") as data:
        return ZoneInfo.from_file(data, key=name)


def to_local(instant: datetime, zone: str) -> datetime:
    """The wall time of an instant."""
    return instant.replace(tzinfo=UTC).astimezone(zone_of(zone)).replace(tzinfo=None, fold=0)


def to_instant(local: datetime, zone: str) -> datetime:
    """The instant of a wall time: in a gap as much later as the gap is long, when twice the first (PEP 495, fold 0)."""
    return local.replace(tzinfo=zone_of(zone), fold=0).astimezone(UTC).replace(tzinfo=None)


def at_local(day: date, clock: time, zone: str) -> datetime:
    """The instant of a time of day on a local day."""
    return to_instant(datetime.combine(day, clock), zone)


def next_time(zone: str, after: datetime, clock: time, weekdays: frozenset[int] = _ALL) -> datetime:
    """The first instant after another at which it is `clock` on one of the weekdays (Monday 0)."""
    day = to_local(after, zone).date() - DAY
    while True:
        if day.weekday() in weekdays:
            found = at_local(day, clock, zone)
            if found > after:
                return found
        day += DAY


def spans(
    zone: str, around: datetime, start: time, end: time, weekdays: frozenset[int] = _ALL
) -> Iterator[tuple[datetime, datetime]]:
    """From the day before on, the spans [start, end) of local days, over midnight when the end is not later.

    The weekday is that of the start. A span that does not exist because of a clock change is left out. Endless.
    """
    day = to_local(around, zone).date() - DAY
    while True:
        if day.weekday() in weekdays:
            opens = at_local(day, start, zone)
            closes = at_local(day if end > start else day + DAY, end, zone)
            if opens < closes:
                yield opens, closes
        day += DAY


def next_open(zone: str, now: datetime, start: time, end: time, weekdays: frozenset[int] = _ALL) -> datetime:
    """`now` when it lies in a window, else when the next one opens."""
    for opens, closes in spans(zone, now, start, end, weekdays):
        if now < closes:
            return max(now, opens)
    raise AssertionError("spans are endless")


def quiet_until(
    zone: str, now: datetime, start: time | None, end: time | None, is_closed: Callable[[date], bool]
) -> datetime | None:
    """When quiet is over: nights [start, end) and whole closed days; None when it is not quiet now.

    None too when the next two years have no minute that is not quiet.
    """
    moment = now
    limit = now + 730 * DAY
    while moment < limit:
        day = to_local(moment, zone).date()
        if is_closed(day):
            moment = at_local(day + DAY, time(0), zone)
            continue
        if start is not None and end is not None:
            opens, closes = next(s for s in spans(zone, moment, start, end) if moment < s[1])
            if opens <= moment:
                moment = closes
                continue
        break
    return moment if moment > now else None
