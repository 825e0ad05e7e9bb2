"""Zones' offsets 1970–2100 as one table, read from Python's tzdata, for both engines and for Python alike."""

from __future__ import annotations

import re
import struct
from bisect import bisect_right
from calendar import monthrange, weekday
from datetime import date, datetime, timedelta
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import TYPE_CHECKING

from keepers.model.moments import zone_names

if TYPE_CHECKING:
    import pyarrow as pa

_FIRST = datetime(1970, 1, 1)
_LAST = datetime(2101, 1, 1)
_EPOCH = datetime(1970, 1, 1)
_POSIX_NAME = r"(?:<[^>]+>|[A-Za-z]+)"
_POSIX = re.compile(
    rf"^{_POSIX_NAME}(?P<std>[-+\d:]+)(?:{_POSIX_NAME}(?P<dst>[-+\d:]+)?,(?P<start>[^,]+),(?P<end>[^,]+))?$"
)
Offsets = tuple[tuple[datetime, ...], tuple[int, ...]]
"""instants from which an offset holds (UTC, the first is 1970-01-01), and the offsets in seconds"""


@cache
def zone_offsets(zone: str) -> Offsets:
    """The offsets of one zone over 1970–2100. The zone must be one of `zone_names()`."""
    resource = files("tzdata").joinpath("zoneinfo", *zone.split("/"))
    return _offsets(resource.read_bytes())


@cache  # many names are links to the same rules
def _offsets(tzif: bytes) -> Offsets:
    transitions, before, footer = _read_tzif(tzif)
    last = transitions[-1][0] if transitions else _FIRST
    transitions += [t for t in _posix_transitions(footer, max(last, _FIRST).year) if t[0] > last]
    starts, offsets = [_FIRST], [before]
    for instant, offset in transitions:
        if instant <= _FIRST:
            offsets[0] = offset
        elif instant < _LAST and offset != offsets[-1]:
            starts.append(instant)
            offsets.append(offset)
    return tuple(starts), tuple(offsets)


def offset_at(zone: str, instant: datetime) -> timedelta:
    """The zone's offset from UTC at an instant (naive UTC)."""
    starts, offsets = zone_offsets(zone)
    return timedelta(seconds=offsets[max(bisect_right(starts, instant) - 1, 0)])


def local_day(zone: str, instant: datetime) -> date:
    """The local date of an instant (naive UTC) in a zone."""
    return instant.date() if zone == "UTC" else (instant + offset_at(zone, instant)).date()


def to_utc(zone: str, local: datetime) -> datetime:
    """A local wall time as UTC: an ambiguous time is its first, one in a gap moves forward (PEP 495, fold 0)."""
    index = bisect_right(_local_starts(zone), local) - 1
    return local - timedelta(seconds=zone_offsets(zone)[1][max(index, 0)])


@cache
def _local_starts(zone: str) -> tuple[datetime, ...]:
    """The wall time from which each row of `zone_offsets` is the one that `to_utc` uses."""
    starts, offsets = zone_offsets(zone)
    later = (start + timedelta(seconds=max(pair)) for start, pair in zip(starts[1:], pairwise(offsets), strict=True))
    return (datetime(1900, 1, 1), *later)


@cache
def offsets_table() -> pa.Table:
    """`zone_offsets` as Arrow: zone, from_utc, until_utc (NULL for the last), offset_s, and `local_from`.

    `local_from` is the wall time from which the row is the one that `to_utc` uses.
    """
    import pyarrow as pa  # a quarter of a second to load, for a new warehouse alone

    zones: list[str] = []
    from_utc: list[datetime] = []
    until_utc: list[datetime | None] = []
    offset_s: list[int] = []
    local_from: list[datetime] = []
    for zone in sorted(zone_names()):
        starts, offsets = zone_offsets(zone)
        local_from += _local_starts(zone)
        for i, (start, offset) in enumerate(zip(starts, offsets, strict=True)):
            zones.append(zone)
            from_utc.append(start if i else datetime(1900, 1, 1))
            until_utc.append(starts[i + 1] if i + 1 < len(starts) else datetime(2300, 1, 1))
            offset_s.append(offset)
    stamp = pa.timestamp("us")
    return pa.table(
        {
            "zone": pa.array(zones, pa.string()),
            "from_utc": pa.array(from_utc, stamp),
            "until_utc": pa.array(until_utc, stamp),
            "offset_s": pa.array(offset_s, pa.int32()),
            "local_from": pa.array(local_from, stamp),
        }
    )


