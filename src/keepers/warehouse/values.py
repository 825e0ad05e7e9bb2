"""JSON values → what a column holds: a kind and a scalar, nested objects flattened, traits read as dates."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from unicodedata import is_normalized, normalize

import msgspec

from keepers.conditions.schema import MAX_DEPTH
from keepers.warehouse.zone_offsets import local_day, to_utc

TraitRow = tuple[Any, ...]
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?:$|[T ]\d{2}:?\d{2})")
_DAY_LENGTH = 10


def nfc(text: str) -> str:
    """The text in Unicode normal form C, in which texts are compared."""
    return text if text.isascii() or is_normalized("NFC", text) else normalize("NFC", text)


def scalar(value: Any) -> tuple[str, Any]:
    """The JSON kind and the column's value. A number too large for a double is kept as text."""
    if isinstance(value, str):
        return "text", nfc(value)
    if isinstance(value, bool):
        return "boolean", value
    try:
        number = float(value)
    except OverflowError:
        return "text", str(value)
    return ("number", number) if abs(number) != float("inf") else ("text", str(value))


def leaves(values: dict[str, Any], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """(path, scalar or list or None) of an object; nested ones with dots in the path."""
    for key, value in values.items():
        path = prefix + key
        if type(value) is dict:
            if depth < MAX_DEPTH:
                yield from leaves(value, path + ".", depth + 1)
        else:
            yield path, value


def trait_values(traits: dict[str, Any], zone: str) -> list[tuple[str, TraitRow]]:
    """(trait, (number, text, boolean, instant, date, raw)) of each leaf.

    A list is held in raw alone. A null clears the trait: every value is NULL and raw is `null`.
    """
    found: list[tuple[str, TraitRow]] = []
    for trait, value in leaves(traits):
        raw = msgspec.json.encode(value).decode()
        number: float | None = None
        text: str | None = None
        boolean: bool | None = None
        instant: datetime | None = None
        day: date | None = None
        if value is not None and type(value) is not list:
            kind, held = scalar(value)
            if kind == "text":
                text = held
                instant, day = read_date(held, zone) or (None, None)
            elif kind == "number":
                number = held
            else:
                boolean = held
        found.append((trait, (number, text, boolean, instant, day, raw)))
    return found


def object_in(message: dict[str, Any], key: str) -> dict[str, Any]:
    """An object of a message; empty where it is something else."""
    value = message.get(key)
    return value if isinstance(value, dict) else {}


def read_date(text: str, zone: str) -> tuple[datetime, date] | None:
    """The instant (naive UTC) and local date of an ISO date or time, or None when it is neither.

    Without an offset it is wall time in `zone`; a date alone is that day's midnight there.
    """
    if not _DATE.match(text):
        return None
    try:
        parsed = datetime.fromisoformat(text)
        if parsed.tzinfo is not None:
            instant = parsed.astimezone(UTC).replace(tzinfo=None)
            return instant, local_day(zone, instant)
        if len(text) == _DAY_LENGTH:
            return _midnight(zone, parsed), parsed.date()
        return to_utc(zone, parsed), parsed.date()
    except (ValueError, OverflowError):
        return None


def _midnight(zone: str, day: datetime) -> datetime:
    """The first instant of a local day, also where midnight does not exist."""
    instant = to_utc(zone, day)
    return instant if local_day(zone, instant) >= day.date() else instant + timedelta(hours=1)
