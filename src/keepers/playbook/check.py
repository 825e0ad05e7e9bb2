"""Checks a playbook: unknown names, cycles, unreachable stages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from msgspec import Struct

from keepers.conditions import graph
from keepers.conditions.definitions import Lifecycle, Source
from keepers.conditions.message_events import own_events
from keepers.conditions.schema import Schema
from keepers.i18n.findings import Sentence, sentence, with_nearest
from keepers.model.fields import Kind
from keepers.playbook import check_sending
from keepers.playbook.check_currencies import SeenCurrencies, UnratedAmounts, amount_remarks
from keepers.playbook.check_sending import Remark
from keepers.playbook.load import Playbook
from keepers.playbook.reach import always, never
from keepers.playbook.references import Reference, holds_account, references
from keepers.playbook.trust import SeenTrust, trust_remarks
from keepers.scores.registry import SCORES, configured_scores

Level = Literal["error", "warning"]
_WHOSE: dict[Kind, str] = {"person": "people", "account": "accounts"}
"""as the codes of findings have it"""


class Finding(Struct, frozen=True):
    """One remark. Errors keep a playbook from being applied, warnings don't."""

    level: Level
    file: str
    line: int | None
    field: str
    sentence: Sentence

    @property
    def message(self) -> str:
        """The sentence in English."""
        return str(self.sentence)

    def __str__(self) -> str:
        place = self.file + (f":{self.line}" if self.line else "")
        return f"{place}: {self.message}" if place else self.message


def check(
    playbook: Playbook,
    schema: Schema | None = None,
    currencies: SeenCurrencies | None = None,
    unrated: UnratedAmounts | None = None,
    trust: SeenTrust | None = None,
) -> list[Finding]:
    """All findings about a playbook, in the order of files and lines.

    With the schema of what has arrived, unknown events and traits are warned about, with the nearest names; with the
    currencies that have come, figures that mix them; with the amounts that no rate is for, what leaves them out; with
    the ways by which events came, journeys that none of them starts.
    """
    return _located(playbook, _Check(playbook, schema, currencies, unrated, trust).findings())


def check_trust(playbook: Playbook, trust: SeenTrust) -> list[Finding]:
    """What `check` finds about trust alone: whom a playbook would stop, and whom it could not."""
    return _located(playbook, _trust(playbook, trust))


def _trust(playbook: Playbook, trust: SeenTrust | None) -> Iterator[Remark]:
    for about in trust_remarks(playbook, trust):
        yield Remark(about.key, about.field, "warning", about.sentence)


def _located(playbook: Playbook, remarks: Iterator[Remark]) -> list[Finding]:
    findings = [Finding(one.level, *_place(playbook, one), one.sentence) for one in dict.fromkeys(remarks)]
    return sorted(findings, key=lambda f: (f.file, f.line or 0, f.level, f.field, f.message))


def _place(playbook: Playbook, remark: Remark) -> tuple[str, int | None, str]:
    file, line = playbook.place(remark.key, remark.field)
    return file, line, f"{remark.key}.{remark.field}" if remark.field else remark.key


def order(playbook: Playbook) -> list[list[str]]:
    """Definitions in layers, `segment:active` before what reads it. Raises DefinitionError on a circle."""
    return graph.strata(_dependencies(playbook))


def _dependencies(playbook: Playbook) -> dict[str, frozenset[str]]:
    return graph.dependencies(playbook.segments.values(), playbook.lifecycles.values(), playbook.events)


