"""Delay: for a duration, until a local time of day or weekday, or until a date trait."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, time, timedelta
from typing import Any, ClassVar

from msgspec import Struct

from keepers.contact.local_time import next_time
from keepers.i18n.catalogues import TextId, text_id
from keepers.journeys.date_traits import instant_of
from keepers.journeys.requests import NEXT, Go, ReadTrait, Wait
from keepers.journeys.steps.step import Passing, Seen, Step
from keepers.model.errors import problem
from keepers.model.fields import (
    END,
    Clock,
    Duration,
    Offset,
    Target,
    Weekday,
    Zone,
    clock,
    days_of,
    require_spans,
    require_zone,
    span,
)
from keepers.model.reasons import Reason


class Until(Struct, frozen=True, forbid_unknown_fields=True):
    """A local time (`until`, `weekdays`) or a date trait (`until_date`, `offset`, `at`)."""

    until: Clock | None = None
    weekdays: tuple[Weekday, ...] = ()
    until_date: str | None = None
    offset: Offset = "0d"
    at: Clock | None = None
    zone: Zone = "customer"

    def __post_init__(self) -> None:
        by_date = self.until_date is not None
        if by_date == bool(self.until or self.weekdays):
            raise ValueError(problem("write either “until” and “weekdays” or “until_date”"))
        if not by_date and (self.at or self.offset != "0d"):
            raise ValueError(problem("“offset” and “at” belong to “until_date”; write the time as “until”"))
        require_spans(self.offset)
        require_zone(self.zone)


class Delay(Step, frozen=True, kw_only=True):
    head: ClassVar[str] = "delay"
    waits: ClassVar[bool] = True
    summary: ClassVar[TextId] = text_id(
        "step", "Wait for a while, until a time of day or weekday, or until a date of the customer's"
    )

    delay: Duration | Until
    next: Target = ""
    otherwise: Target = END
    """where a date that cannot be resolved leads"""

    def __post_init__(self) -> None:
        if isinstance(self.delay, str):
            require_spans(self.delay)

    def run(self, seen: Seen) -> Passing:
        delay = self.delay
        if isinstance(delay, str):
            due = seen.begun + span(delay)
        elif delay.until_date is None:
            at = clock(delay.until) if delay.until else time(0)
            due = next_time(seen.zone_named(delay.zone), seen.begun, at, days_of(delay.weekdays))
        else:
            value = yield ReadTrait(delay.until_date)
            found = _date_due(delay, value, seen)
            if found is None:
                return Go("otherwise", str(Reason("no_date", delay.until_date)))
            if found <= seen.since:
                return Go("next", str(Reason("date_past")))
            due = found
        return NEXT if seen.now >= due else Wait(due)

    def ports(self) -> dict[str, str]:
        by_date = isinstance(self.delay, Until) and self.delay.until_date is not None
        return {"next": self.next, "otherwise": self.otherwise} if by_date else {"next": self.next}

    def traits(self) -> Iterator[tuple[str, str]]:
        if isinstance(self.delay, Until) and self.delay.until_date:
            yield self.delay.until_date, "delay.until_date"

    def uses_customer_zone(self) -> bool:
        return isinstance(self.delay, Until) and self.delay.zone == "customer"

    def breaks_loop(self) -> bool:
        return not isinstance(self.delay, str) or span(self.delay) != timedelta(0)


def _date_due(delay: Until, value: Any, seen: Seen) -> datetime | None:
    at = clock(delay.at) if delay.at else None
    return instant_of(value, span(delay.offset), at, seen.zone_named(delay.zone))
