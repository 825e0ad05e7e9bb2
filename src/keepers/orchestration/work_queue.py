"""What new rows of the log mean for journeys: who may enter and whose runs wake, by customer, in order of time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, cast

import msgspec

from keepers.conditions.graph import Reads
from keepers.conditions.schema import EVENT_KINDS
from keepers.evaluation.active_queries import TRUSTED
from keepers.evaluation.relay import KIND as CHANGE
from keepers.evaluation.relay import ChangeBody
from keepers.journeys.entry.definitions import SegmentEntry, StageEntry
from keepers.journeys.entry_rules import Cause
from keepers.model.event import LATE
from keepers.model.identity import is_trusted
from keepers.model.moments import format_instant
from keepers.orchestration.journey_index import EntryTrigger, JourneyIndex, trigger_of
from keepers.store.events.log import OWN_SOURCE, LogRow
from keepers.warehouse.typed_tables import event_properties

ENTER = "enter"
"""the kind of a log row that requests an entry: by API, command or another journey"""
WAKE = "wake"
"""the kind of a log row that wakes one run, as of an instant at which it could not be evaluated yet"""
ACCIDENTS: tuple[Cause, ...] = ("import", "backfill", "merge")
"""causes of changes that start no run"""
_change = msgspec.json.Decoder(ChangeBody).decode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class TriggeredEntry(NamedTuple):
    """A possible entry of a customer. Only those with the cause `live` start runs."""

    source: EntryTrigger
    trigger: dict[str, Any]
    hops: int = 0
    cause: Cause = "live"
    is_trusted: bool | None = None
    """whether what happened is trusted; None where the trusted rows have to be asked"""
    is_echo: bool = False
    """it only says why nobody is entered: another item enters them, where trusted rows say so"""


class WorkItem(NamedTuple):
    """Something that happened at an instant. `profile_id` is the survivor after merges."""

    at: datetime
    seq: int
    profile_id: int
    entries: tuple[TriggeredEntry, ...] = ()
    wakes: tuple[str, str] | None = None
    """(kind, name) of what happened, for the runs that read it"""
    merged: tuple[int, int] | None = None
    """(gone, survivor)"""
    run_id: int | None = None
    """the only run that it wakes; None for all that read what happened"""


class Enrolment(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of a log row of kind `enter`."""

    journey: str
    data: dict[str, Any] = {}
    cause: str = "api"


class WakeRequest(msgspec.Struct, frozen=True):
    """The body of a log row of kind `wake`."""

    run_id: int


WorkQueue = dict[int, deque[WorkItem]]


def build_queue(
    rows: Sequence[LogRow], index: JourneyIndex, canon: Mapping[int, int], last: datetime | None, now: datetime
) -> WorkQueue:
    """Items by profile, each profile's in order of time.

    What arrived late, or lies ahead, is processed now; the rest at the instant from which it counts. A postponed wake
    keeps its instant.
    """
    found: dict[int, list[WorkItem]] = {}
    for row in rows:
        at = instant_of(row)
        if row.kind != WAKE and (at > now or (last is not None and at <= last)):
            at = now
        who = canon.get(row.profile_id, row.profile_id)
        for item in _items(row, at, who, index):
            found.setdefault(item.profile_id, []).append(item)
    # A merge comes first of its instant: what follows is the survivor's.
    return {who: deque(sorted(items, key=lambda i: (i.at, i.merged is None, i.seq))) for who, items in found.items()}


def instant_of(row: LogRow) -> datetime:
    """From when a row counts for journeys: imported history when it arrives, not when it happened."""
    has_arrived = row.source != OWN_SOURCE and row.kind != "merge"
    return max(row.time, row.received_at if has_arrived else row.known_at)


def _items(row: LogRow, at: datetime, who: int, index: JourneyIndex) -> Iterable[WorkItem]:
    reads = index.interests
    match row.kind:
        case "track" | "page" | "screen":
            sources = index.by_event.get(row.event, ())
            wakes = ("event", row.event) if row.event in reads.events else None
            if sources or wakes:
                yield WorkItem(at, row.seq, who, tuple(_by_event(row, sources)), wakes)
        case "identify":
            traits = _decode(row.body).get("traits") or {}
            for name in traits if isinstance(traits, dict) else ():
                if name in reads.traits:
                    yield WorkItem(at, row.seq, who, wakes=("trait", name))
        case "group" if reads.accounts:
            yield WorkItem(at, row.seq, who, wakes=("account", ""))
        case "merge" if row.other_id is not None:
            yield WorkItem(at, row.seq, who, wakes=("merge", ""), merged=(row.profile_id, who))
        case _ if row.kind == CHANGE:
            yield from _by_change(row, at, who, index)
        case _ if row.kind == ENTER:
            yield from _by_request(row, at, who, index)
        case _ if row.kind == WAKE:
            run_id = msgspec.json.decode(row.body, type=WakeRequest).run_id
            yield WorkItem(at, row.seq, who, wakes=("run", row.event), run_id=run_id)
        case _:
            pass


