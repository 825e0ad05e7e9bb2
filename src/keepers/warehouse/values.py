"""JSON values → what a column holds: a kind and a scalar, nested objects flattened, traits read as dates."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from unicodedata import is_normalized, normalize

from keepers.warehouse.zone_offsets import local_day, to_utc

MAX_DEPTH = 16
"""objects nested deeper stay in raw alone"""
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
