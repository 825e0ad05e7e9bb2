"""Instants, durations and moments: how time is written in definitions, on the command line and in events.

Inside Keepers an instant is a naive `datetime` in UTC with microseconds, as both stores keep it.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from msgspec import Struct

from keepers.model.errors import UserError, problem, shown

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_LONGEST = 100
"""characters of a duration"""
_DURATION = re.compile(r"^\s*((?:\d+(?:\.\d+)?\s*[smhdw]\s*)+)$")
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")
_RELATIVE = re.compile(r"^\s*([+-])?\s*(\d[\d.\s smhdw]*?)\s*(ago)?\s*$")
_MAX = timedelta(days=36525)
EARLIEST = datetime(1900, 1, 1)
LATEST = datetime(2200, 1, 1)


class Moment(Struct, frozen=True):
    """A point in time: absolute (`at`), relative to the moment of evaluation (`offset`, negative is past), or inside a
    journey `offset` from the instant that a `ref` stands for."""

    at: datetime | None = None
    offset: timedelta = timedelta(0)
    ref: str = ""

    @property
    def is_relative(self) -> bool:
        """Whether it moves as time passes. What a ref stands for does not."""
        return self.at is None and not self.ref


def parse_duration(text: object) -> timedelta:
    """`30m`, `6h`, `14d`, `8w`, `1d12h` as exact seconds. Raises UserError for anything else or over 100 years."""
    if isinstance(text, timedelta):
        return text
    match = _DURATION.match(text) if isinstance(text, str) and len(text) <= _LONGEST else None
    if not match:
        raise UserError(
            problem("{text} is not a duration. Write a number and a unit: 30m, 6h, 14d, 8w.", text=shown(text)),
            code="duration",
        )
    span = timedelta()
    for number, unit in _PART.findall(match.group(1)):
        seconds = float(number) * _UNITS[unit]
        if seconds > _MAX.total_seconds():
            raise UserError(problem("The duration {text} is longer than 100 years.", text=shown(text)), code="duration")
        span += timedelta(seconds=seconds)
    if span > _MAX:
        raise UserError(problem("The duration {text} is longer than 100 years.", text=shown(text)), code="duration")
    return span


def parse_offset(text: object) -> timedelta:
    """A duration with or without a sign: `3d`, `-7d`. Raises UserError."""
    if isinstance(text, str) and text.strip()[:1] in ("-", "+"):
        span = parse_duration(text.strip()[1:])
        return -span if text.strip()[0] == "-" else span
    return parse_duration(text)


def format_duration(span: timedelta) -> str:
    """The shortest exact form that `parse_duration` reads back: `14d`, `1d12h`."""
    seconds = int(span.total_seconds())
    for unit in ("w", "d", "h", "m"):
        if seconds and seconds % _UNITS[unit] == 0 and (unit != "w" or seconds >= 8 * _UNITS["w"]):
            return f"{seconds // _UNITS[unit]}{unit}"
    parts = []
    for unit in ("d", "h", "m", "s"):
        count, seconds = divmod(seconds, _UNITS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def parse_instant(text: object, zone: ZoneInfo | None = None) -> datetime:
    """An ISO 8601 date or time as naive UTC; without an offset it is read in `zone` (UTC by default).

    Raises UserError when it is no time, or outside the years 1900 to 2199.
    """
    parsed: datetime
    if isinstance(text, datetime):
        parsed = text
    elif isinstance(text, date):
        parsed = datetime(text.year, text.month, text.day)
    else:
        try:
            parsed = datetime.fromisoformat(text.strip() if isinstance(text, str) else "")
        except ValueError:
            raise UserError(
                problem(
                    "{text} is not a time. Write ISO 8601, such as 2026-03-01 or 2026-03-01T09:30:00+01:00.",
                    text=shown(text),
                ),
                code="time",
            ) from None
    try:
        if parsed.tzinfo is None:
            parsed = parsed.replace(tzinfo=zone or UTC)
        parsed = parsed.astimezone(UTC).replace(tzinfo=None)
    except OverflowError:
        parsed = datetime.max
    if not EARLIEST <= parsed < LATEST:
        raise UserError(problem("The time {text} is outside the years 1900 to 2199.", text=shown(text)), code="time")
    return parsed


def parse_moment(text: object, zone: ZoneInfo | None = None) -> Moment:
    """`now`, `-30d`, `30d ago`, `+7d`, or an ISO 8601 time. Raises UserError otherwise."""
    if isinstance(text, timedelta):
        return Moment(offset=text)
    if isinstance(text, str):
        word = text.strip().lower()
        if word == "now":
            return Moment()
        match = _RELATIVE.match(word) if len(word) <= _LONGEST else None
        if match and (match.group(1) or match.group(3)) and _DURATION.match(match.group(2)):
            span = parse_duration(match.group(2))
            past = match.group(1) == "-" or bool(match.group(3))
            return Moment(offset=-span if past else span)
    return Moment(at=parse_instant(text, zone))


def format_instant(instant: datetime) -> str:
    """ISO 8601 in UTC with `Z`, without a fraction when it is zero."""
    return instant.isoformat(timespec="microseconds" if instant.microsecond else "seconds") + "Z"


@cache
def zone_names() -> frozenset[str]:
    """Every IANA zone that tzdata knows."""
    listed = (files("tzdata") / "zones").read_text(encoding="utf-8").split()
    return frozenset(listed) - {"Factory", "localtime"}


def parse_zone(name: object) -> ZoneInfo:
    """An IANA zone. Raises UserError for a name that tzdata does not know."""
    # The system's own database has more names (posix/…, localtime), whose offsets the warehouse does not hold.
    if not isinstance(name, str) or name not in zone_names():
        raise UserError(
            problem("“{name}” is not a time zone. Use an IANA name such as Europe/Warsaw.", name=str(name)[:60]),
            code="zone",
        )
    return ZoneInfo(name)
