"""Active journeys, and older versions with active runs, by what they listen to."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct
from sqlalchemy import Connection

from keepers.conditions import ast, graph
from keepers.conditions.compile.one_event import this_event
from keepers.conditions.definitions import DerivedEvent
from keepers.conditions.graph import Reads, spelled_out
from keepers.conditions.parsing.conditions import Parser
from keepers.evaluation.active_queries import trusted_id
from keepers.journeys.definition import Journey
from keepers.journeys.entry.definitions import DateEntry, Entry, EventEntry, ScheduleEntry, SegmentEntry, StageEntry
from keepers.journeys.parse import parse_journey
from keepers.playbook.active_playbook import ActivePlaybook
from keepers.playbook.references import traits_named
from keepers.playbook.trust import answered_for_trust, trusted_only
from keepers.render.definition import MessageTemplate
from keepers.store import definitions
from keepers.store.journeys import runs

KIND = "journey"
ZONE_TRAITS = ("timezone", "country")
"""a customer's zone is derived from these"""
Key = tuple[str, int]
"""journey and version"""


class EntryTrigger(Struct, frozen=True):
    """One entry of an active journey. `condition` is what its trigger must be, None where any will do."""

    journey: Journey
    n: int
    entry: Entry
    only_if: ast.Condition | None
    """the journey's `if`, as it is asked"""
    trusted_only: bool
    """only what is trusted starts a run"""
    condition: ast.Condition | None = None
    membership: ast.Condition | None = None
    """of an entry by segment or stage: what must hold of trusted rows alone for the entry to be trusted"""

    @property
    def question(self) -> str:
        return f"entry.{self.n}"