def _by_event(row: LogRow, sources: Sequence[EntryTrigger]) -> Iterable[TriggeredEntry]:
    if not sources:
        return
    properties = event_properties(row.kind, _decode(row.body)) if row.kind in EVENT_KINDS else {}
    trigger = trigger_of(row.event, format_instant(row.time), row.seq, properties)
    # Only /v1/import may state a time at which it was known before its arrival.
    is_import = row.known_at < row.received_at and row.received_at - row.time <= LATE
    for source in sources:
        yield TriggeredEntry(source, trigger, row.hops, "import" if is_import else "live", is_trusted(row.trust))


def _by_change(row: LogRow, at: datetime, who: int, index: JourneyIndex) -> Iterable[WorkItem]:
    change = _change(row.body)
    entries = []
    for source in index.by_definition.get(change.definition, ()):
        name, event = _matches(source, change)
        if name:
            trigger = trigger_of(
                event, format_instant(row.time), row.seq,
                {"name": name, "from": change.from_stage, "to": change.to_stage, "cause": change.cause},
            )  # fmt: skip
            cause = next((accident for accident in ACCIDENTS if change.cause.startswith(accident)), "live")
            is_sure = index.has_trusted_changes(source.entry) or change.definition.startswith(TRUSTED)
            trusted, is_echo = True if is_sure else None, index.is_echo(source, change.definition)
            entries.append(TriggeredEntry(source, trigger, row.hops, cast(Cause, cause), trusted, is_echo))
    kind, _, name = change.definition.partition(":")
    listens = name in (index.interests.segments if kind == "segment" else index.interests.lifecycles)
    if entries or listens:
        yield WorkItem(at, row.seq, who, tuple(entries), (kind, name) if listens else None)


def _matches(source: EntryTrigger, change: ChangeBody) -> tuple[str, str]:
    """The name of what was entered or left, and the event of its trigger; empty where the entry does not match."""
    match source.entry:
        case SegmentEntry(segment, on):
            entered = bool(change.to_stage)
            if entered == (on == "entered"):
                return segment, "Segment Entered" if entered else "Segment Left"
        case StageEntry(stage, on):
            wanted = stage.rpartition(".")[2]
            moved = change.to_stage if on == "entered" else change.from_stage
            if moved == wanted and change.from_stage != change.to_stage:
                return stage, "Stage Entered" if on == "entered" else "Stage Left"
        case _:
            pass
    return "", ""


def _by_request(row: LogRow, at: datetime, who: int, index: JourneyIndex) -> Iterable[WorkItem]:
    enrolment = msgspec.json.decode(row.body, type=Enrolment)
    journey = index.live.get(enrolment.journey)
    if journey is None:
        return
    trigger = trigger_of(enrolment.cause, format_instant(row.time), row.seq, enrolment.data)
    source = index.request_to_enter(journey)
    yield WorkItem(at, row.seq, who, (TriggeredEntry(source, trigger, row.hops, is_trusted=is_trusted(row.trust)),))


def is_read(reads: Reads, wakes: tuple[str, str]) -> bool:
    """Whether something that happened can change what a run waits for."""
    kind, name = wakes
    match kind:
        case "event":
            return name in reads.events
        case "trait":
            return name in reads.traits
        case "segment":
            return name in reads.segments
        case "lifecycle":
            return name in reads.lifecycles
        case "account":
            return reads.accounts
        case _:
            return True


def traits_in(rows: Sequence[LogRow]) -> frozenset[str]:
    """The traits that some rows change; `*` among them when somebody was merged."""
    found: set[str] = set()
    for row in rows:
        if row.kind == "merge":
            found.add("*")
        if row.kind in ("identify", "group"):
            traits = _decode(row.body).get("traits")
            found |= traits.keys() if isinstance(traits, dict) else set()
    return frozenset(found)
