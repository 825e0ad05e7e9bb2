"""Recurring days (RRULE, RFC 5545) as local days, the same in every zone."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Any

from dateutil.rrule import DAILY, rrule, rrulestr

_HORIZON = timedelta(days=366 * 9)  # a 29 February on a given weekday is rarer, and no marketing plan


@lru_cache(maxsize=512)
def days_between(rule: str, start: date, first: date, last: date) -> tuple[date, ...]:
    """The rule's days from `first` to `last`, both included."""
    until = datetime.combine(last, time(0))
    bounded = _bounded(_read(rule, start), until)
    return tuple(dict.fromkeys(d.date() for d in bounded.between(datetime.combine(first, time(0)), until, inc=True)))


def require_rule(rule: str, start: date) -> None:
    """Raises ValueError for what is no RRULE of whole days, or has none within nine years."""
    try:
        days = _read(rule, start)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        raise ValueError(f"“{rule[:60]}” is no RRULE. Write one such as FREQ=WEEKLY;BYDAY=MO,TH.") from None
    if days._freq > DAILY or any((rule_part in rule.upper()) for rule_part in ("BYHOUR", "BYMINUTE", "BYSECOND")):
        raise ValueError("a schedule names days (FREQ=DAILY, WEEKLY, MONTHLY or YEARLY); write the time as “at”")
    horizon = datetime.combine(start, time(0)) + _HORIZON
    if next(iter(_bounded(days, horizon)), None) is None:
        raise ValueError(f"“{rule[:60]}” has no day")


def _read(rule: str, start: date) -> Any:
    """The rule from midnight of its first day. Raises ValueError."""
    text = rule.strip().removeprefix("RRULE:")
    if "\n" in text or ":" in text or "FREQ=" not in text.upper():
        raise ValueError("one rule only")
    found = rrulestr(text, dtstart=datetime.combine(start, time(0)))
    if not isinstance(found, rrule):
        raise ValueError("one rule only")
    return found


def _bounded(days: Any, until: datetime) -> Any:
    """The same rule that gives up searching at an instant: some rules have no day for thousands of years."""
    written = days._until
    return days.replace(until=until if written is None else min(written, until))
