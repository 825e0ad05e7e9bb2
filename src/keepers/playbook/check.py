"""Finds what is wrong, or likely wrong, in a playbook that could be read: names, circles, dead stages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from msgspec import Struct

from keepers.conditions import graph
from keepers.conditions.definitions import Lifecycle, Source
from keepers.conditions.message_events import OWN_EVENTS
from keepers.conditions.schema import Schema
from keepers.model.errors import nearest
from keepers.model.texts import Kind
from keepers.playbook import check_sending
from keepers.playbook.load import Playbook
from keepers.playbook.reach import always, never
from keepers.playbook.references import Reference, holds_account, references

Level = Literal["error", "warning"]
_WHOSE: dict[Kind, str] = {"person": "people", "account": "accounts"}


class Finding(Struct, frozen=True):
    """One remark. Errors keep a playbook from being applied, warnings don't."""

    level: Level
    file: str
    line: int | None
    field: str
    message: str

    def __str__(self) -> str:
        place = self.file + (f":{self.line}" if self.line else "")
        return f"{place}: {self.message}" if place else self.message


def check(playbook: Playbook, schema: Schema | None = None) -> list[Finding]:
    """Everything to be said about a playbook, in the order of files and lines.

    With the schema of what has arrived, unknown events and traits are warned about, with the nearest names.
    """
    found = set(_Check(playbook, schema).findings())
    return sorted(found, key=lambda f: (f.file, f.line or 0, f.level, f.field, f.message))


def order(playbook: Playbook) -> list[list[str]]:
    """Definitions in layers, `segment:active` before what asks about it. Raises DefinitionError on a circle."""
    return graph.strata(_dependencies(playbook))


def _dependencies(playbook: Playbook) -> dict[str, frozenset[str]]:
    return graph.dependencies(playbook.segments.values(), playbook.lifecycles.values(), playbook.events)


