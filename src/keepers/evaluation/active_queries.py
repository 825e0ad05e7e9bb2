"""The active definitions as standing queries: numbered, in order of dependence, knowing what each reads."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from keepers.conditions import ast, graph
from keepers.conditions.compile.accounts import ACCOUNT, account_definition
from keepers.conditions.compile.compile import StandingQuery, Vocabulary
from keepers.conditions.currencies import Currencies
from keepers.conditions.definitions import Definition, DerivedEvent, Lifecycle, Segment
from keepers.scores.registry import SCORES, Scores, computed_traits, configured_scores, events_of
from keepers.warehouse.fixed_tables import IMPORT

TRUSTED = "trusted:"
"""what the ids of definitions of trusted rows alone begin with"""


class Definitions(Struct, frozen=True):
    """What a playbook defines, parsed, and the scores with their frozen figures.

    `questions` are the conditions of journeys: the accounts in them must be answered ahead, like any definition.
    `trusted` are the definitions that are answered of trusted rows alone besides, hidden (`trusted_id`): their changes
    are what trusted journeys listen to, since what anybody says moves the others.
    """

    events: dict[str, DerivedEvent] = field(default_factory=dict)
    segments: dict[str, Segment] = field(default_factory=dict)
    lifecycles: dict[str, Lifecycle] = field(default_factory=dict)
    scores: Scores = field(default_factory=configured_scores)
    questions: tuple[ast.Condition, ...] = ()
    currencies: Currencies | None = None
    trusted: frozenset[str] = frozenset()

    @property
    def computed(self) -> dict[str, str]:
        """Traits of scores → the event each is computed from."""
        return events_of(self.scores)

    def by_id(self) -> dict[str, Definition]:
        """Every segment, lifecycle and hidden definition by its id (`segment:x`, `lifecycle:y`)."""
        found: dict[str, Definition] = {f"segment:{s.id}": self._answered(s) for s in self.segments.values()}
        found |= {f"lifecycle:{x.id}": x for x in self.lifecycles.values()}
        found |= {trusted_id(name): self._of_trusted_rows(name, found[name]) for name in sorted(self.trusted)}
        conditions = [c for definition in found.values() for c in conditions_of(definition)]
        return found | hidden_accounts((*conditions, *self.questions))

    def _answered(self, segment: Segment) -> Definition:
        """A segment as it is evaluated."""
        return self._of_trusted_rows(f"segment:{segment.id}", segment) if segment.trust == "server" else segment

    def _of_trusted_rows(self, name: str, definition: Definition) -> Definition:
        """A definition of trusted rows alone: it reads no answers that rest on all rows."""

        def spelled_out(condition: ast.Condition) -> ast.Condition:
            return graph.spelled_out(condition, self.segments, self.lifecycles, frozenset({name}))

        if isinstance(definition, Segment):
            return replace(definition, who=spelled_out(definition.who), trust="server")
        stages = tuple(replace(stage, when=spelled_out(stage.when)) for stage in definition.stages)
        return replace(definition, stages=stages, trust="server")


def trusted_id(name: str) -> str:
    """The id under which a definition is answered of trusted rows alone."""
    return f"{TRUSTED}{name}"


def is_hidden(name: str) -> bool:
    """Whether an id is of a definition that no playbook has: of accounts in conditions, or of trusted rows."""
    return name.startswith((TRUSTED, ACCOUNT))


def conditions_of(definition: Definition) -> list[ast.Condition]:
    if isinstance(definition, Segment):
        return [definition.who]
    return [stage.when for stage in definition.stages]


def hidden_accounts(conditions: Iterable[ast.Condition]) -> dict[str, Definition]:
    """A hidden segment of accounts for every `account:` in conditions, answered like any other."""
    found: dict[str, Definition] = {}
    for condition in conditions:
        for part in ast.walk(condition):
            if isinstance(part, ast.Account):
                name = account_definition(part)
                found[name] = Segment(id=name, who=part.condition, of="account")
    return found


class ActiveQueries(Struct, frozen=True):
    """`layers`: queries in order, each reading only those in layers before. `reads` is what each reads itself;
    `dependents` are all that read it, directly or through others."""

    definitions: Definitions
    by_id: dict[str, StandingQuery]
    layers: tuple[tuple[StandingQuery, ...], ...]
    reads: dict[int, graph.Reads]
    dependents: dict[int, frozenset[int]]
    vocabulary: Vocabulary

    @property
    def numbers(self) -> frozenset[int]:
        return frozenset(query.number for query in self.by_id.values())

    @property
    def has_accounts(self) -> bool:
        return any(query.subject == "account" for query in self.by_id.values())

    def reading(self, kind: str, name: str) -> frozenset[int]:
        """The queries to answer again when something of this kind and name arrived, dependents included."""
        match kind.removeprefix(IMPORT):
            case "event":
                direct = {n for n, r in self.reads.items() if name in r.events}
            case "trait":
                direct = {n for n, r in self.reads.items() if name in r.traits}
            case _:
                return self.numbers
        return self.with_dependents(direct)

    def with_dependents(self, numbers: Iterable[int]) -> frozenset[int]:
        found = set(numbers)
        for number in tuple(found):
            found |= self.dependents.get(number, frozenset())
        return frozenset(found)

    def upstream(self, ids: Iterable[str]) -> tuple[tuple[StandingQuery, ...], ...]:
        """The layers needed to answer some definitions, those themselves included."""
        wanted: set[str] = set()
        waiting = list(ids)
        while waiting:
            one = waiting.pop()
            if one in wanted or one not in self.by_id:
                continue
            wanted.add(one)
            waiting += _read_by(self.by_id[one].definition, self.definitions)
        layers = (tuple(query for query in layer if query.id in wanted) for layer in self.layers)
        return tuple(layer for layer in layers if layer)


def _read_by(definition: Definition, definitions: Definitions) -> frozenset[str]:
    found = graph.reads_of(definition, definitions.events, definitions.computed).definitions
    parts = [p for c in conditions_of(definition) for p in ast.walk(c)]
    return found | {account_definition(p) for p in parts if isinstance(p, ast.Account)}


def build(definitions: Definitions, numbers: Mapping[str, int] | None = None) -> ActiveQueries:
    """Standing queries with the given numbers; without, numbered from 1 (previews).

    Raises DefinitionError when definitions read each other in a circle.
    """
    found = definitions.by_id()
    numbers = numbers or {name: n for n, name in enumerate(sorted(found), start=1)}
    queries = {name: StandingQuery(numbers[name], name, definition) for name, definition in found.items()}
    needs = {name: _read_by(query.definition, definitions) for name, query in queries.items()}
    layers = tuple(tuple(queries[name] for name in layer) for layer in graph.strata(needs))
    computed = definitions.computed
    reads = {q.number: graph.reads_of(q.definition, definitions.events, computed) for q in queries.values()}
    vocabulary = Vocabulary(
        derived=definitions.events,
        computed=computed_traits(definitions.scores),
        query_ids={name: query.number for name, query in queries.items()},
        stages={x.id: tuple(s.id for s in x.stages) for x in definitions.lifecycles.values()},
        currencies=definitions.currencies,
    )
    return ActiveQueries(definitions, queries, layers, reads, _dependents(queries, needs), vocabulary)


def _dependents(queries: dict[str, StandingQuery], needs: dict[str, frozenset[str]]) -> dict[int, frozenset[int]]:
    direct: dict[str, set[str]] = {name: set() for name in queries}
    for name, read in needs.items():
        for upstream in read & queries.keys():
            direct[upstream].add(name)
    found: dict[int, frozenset[int]] = {}
    for name in queries:
        seen: set[str] = set()
        waiting = list(direct[name])
        while waiting:
            one = waiting.pop()
            if one not in seen:
                seen.add(one)
                waiting += direct[one]
        found[queries[name].number] = frozenset(queries[n].number for n in seen)
    return found


def signatures(definitions: Definitions) -> dict[str, str]:
    """A hash per definition of all that decides its answers: its own rule, and the derived events, scores and
    definitions it uses. A definition whose signature changed is answered again for everybody."""
    found = definitions.by_id()
    needs = {name: _read_by(definition, definitions) for name, definition in found.items()}
    done: dict[str, str] = {}
    for layer in graph.strata(needs):
        for name in layer:
            done[name] = _signature(found[name], definitions, [done[n] for n in sorted(needs[name] & done.keys())])
    return done


def _signature(definition: Definition, definitions: Definitions, upstream: list[str]) -> str:
    reads = graph.reads_of(definition, definitions.events, definitions.computed)
    parts: list[Any] = [rule(definition), upstream]
    words = set(reads.words)
    for name, one in definitions.scores.items():
        if not reads.traits.isdisjoint(SCORES[name].traits):
            parts += SCORES[name].signature(one.settings, one.figures)
            words |= {SCORES[name].event(one.settings)} & definitions.events.keys()
    parts += [definitions.events[word].sources for word in sorted(words)]
    parts += [definitions.events[word].per_day for word in sorted(words)]
    if definitions.currencies is not None and any(map(ast.uses_reporting, conditions_of(definition))):
        parts.append(definitions.currencies.signature)
    return hashlib.sha256(msgspec.json.encode(parts, enc_hook=str)).hexdigest()[:32]


def rule(definition: Definition) -> list[Any]:
    """The parts of a definition that decide answers: not its names and texts."""
    trust = [definition.trust] if definition.trust != "any" else []
    if isinstance(definition, Lifecycle):
        return [definition.of, [[stage.id, stage.when] for stage in definition.stages], *trust]
    return [definition.of, definition.who, *trust]