class JourneyIndex:
    """Built again after each apply. `events` are the playbook's derived events.

    `unrecorded`: definitions whose changes were not recorded, in a dry run.
    """

    def __init__(
        self, connection: Connection, live: ActivePlaybook, zone: ZoneInfo, unrecorded: Collection[str] = ()
    ) -> None:
        self._zone = zone
        self.playbook = live.playbook
        self.events: Mapping[str, DerivedEvent] = live.playbook.events
        self.versions = {key.partition("/")[2]: n for key, n in live.versions.items() if key.startswith(f"{KIND}/")}
        self.template_versions = {
            key.partition("/")[2]: n for key, n in live.versions.items() if key.startswith("message/")
        }
        self.live = {
            name: msgspec.structs.replace(journey, version=self.versions.get(name, 0))
            for name, journey in live.playbook.journeys.items()
        }
        self._known: dict[Key, Journey] = {(j.id, j.version): j for j in self.live.values()}
        self._reads: dict[Key, Reads] = {}
        self._spelled_out: dict[tuple[str, int, str], ast.Condition] = {}
        self._named_traits: dict[str, frozenset[str] | None] = {}
        self.by_event: dict[str, list[EntryTrigger]] = {}
        self.by_definition: dict[str, list[EntryTrigger]] = {}
        self.dated: list[EntryTrigger] = []
        self._answered_for_trust = frozenset(
            name for name in answered_for_trust(live.playbook) if trusted_id(name) not in unrecorded
        )
        for source in self._sources():
            self._list(source)
        for key in runs.versions(connection):
            self.journey(connection, *key)
        self.interests = self._interests()

    def rank(self, template: MessageTemplate, journey: str) -> int:
        """The priority of a journey's message, as a number: its own, else the journey's, else the usual one."""
        known = self.live.get(journey)
        return self.playbook.contact.rank(template.priority, known.priority if known is not None else None)

    def journey(self, connection: Connection, name: str, version: int) -> Journey:
        """A version of a journey: runs follow the one they entered."""
        found = self._known.get((name, version))
        if found is None:
            found = self._known[name, version] = stored_journey(connection, name, version, self._zone)
        return found

    def trusted_only(self, journey: Journey) -> bool:
        """Whether a journey goes by trusted rows alone."""
        return trusted_only(self.playbook, journey)

    def question(self, journey: Journey, name: str) -> ast.Condition:
        """A question of a journey's. A trusted one's names no segments and stages, which are answered of all rows."""
        condition = journey.questions()[name]
        if not self.trusted_only(journey):
            return condition
        key = (journey.id, journey.version, name)
        found = self._spelled_out.get(key)
        if found is None:
            found = self._spelled_out[key] = self.spelled_out(condition)
        return found

    def spelled_out(self, condition: ast.Condition) -> ast.Condition:
        """A condition as what its segments and stages are made of."""
        return spelled_out(condition, self.playbook.segments, self.playbook.lifecycles)

    def reads(self, journey: Journey) -> Reads:
        """All that can wake a run of this version: what its conditions read, and the traits its steps read."""
        key = (journey.id, journey.version)
        found = self._reads.get(key)
        if found is None:
            found = Reads(traits=frozenset(_traits_read(journey)))
            for name in journey.questions():
                found |= graph.reads(self.question(journey, name), self.events, self.playbook.computed)
            self._reads[key] = found
        return found

    def named_traits(self, message: str) -> frozenset[str] | None:
        """The traits a message's texts name, by their first part; None for all."""
        if message not in self._named_traits:
            self._named_traits[message] = traits_named(self.playbook, message)
        return self._named_traits[message]

    @property
    def watched(self) -> frozenset[str]:
        """The definitions whose changes journeys listen to: `segment:x`, `lifecycle:y`."""
        return frozenset(self.by_definition) | self.interests.definitions

    @property
    def is_empty(self) -> bool:
        return not self._known

    def _sources(self) -> Iterable[EntryTrigger]:
        for journey in self.live.values():
            for n, entry in enumerate(journey.entries):
                condition = None
                if isinstance(entry, EventEntry) and (entry.where or entry.event in self.events):
                    condition = this_event(entry.event, Parser(self._zone, refs=True).where(entry.where, "where"))
                yield self._trigger(journey, n, condition)

    def request_to_enter(self, journey: Journey) -> EntryTrigger:
        """What a journey, a batch or an API call enters somebody by: any of the entries, and without its trigger."""
        return self._trigger(journey, -1)

    def _trigger(self, journey: Journey, n: int, condition: ast.Condition | None = None) -> EntryTrigger:
        entry = journey.entries[max(n, 0)]
        only_if = self.question(journey, "if") if journey.condition is not None else None
        membership = self._membership(entry) if n >= 0 else None
        return EntryTrigger(journey, n, entry, only_if, self.trusted_only(journey), condition, membership)

    def _membership(self, entry: Entry) -> ast.Condition | None:
        match entry:
            case SegmentEntry(segment, on):
                inside = self.spelled_out(ast.InSegment(segment))
            case ScheduleEntry(segment=segment):
                return self.spelled_out(ast.InSegment(segment))
            case StageEntry(stage, on):
                lifecycle, _, name = stage.rpartition(".")
                inside = self.spelled_out(ast.InStage(lifecycle, name))
            case _:
                return None
        # That somebody left is known of trusted changes alone: who never was in it is out of it as well.
        return inside if on == "entered" else None

    def has_trusted_changes(self, entry: Entry) -> bool:
        """Whether an entry is by a segment that counts trusted rows alone."""
        segment = self.playbook.segments.get(entry.segment) if isinstance(entry, SegmentEntry) else None
        return segment is not None and segment.trust == "server"

    def is_echo(self, source: EntryTrigger, definition: str) -> bool:
        """Whether an entry is by the change of a definition that is answered of trusted rows alone besides: the change
        of that one is what counts."""
        return source.trusted_only and definition in self._answered_for_trust

    def _list(self, source: EntryTrigger) -> None:
        match source.entry:
            case EventEntry(event):
                for name in graph.base_events(event, self.events):
                    self.by_event.setdefault(name, []).append(source)
            case SegmentEntry(segment):
                self._list_changes(source, f"segment:{segment}")
            case StageEntry(stage):
                self._list_changes(source, f"lifecycle:{stage.rpartition('.')[0]}")
            case DateEntry() | ScheduleEntry():
                self.dated.append(source)
            case _:
                pass

    def _list_changes(self, source: EntryTrigger, definition: str) -> None:
        has_two = self.is_echo(source, definition)
        if has_two:
            self.by_definition.setdefault(trusted_id(definition), []).append(source)
        # That somebody left by all rows cannot be told from what trusted rows say of them.
        if not has_two or source.membership is not None:
            self.by_definition.setdefault(definition, []).append(source)

    def _interests(self) -> Reads:
        found = Reads()
        for journey in self._known.values():
            found |= self.reads(journey)
        return found


def stored_journey(connection: Connection, name: str, version: int, zone: ZoneInfo) -> Journey:
    """A version of a journey that was applied."""
    row = next(v for v in definitions.versions(connection, KIND, name) if v.version == version)
    return msgspec.structs.replace(parse_journey(msgspec.json.decode(row.body), zone), version=version)


def _traits_read(journey: Journey) -> Iterable[str]:
    """The traits a journey's steps read, and those of a customer's zone where local time matters."""
    for step in journey.steps.values():
        yield from (trait for trait, _ in step.traits())
        if step.uses_customer_zone():
            yield from ZONE_TRAITS


def trigger_of(event: str, time: str, seq: int, properties: Mapping[str, Any]) -> dict[str, Any]:
    """The trigger as conditions and texts see it: its properties, and event, time and seq, which take precedence."""
    return {**properties, "event": event, "time": time, "seq": seq}
