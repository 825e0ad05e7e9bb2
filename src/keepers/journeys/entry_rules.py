"""Who enters: re-entry, the age of the trigger, and when dates and schedules fall due."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any, Literal

from msgspec import Struct

from keepers.contact.local_time import DAY, at_local, to_local
from keepers.journeys.date_traits import date_of, in_year, instant_of
from keepers.journeys.definition import Journey, Reentry
from keepers.journeys.entry.definitions import DateEntry, ScheduleEntry
from keepers.journeys.entry.recurrence import days_between
from keepers.model.errors import UserError
from keepers.model.fields import clock, span
from keepers.model.moments import format_instant, parse_instant
from keepers.model.reasons import Reason

MOST_HOPS = 10
"""journeys and events in a chain; beyond it nothing is entered and no event appended"""
ONCE = "once"
Cause = Literal["live", "import", "backfill", "merge", "definition"]
Earlier = tuple[str, datetime, datetime | None]
"""of an earlier run: entry key, entered at, ended at"""


class EntryRejected(Struct, frozen=True):
    """No run starts, and why."""

    reason: str


def may_enter(
    journey: Journey,
    earlier: Iterable[Earlier],
    trigger: Mapping[str, Any],
    now: datetime,
    *,
    cause: Cause = "live",
    hops: int = 0,
) -> str | EntryRejected:
    """The entry key of a new run, unique among the customer's runs of the journey, or why there is none.

    Only live causes start runs: imports, backfills, merges and changed rules do not. Entries that were requested
    explicitly are passed as live.
    """
    if cause != "live":
        return EntryRejected(str(Reason("not_live", cause)))
    if hops > MOST_HOPS:
        return EntryRejected("too_many_hops")
    at = _time_of(trigger) or now
    if now - at > span(journey.max_age):
        return EntryRejected("too_old")
    before = list(earlier)
    reentry = journey.reentry
    if isinstance(reentry, Reentry) and reentry.per is not None:
        key = _per(reentry.per, trigger)
        if key is None:
            return EntryRejected(str(Reason("no_value", reentry.per)))
        return EntryRejected("already_entered") if any(k == key for k, _, _ in before) else key
    if reentry == "never":
        return EntryRejected("already_entered") if before else ONCE
    key = f"seq:{trigger['seq']}" if trigger.get("seq") is not None else f"at:{format_instant(at)}"
    if any(k == key for k, _, _ in before):
        return EntryRejected("already_entered")
    if any(ended_at is None for _, _, ended_at in before):
        return EntryRejected("still_in")
    if isinstance(reentry, Reentry) and reentry.after is not None:
        wait = span(reentry.after)
        if any(now - entered_at < wait for _, entered_at, _ in before):
            return EntryRejected("too_soon")
    return key


def date_occurrences(entry: DateEntry, value: Any, zone: str, after: datetime, until: datetime) -> list[datetime]:
    """The instants in (after, until] at which a customer with this trait value, in this zone, enters."""
    zone = zone if entry.zone == "customer" else entry.zone
    found = date_of(value, zone)
    if found is None:
        return []
    if not entry.yearly:
        instants = [instant_of(value, span(entry.offset), clock(entry.at), zone)]
    else:
        day = to_local(found, zone).date() if isinstance(found, datetime) else found
        shift = span(entry.offset)
        first = max((after - shift - 2 * DAY).year, day.year)
        years = range(first, (until - shift + 2 * DAY).year + 1)
        instants = [instant_of(in_year(day, year), shift, clock(entry.at), zone) for year in years]
    return sorted(i for i in instants if i is not None and after < i <= until)


def candidate_days(entry: DateEntry, after: datetime, until: datetime) -> tuple[date, date]:
    """The first and last local date that can fall due in (after, until], in any zone.

    Of a yearly entry only month and day are to be compared.
    """
    shift = span(entry.offset)
    return (after - shift - 2 * DAY).date(), (until - shift + 2 * DAY).date()


def schedule_occurrences(entry: ScheduleEntry, zone: str, after: datetime, until: datetime) -> list[datetime]:
    """The instants in (after, until] at which the segment's members of this zone enter."""
    zone = zone if entry.zone == "customer" else entry.zone
    first = to_local(after, zone).date() - DAY
    last = to_local(until, zone).date() + DAY
    days = days_between(entry.schedule, entry.start, first, last)
    instants = (at_local(day, clock(entry.at), zone) for day in days)
    return [instant for instant in instants if after < instant <= until]


def trigger_at(entry: DateEntry | ScheduleEntry, at: datetime) -> dict[str, Any]:
    """What a run finds in its trigger when a date or schedule started it."""
    named = {"trait": entry.date} if isinstance(entry, DateEntry) else {"segment": entry.segment}
    return {"event": entry.head, "time": format_instant(at), **named}


def _time_of(trigger: Mapping[str, Any]) -> datetime | None:
    try:
        return parse_instant(trigger["time"]) if trigger.get("time") is not None else None
    except UserError:
        return None


def _per(name: str, trigger: Mapping[str, Any]) -> str | None:
    """The number 5 and the text "5" name the same order."""
    value = trigger.get(name)
    if value is None or value == "" or isinstance(value, dict | list | bool):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return f"{name}={value}"