@cache
def country_zones() -> dict[str, str]:
    """Countries that lie in one zone: ISO 3166 code and English name, both lower-case → the zone."""
    root = files("tzdata") / "zoneinfo"
    names = dict(_tab_rows((root / "iso3166.tab").read_text(encoding="utf-8"), 0, 1))
    zones: dict[str, list[str]] = {}
    for code, zone in _tab_rows((root / "zone.tab").read_text(encoding="utf-8"), 0, 2):
        zones.setdefault(code, []).append(zone)
    single = {code: found[0] for code, found in zones.items() if len(found) == 1}
    by_name = {names[code].lower(): zone for code, zone in single.items() if code in names}
    return by_name | {code.lower(): zone for code, zone in single.items()}


def zone_of(trait: str, value: object) -> str | None:
    """The zone that a `timezone` or `country` trait's value names, if it names one."""
    if not isinstance(value, str):
        return None
    if trait == "timezone":
        return value if value in zone_names() else None
    return country_zones().get(value.strip().lower())


def _tab_rows(text: str, first: int, second: int) -> list[tuple[str, str]]:
    rows = [line.split("\t") for line in text.splitlines() if line and not line.startswith("#")]
    return [(row[first], row[second]) for row in rows]


def _read_tzif(raw: bytes) -> tuple[list[tuple[datetime, int]], int, str]:
    """RFC 8536: the 64-bit block's transitions, the offset before the first, and the POSIX footer."""

    def header(at: int) -> tuple[int, ...]:
        return struct.unpack(">6l", raw[at + 20 : at + 44])

    utc, std, leap, times, types, chars = header(0)
    second = 44 + times * 5 + types * 6 + chars + leap * 8 + std + utc
    utc, std, leap, times, types, chars = header(second)
    at = second + 44
    instants = struct.unpack(f">{times}q", raw[at : at + 8 * times])
    kinds = raw[at + 8 * times : at + 9 * times]
    at += 9 * times
    offsets = [struct.unpack(">lbb", raw[at + 6 * i : at + 6 * i + 6])[0] for i in range(types)]
    at += 6 * types + chars + leap * 12 + std + utc
    footer = raw[at:].strip(b"\n").decode("ascii")
    transitions = []
    before = offsets[0]
    for instant, kind in zip(instants, kinds, strict=True):
        if instant < 0:
            before = offsets[kind]
        else:
            transitions.append((_EPOCH + timedelta(seconds=instant), offsets[kind]))
    return transitions, before, footer


def _posix_transitions(footer: str, first_year: int) -> list[tuple[datetime, int]]:
    """What the footer's rule (POSIX TZ, month form) adds from a year to the end of the table."""
    match = _POSIX.match(footer)
    if not match:
        return []
    standard = -_seconds(match["std"])
    if not match["start"]:
        return [(datetime(first_year, 1, 1), standard)] if first_year == 1970 else []
    summer = -_seconds(match["dst"]) if match["dst"] else standard + 3600
    found = []
    for year in range(first_year, _LAST.year):
        found.append((_rule_instant(match["start"], year) - timedelta(seconds=standard), summer))
        found.append((_rule_instant(match["end"], year) - timedelta(seconds=summer), standard))
    return sorted(found)


@cache
def _rule_instant(rule: str, year: int) -> datetime:
    """`M3.5.0/2` (or a Julian day) in a year, as wall time. Hundreds of zones share a few rules."""
    day_rule, _, at = rule.partition("/")
    span = timedelta(seconds=_seconds(at) if at else 7200)
    if not day_rule.startswith("M"):
        julian = int(day_rule.lstrip("J"))
        leap_skip = day_rule.startswith("J") and monthrange(year, 2)[1] == 29 and julian >= 60
        offset = julian - 1 + int(leap_skip) if day_rule.startswith("J") else julian
        return datetime(year, 1, 1) + timedelta(days=offset) + span
    month, week, day = (int(part) for part in day_rule[1:].split("."))
    first = (day - (weekday(year, month, 1) + 1) % 7) % 7 + 1
    chosen = first + 7 * (week - 1)
    while chosen > monthrange(year, month)[1]:
        chosen -= 7
    return datetime(year, month, chosen) + span


def _seconds(text: str) -> int:
    sign = -1 if text.startswith("-") else 1
    parts = [int(part) for part in text.lstrip("+-").split(":")]
    return sign * sum(part * unit for part, unit in zip(parts, (3600, 60, 1), strict=False))