class _Check:
    def __init__(
        self,
        playbook: Playbook,
        schema: Schema | None,
        currencies: SeenCurrencies | None,
        unrated: UnratedAmounts | None,
        trust: SeenTrust | None,
    ) -> None:
        self.playbook = playbook
        self.currencies = currencies
        self.unrated = unrated
        self.trust = trust
        self.computed = playbook.computed
        has_data = schema is not None and bool(schema.events or schema.traits)
        self.schema = schema if has_data else None

    def findings(self) -> Iterator[Remark]:
        yield from self._circular_references()
        yield from self._derived()
        for key, kind, field, condition in self._conditions():
            for reference in references(condition, kind, field):
                yield from self._reference(key, reference)
            for amount in amount_remarks(self.playbook, condition, field, self.currencies, self.unrated):
                yield Remark(key, amount.field, amount.level, amount.sentence)
            if kind == "account":
                for inside in holds_account(condition, field):
                    yield Remark(key, inside, "error", sentence("account_in_account"))
        for journey in self.playbook.journeys.values():
            for reference in check_sending.entries(journey):
                yield from self._reference(f"journey/{journey.id}", reference)
        yield from check_sending.remarks(self.playbook, self.schema)
        yield from _trust(self.playbook, self.trust)
        yield from self._unseen_words()
        yield from self._unreachable()
        yield from self._scores()

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

    def _circular_references(self) -> Iterator[Remark]:
        for path in graph.cycles(_dependencies(self.playbook)):
            yield Remark(path[0].replace(":", "/"), "", "error", graph.circle(path))

    def _reference(self, key: str, reference: Reference) -> Iterator[Remark]:
        match reference.role:
            case "segment":
                yield from self._segment(key, reference)
            case "stage":
                yield from self._stage(key, reference)
            case "event":
                yield from self._event(key, reference.field, reference.name)
            case "trait":
                yield from self._trait(key, reference)

    def _segment(self, key: str, reference: Reference) -> Iterator[Remark]:
        segment = self.playbook.segments.get(reference.name)
        if segment is None:
            finding = sentence("unknown_segment", name=reference.name)
            finding = with_nearest(finding, reference.name, self.playbook.segments)
            yield Remark(key, reference.field, "error", finding)
        elif segment.of != reference.kind:
            finding = sentence(f"segment_of_{_WHOSE[segment.of]}", name=segment.id)
            yield Remark(key, reference.field, "error", finding)

    def _stage(self, key: str, reference: Reference) -> Iterator[Remark]:
        name, _, stage = reference.name.rpartition(".")
        lifecycle = self.playbook.lifecycles.get(name)
        if lifecycle is None:
            yield Remark(key, reference.field, "error", self._unknown_lifecycle(name))
            return
        known = [s.id for s in lifecycle.stages]
        if stage not in known:
            finding = with_nearest(sentence("unknown_stage", lifecycle=name, name=stage), stage, known)
            yield Remark(key, reference.field, "error", finding)
        elif lifecycle.of != reference.kind:
            yield Remark(key, reference.field, "error", sentence(f"lifecycle_of_{_WHOSE[lifecycle.of]}", name=name))

    def _unknown_lifecycle(self, name: str) -> Sentence:
        return with_nearest(sentence("unknown_lifecycle", name=name), name, self.playbook.lifecycles)

    def _event(self, key: str, field: str, name: str) -> Iterator[Remark]:
        if self._is_known(name) or name in self.playbook.events or name in own_events():
            return
        assert self.schema is not None
        known = [*self.schema.events, *self.playbook.events, *sorted(own_events())]
        yield Remark(key, field, "warning", with_nearest(sentence("unseen_event", name=name), name, known))

    def _trait(self, key: str, reference: Reference) -> Iterator[Remark]:
        name = reference.name
        if self.schema is None or self.schema.has_trait(name) or name in self.computed:
            return
        known = [*self.schema.traits, *self.computed] if self.schema.traits else []
        finding = with_nearest(sentence("unseen_trait", name=name), name, known)
        yield Remark(key, reference.field, "warning", finding)

    def _is_known(self, event: str) -> bool:
        """Whether an event has arrived, or nothing is known of what has."""
        if self.schema is None or event in self.schema.events or self.schema.event(event) is None:
            return self.schema is None or event in self.schema.events
        # One that is not listed, since too many came by public keys, may have arrived.
        return self.trust is None or any(self.trust(event))

    def _derived(self) -> Iterator[Remark]:
        words = self.playbook.events
        for word in words.values():
            key = f"event/{word.id}"
            for source in word.sources:
                yield from self._derived_source(key, word.id, source)
            if self.schema and word.id in self.schema.events and word.id not in {s.event for s in word.sources}:
                yield Remark(key, "id", "warning", sentence("hidden_event", name=word.id))

    def _derived_source(self, key: str, word: str, source: Source) -> Iterator[Remark]:
        """A word made of another word would read only what arrives under that very name."""
        voids = set(source.unless.events) if source.unless else set()
        own = {s.event for s in self.playbook.events[word].sources}
        for name, beside in ((source.event, own), *((v, voids) for v in sorted(voids))):
            other = self.playbook.events.get(name)
            if name == word or other is None or (self.schema and name in self.schema.events):
                continue
            missing = {s.event for s in other.sources} - beside
            if missing:
                finding = sentence("derived_of_derived", name=name, events=", ".join(sorted(missing)))
                yield Remark(key, "", "error", finding)
        if word in voids:
            yield Remark(key, "unless", "error", sentence("void_of_itself", name=word))

    def _unseen_words(self) -> Iterator[Remark]:
        """Derived events that a condition reads while nothing they are made of has arrived."""
        if self.schema is None:
            return
        readers: dict[str, set[str]] = {}
        for definition in self.playbook.segments_and_lifecycles:
            for word in graph.reads_of(definition, self.playbook.events, self.computed).words:
                readers.setdefault(word, set()).add(definition.id)
        for word, by in readers.items():
            sources = list(dict.fromkeys(s.event for s in self.playbook.events[word].sources))
            if any(self._is_known(name) or name in own_events() for name in sources):
                continue
            shown = ", ".join(sources[:4]) + (" …" if len(sources) > 4 else "")
            finding = sentence("unseen_word", name=word, events=shown, by=", ".join(sorted(by)))
            yield Remark(f"event/{word}", "", "warning", finding)

    def _unreachable(self) -> Iterator[Remark]:
        for segment in self.playbook.segments.values():
            if never(segment.who):
                yield Remark(f"segment/{segment.id}", "who", "warning", sentence("empty_segment"))
        for lifecycle in self.playbook.lifecycles.values():
            yield from self._phases(lifecycle)
            yield from self._stages(lifecycle)

    def _phases(self, lifecycle: Lifecycle) -> Iterator[Remark]:
        key, of = f"lifecycle/{lifecycle.id}", lifecycle.phases_of
        if of is None:
            return
        if of not in self.playbook.lifecycles:
            yield Remark(key, "phases_of", "error", self._unknown_lifecycle(of))
        elif self.playbook.lifecycles[of].of != lifecycle.of:
            finding = sentence(f"phases_of_{_WHOSE[self.playbook.lifecycles[of].of]}", name=of)
            yield Remark(key, "phases_of", "error", finding)

    def _stages(self, lifecycle: Lifecycle) -> Iterator[Remark]:
        key = f"lifecycle/{lifecycle.id}"
        for n, stage in enumerate(lifecycle.stages):
            field = f"stages[{n}].when"
            taker = next((s for s in lifecycle.stages[n + 1 :] if always(s.when) or s.when == stage.when), None)
            if never(stage.when):
                # A phase may be an internal step that holds no customers.
                if lifecycle.phases_of is None:
                    yield Remark(key, field, "warning", sentence("unreachable_stage", stage=stage.id))
            elif taker is not None:
                code = "stage_taken_by_anyone" if always(taker.when) else "stage_taken_by_same"
                yield Remark(key, field, "warning", sentence(code, stage=stage.id, taker=taker.id))

    def _scores(self) -> Iterator[Remark]:
        """Scores that are configured or used in conditions, and whose event neither arrives nor is defined."""
        read = [
            graph.reads_of(d, self.playbook.events, self.computed).traits for d in self.playbook.segments_and_lifecycles
        ]
        for name, one in configured_scores(self.playbook.scores).items():
            score = SCORES[name]
            event = score.event(one.settings)
            if self.schema is None or event in self.playbook.events or self._is_known(event):
                continue
            if name in self.playbook.sources or any(not traits.isdisjoint(score.traits) for traits in read):
                known = [*self.playbook.events, *self.schema.events]
                finding = with_nearest(sentence("score_unseen", score=name, event=event), event, known)
                yield Remark(name, "event", "warning", finding)
