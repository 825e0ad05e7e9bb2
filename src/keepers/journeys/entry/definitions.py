"""The entries of a journey, as written under `enter:`."""

from __future__ import annotations

from datetime import date
from typing import Any, ClassVar, Literal

from msgspec import Struct, field

from keepers.journeys.entry.recurrence import require_rule
from keepers.model.errors import problem
from keepers.model.fields import Clock, Id, Offset, Zone, require_spans, require_zone


class EventEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """An event of the customer's, with properties as in `where`."""

    head: ClassVar[str] = "event"
    event: str
    where: dict[str, Any] | None = None


class SegmentEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """The customer enters or leaves a segment: `on` is `entered` or `left`."""

    head: ClassVar[str] = "segment"
    segment: Id
    on: Literal["entered", "left"] = "entered"


class StageEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """The customer enters or leaves a stage, named as `lifecycle.stage`."""

    head: ClassVar[str] = "stage"
    stage: str
    on: Literal["entered", "left"] = "entered"

    def __post_init__(self) -> None:
        if "." not in self.stage.strip("."):
            raise ValueError(problem("expected lifecycle.stage, such as value.loyal"))


class DateEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """A span before or after a date trait, at a local time; `yearly` on each anniversary."""

    head: ClassVar[str] = "date"
    date: str
    offset: Offset = "0d"
    at: Clock = "09:00"
    zone: Zone = "customer"
    yearly: bool = False

    def __post_init__(self) -> None:
        require_spans(self.offset)
        require_zone(self.zone)


class ScheduleEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """On the days of an RRULE (RFC 5545) counted from `start`, for the members of a segment."""

    head: ClassVar[str] = "schedule"
    schedule: str
    segment: Id
    at: Clock = "09:00"
    zone: Zone = "customer"
    start: date = field(default=date(2024, 1, 1))

    def __post_init__(self) -> None:
        require_zone(self.zone)
        require_rule(self.schedule, self.start)


class ApiEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """By the API, the command line, or another journey's start step."""

    head: ClassVar[str] = "api"
    api: Literal[True]


Entry = EventEntry | SegmentEntry | StageEntry | DateEntry | ScheduleEntry | ApiEntry
ENTRIES: dict[str, type[Entry]] = {
    kind.head: kind for kind in (EventEntry, SegmentEntry, StageEntry, DateEntry, ScheduleEntry, ApiEntry)
}


def entry_words(entry: Any) -> str:
    """An entry as one short text."""
    match entry:
        case EventEntry(event):
            return f"event {event}"
        case SegmentEntry(segment, on):
            return f"segment {segment} {on}"
        case StageEntry(stage, on):
            return f"stage {stage} {on}"
        case DateEntry(date, offset):
            return f"date {date} {offset}"
        case ScheduleEntry(schedule, segment):
            return f"schedule {schedule}, segment {segment}"
        case ApiEntry():
            return "api"
        case _:
            return str(entry.head)