class _Check:
    def __init__(self, playbook: Playbook, schema: Schema | None) -> None:
        self.playbook = playbook
        has_data = schema is not None and bool(schema.events or schema.traits)
        self.schema = schema if has_data else None

    def findings(self) -> Iterator[Finding]:
        yield from self._circles()
        yield from self._derived()
        for key, kind, field, condition in self._conditions():
            for reference in references(condition, kind, field):
                yield from self._reference(key, reference)
            if kind == "account":
                for inside in holds_account(condition, field):
                    message = "an account is no member of an account; ask about it directly"
                    yield self._finding("error", key, inside, message)
        for journey in self.playbook.journeys.values():
            for reference in check_sending.entries(journey):
                yield from self._reference(f"journey/{journey.id}", reference)
        for remark in check_sending.remarks(self.playbook, self.schema):
            yield self._finding(remark.level, remark.key, remark.field, remark.sentence)
        yield from self._unseen_words()
        yield from self._unreachable()
        yield from self._rhythm()

    def _finding(self, level: Level, key: str, field: str, message: str) -> Finding:
        file, line = self.playbook.place(key, field)
        return Finding(level, file, line, f"{key}.{field}" if field else key, message)

    def _conditions(self) -> Iterator[tuple[str, Kind, str, Any]]:
        """(definition, whose, field, condition as written)."""
        bodies = self.playbook.bodies
        for segment in self.playbook.segments.values():
            key = f"segment/{segment.id}"
            yield key, segment.of, "who", bodies[key]["who"]
        for lifecycle in self.playbook.lifecycles.values():
            key = f"lifecycle/{lifecycle.id}"
            for n, stage in enumerate(bodies[key]["stages"]):
                yield key, lifecycle.of, f"stages[{n}].when", stage["when"]
        yield from check_sending.conditions(self.playbook)

    def _circles(self) -> Iterator[Finding]:
        for path in graph.cycles(_dependencies(self.playbook)):
            yield self._finding("error", path[0].replace(":", "/"), "", graph.circle_message(path))

    def _reference(self, key: str, reference: Reference) -> Iterator[Finding]:
        match reference.role:
            case "segment":
                yield from self._segment(key, reference)
            case "stage":
                yield from self._stage(key, reference)
            case "event":
                yield from self._event(key, reference.field, reference.name)
            case "trait":
                yield from self._trait(key, reference)

    def _segment(self, key: str, reference: Reference) -> Iterator[Finding]:
        segment = self.playbook.segments.get(reference.name)
        if segment is None:
            hint = nearest(reference.name, self.playbook.segments)
            message = f"there is no segment “{reference.name}”.{hint}"
            yield self._finding("error", key, reference.field, message)
        elif segment.of != reference.kind:
            yield self._wrong_kind(key, reference, f"segment “{segment.id}”", segment.of)

    def _stage(self, key: str, reference: Reference) -> Iterator[Finding]:
        name, _, stage = reference.name.rpartition(".")
        lifecycle = self.playbook.lifecycles.get(name)
        if lifecycle is None:
            hint = nearest(name, self.playbook.lifecycles)
            yield self._finding("error", key, reference.field, f"there is no lifecycle “{name}”.{hint}")
            return
        known = [s.id for s in lifecycle.stages]
        if stage not in known:
            message = f"the lifecycle “{name}” has no stage “{stage}”.{nearest(stage, known)}"
            yield self._finding("error", key, reference.field, message)
        elif lifecycle.of != reference.kind:
            yield self._wrong_kind(key, reference, f"lifecycle “{name}”", lifecycle.of)

    def _wrong_kind(self, key: str, reference: Reference, what: str, of: Kind) -> Finding:
        way = " Ask about a person's account with {account: …}." if of == "account" else ""
        whose, asked = _WHOSE[of], _WHOSE[reference.kind]
        return self._finding(
            "error", key, reference.field, f"the {what} is of {whose}, and {asked} are asked here.{way}"
        )

    def _event(self, key: str, field: str, name: str) -> Iterator[Finding]:
        if self.schema is None or name in self.playbook.events or name in self.schema.events or name in OWN_EVENTS:
            return
        hint = nearest(name, [*self.schema.events, *self.playbook.events, *sorted(OWN_EVENTS)])
        yield self._finding("warning", key, field, f"no event “{name}” has arrived so far.{hint}")

    def _trait(self, key: str, reference: Reference) -> Iterator[Finding]:
        name = reference.name
        if self.schema is None or name in self.schema.traits or name in graph.RHYTHM_TRAITS:
            return
        hint = nearest(name, [*self.schema.traits, *graph.RHYTHM_TRAITS]) if self.schema.traits else ""
        yield self._finding("warning", key, reference.field, f"no trait “{name}” has arrived so far.{hint}")

    def _derived(self) -> Iterator[Finding]:
        words = self.playbook.events
        for word in words.values():
            key = f"event/{word.id}"
            for source in word.sources:
                yield from self._derived_source(key, word.id, source)
            if self.schema and word.id in self.schema.events and word.id not in {s.event for s in word.sources}:
                message = (
                    f"events named “{word.id}” arrive too, and this definition hides them; "
                    f"add {word.id} to “from” to count them, or give the definition another id"
                )
                yield self._finding("warning", key, "id", message)

    def _derived_source(self, key: str, word: str, source: Source) -> Iterator[Finding]:
        """A word made of another word would read only what arrives under that very name."""
        voids = set(source.unless.events) if source.unless else set()
        own = {s.event for s in self.playbook.events[word].sources}
        for name, beside in ((source.event, own), *((v, voids) for v in sorted(voids))):
            other = self.playbook.events.get(name)
            if name == word or other is None or (self.schema and name in self.schema.events):
                continue
            missing = {s.event for s in other.sources} - beside
            if missing:
                message = (
                    f"“{name}” is a derived event itself, and derived events are made of events that arrive. "
                    f"Write its own events here: {', '.join(sorted(missing))}"
                )
                yield self._finding("error", key, "", message)
        if word in voids:
            message = f"“{word}” is made void by itself; name the event that cancels it"
            yield self._finding("error", key, "unless", message)

    def _unseen_words(self) -> Iterator[Finding]:
        """Derived events that something asks about while nothing they are made of has arrived."""
        if self.schema is None:
            return
        asked: dict[str, set[str]] = {}
        for definition in self.playbook.asking:
            for word in graph.reads_of(definition, self.playbook.events).words:
                asked.setdefault(word, set()).add(definition.id)
        for word, by in asked.items():
            sources = list(dict.fromkeys(s.event for s in self.playbook.events[word].sources))
            if any(name in self.schema.events or name in OWN_EVENTS for name in sources):
                continue
            shown = ", ".join(sources[:4]) + (" …" if len(sources) > 4 else "")
            message = (
                f"“{word}” cannot be seen yet: none of its events has arrived ({shown}). "
                f"Asked about by {', '.join(sorted(by))}. Map your own event under “from”, or leave it"
            )
            yield self._finding("warning", f"event/{word}", "", message)

    def _unreachable(self) -> Iterator[Finding]:
        for segment in self.playbook.segments.values():
            if never(segment.who):
                yield self._finding("warning", f"segment/{segment.id}", "who", "nobody can be in this segment")
        for lifecycle in self.playbook.lifecycles.values():
            yield from self._phases(lifecycle)
            yield from self._stages(lifecycle)

    def _phases(self, lifecycle: Lifecycle) -> Iterator[Finding]:
        key, of = f"lifecycle/{lifecycle.id}", lifecycle.phases_of
        if of is None:
            return
        if of not in self.playbook.lifecycles:
            hint = nearest(of, self.playbook.lifecycles)
            yield self._finding("error", key, "phases_of", f"there is no lifecycle “{of}”.{hint}")
        elif self.playbook.lifecycles[of].of != lifecycle.of:
            message = f"“{of}” is of {_WHOSE[self.playbook.lifecycles[of].of]}, its phases must be too"
            yield self._finding("error", key, "phases_of", message)

    def _stages(self, lifecycle: Lifecycle) -> Iterator[Finding]:
        key = f"lifecycle/{lifecycle.id}"
        for n, stage in enumerate(lifecycle.stages):
            field = f"stages[{n}].when"
            taker = next((s for s in lifecycle.stages[n + 1 :] if always(s.when) or s.when == stage.when), None)
            if never(stage.when):
                # A phase may be a step of the company's own, with nobody in it.
                if lifecycle.phases_of is None:
                    yield self._finding("warning", key, field, f"nobody can reach the stage “{stage.id}”")
            elif taker is not None:
                what = "takes anyone" if always(taker.when) else "has the same rule"
                message = (
                    f"nobody can reach the stage “{stage.id}”: “{taker.id}” stands later, {what}, and the last wins"
                )
                yield self._finding("warning", key, field, message)

    def _rhythm(self) -> Iterator[Finding]:
        event = self.playbook.rhythm.event
        if event in self.playbook.events:
            return
        asked = any(graph.reads_of(d, self.playbook.events).traits & graph.RHYTHM_TRAITS for d in self.playbook.asking)
        if "rhythm" in self.playbook.sources or asked:
            if self.schema is None or event in self.schema.events:
                return
            hint = nearest(event, [*self.playbook.events, *self.schema.events])
            message = f"the rhythm is taken from “{event}”, which neither arrives nor is a derived event.{hint}"
            yield self._finding("warning", "rhythm", "event", message)
