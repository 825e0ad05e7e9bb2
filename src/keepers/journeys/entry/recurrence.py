"""Recurring days (RRULE, RFC 5545) as local days, the same in every zone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from itertools import islice
from typing import Any

from dateutil.rrule import DAILY, rrule, rrulestr

from keepers.model.errors import problem

_HORIZON = timedelta(days=366 * 9)  # a 29 February on a given weekday is rarer, and no marketing plan
_CYCLES = 19 * 400


@lru_cache(maxsize=512)
def days_between(rule: str, start: date, first: date, last: date) -> tuple[date, ...]:
    """The rule's days from `first` to `last`, both included."""
    until = datetime.combine(last, time(0))
    found = (day.date() for day in _until(_read(rule, start), until))
    return tuple(dict.fromkeys(day for day in found if day >= first))


def require_rule(rule: str, start: date) -> None:
    """Raises ValueError for what is no RRULE of whole days, or has none within nine years."""
    try:
        days = _read(rule, start)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        raise ValueError(
            problem("“{rule}” is no RRULE. Write one such as FREQ=WEEKLY;BYDAY=MO,TH.", rule=rule[:60])
        ) from None
    if days._freq > DAILY or any(
        (rule_part in rule.upper()) for rule_part in ("BYHOUR", "BYMINUTE", "BYSECOND", "BYEASTER")
    ):
        raise ValueError(
            problem("a schedule names days (FREQ=DAILY, WEEKLY, MONTHLY or YEARLY); write the time as “at”")
        )
    if not 1970 <= start.year <= 2200:
        raise ValueError(problem("“start” lies between 1970 and 2200"))
    first = _first(days, start)
    if first is None or first - start > _HORIZON or (days._until is not None and first > days._until.date()):
        raise ValueError(problem("“{rule}” has no day", rule=rule[:60]))


def _read(rule: str, start: date) -> Any:
    """The rule from midnight of its first day. Raises ValueError."""
    text = rule.strip().removeprefix("RRULE:")
    if "\n" in text or ":" in text or "FREQ=" not in text.upper():
        raise ValueError("one rule only")
    found = rrulestr(text, dtstart=datetime.combine(start, time(0)))
    if not isinstance(found, rrule):
        raise ValueError("one rule only")
    return found


def _first(days: Any, start: date) -> date | None:
    """The first day of all, looked for 19 cycles of the calendar (400 years) later.

    dateutil gives up a search without result in the year 9999 only; from there that is soon.
    """
    far = days.replace(dtstart=datetime(start.year + _CYCLES, start.month, start.day), count=None, until=None)
    found: datetime | None = next(iter(far), None)
    return None if found is None else found.replace(year=found.year - _CYCLES).date()


def _until(days: Any, until: datetime) -> Iterator[datetime]:
    """The rule's days up to an instant."""
    written = days._until
    bounded = days.replace(count=None, until=until if written is None else min(written, until))
    return islice(bounded, days._count)
