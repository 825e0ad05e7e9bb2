"""What a condition reads, and the order in which definitions are answered: pure, for checks and evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from keepers.conditions import ast
from keepers.conditions.definitions import DerivedEvent, Lifecycle, Segment, Source
from keepers.conditions.operators import BY_NAME
from keepers.i18n.findings import Sentence, sentence
from keepers.model.errors import DefinitionError

NamedProperties = Mapping[str, frozenset[tuple[str, str]]]
"""event that arrives → (list, path) of its properties; the list is empty for a property of the event itself"""
MEMBER = "profile_id"
"""the profile that did it, unless a property has this name; of an account's events the member"""
ZONE_TRAITS = frozenset({"timezone", "country"})
"""traits that decide a subject's midnight, and with it the day of an anniversary"""


class Reads(Struct, frozen=True):
    """Everything whose arrival or change can change an answer.

    `events` are base names: a derived event stands for all its sources and what voids them. `words` are the derived
    events by their own names. `accounts`: memberships in accounts matter too.
    """

    events: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()
    traits: frozenset[str] = frozenset()
    segments: frozenset[str] = frozenset()
    lifecycles: frozenset[str] = frozenset()
    accounts: bool = False

    def __or__(self, other: Reads) -> Reads:
        return Reads(
            self.events | other.events,
            self.words | other.words,
            self.traits | other.traits,
            self.segments | other.segments,
            self.lifecycles | other.lifecycles,
            self.accounts or other.accounts,
        )

    @property
    def definitions(self) -> frozenset[str]:
        """The definitions that must be answered before: `segment:active`, `lifecycle:value`."""
        return frozenset(f"segment:{s}" for s in self.segments) | frozenset(f"lifecycle:{x}" for x in self.lifecycles)


def base_events(name: str, events: Mapping[str, DerivedEvent]) -> frozenset[str]:
    """The arriving events behind a name: its sources and what voids them, or the event itself.

    A derived event's sources are always base events, its own name among them: `purchase` from `purchase`.
    """
    word = events.get(name)
    if word is None:
        return frozenset({name})
    voids = (event for source in word.sources if source.unless for event in source.unless.events)
    return frozenset(source.event for source in word.sources) | frozenset(voids)


def reads(
    condition: ast.Condition, events: Mapping[str, DerivedEvent], computed: Mapping[str, str] | None = None
) -> Reads:
    """What a condition reads, with all conditions inside it. `computed`: trait → the event it is computed from."""
    names: set[str] = set()
    traits: set[str] = set()
    segments: set[str] = set()
    lifecycles: set[str] = set()
    accounts = False
    for part in ast.walk(condition):
        match part:
            case ast.Did(event=event):
                names.add(event)
            case ast.Sequence(steps=steps):
                names.update(step.event for step in steps)
            case ast.Trait(name=name, tests=tests):
                traits.add(name)
                if any(BY_NAME[test.op].uses_local_date for test in tests):
                    traits |= ZONE_TRAITS
                if computed and name in computed:
                    names.add(computed[name])
            case ast.InSegment(segment=segment):
                segments.add(segment)
            case ast.InStage(lifecycle=lifecycle):
                lifecycles.add(lifecycle)
            case ast.Account():
                accounts = True
            case _:
                pass
    return Reads(
        events=frozenset().union(*(base_events(n, events) for n in names)),
        words=frozenset(n for n in names if n in events),
        traits=frozenset(traits),
        segments=frozenset(segments),
        lifecycles=frozenset(lifecycles),
        accounts=accounts,
    )


def named_properties(
    conditions: Iterable[ast.Condition], events: Mapping[str, DerivedEvent], names: Iterable[str] = ()
) -> NamedProperties:
    """The events that arrive, and their properties, that conditions and derived events name. `names`: further events,
    derived ones or others."""
    found: dict[str, set[tuple[str, str]]] = {}

    def add(source: Source, where: Iterable[ast.PropertyTest], paths: Iterable[str]) -> None:
        own = {"value": source.value, "currency": source.currency}
        into = found.setdefault(source.event, set())
        for test in (*source.where, *where):
            path = test.path if test.some else own.get(test.path) or test.path
            into.add(("", path))
            into.update((path, inner.path) for inner in test.some)
            # A test on a list means its items.
            into.update([(path, "value")] if not test.some else [])
        into.update(("", own.get(path) or path) for path in paths)
        if source.unless is not None:
            into.add(("", source.unless.same))
            for voiding in source.unless.events:
                found.setdefault(voiding, set()).add(("", source.unless.same))

    def read(event: str, where: Iterable[ast.PropertyTest], paths: Iterable[str]) -> None:
        for source in events[event].sources if event in events else (Source(event),):
            add(source, where, paths)

    for event in (*events, *names):
        read(event, (), ())
    for part in (part for condition in conditions for part in ast.walk(condition)):
        match part:
            case ast.Did(event, where, aggregates):
                amounts = ("currency",) if ast.uses_reporting(part) else ()
                read(event, where, (*(a.of for a in aggregates if a.of), *amounts))
            case ast.Sequence(steps, same):
                for step in steps:
                    read(step.event, step.where, (same,) if same else ())
            case _:
                pass
    return {event: frozenset(paths - {("", MEMBER)}) for event, paths in found.items()}


def spelled_out(
    condition: ast.Condition,
    segments: Mapping[str, Segment],
    lifecycles: Mapping[str, Lifecycle],
    inside: frozenset[str] = frozenset(),
) -> ast.Condition:
    """The condition with the segments and stages that it names replaced by what they are made of, for asking it of
    trusted rows alone: their answers rest on all rows, except of segments that are trusted themselves. How long
    somebody has been in one is still read from its answers.

    A name that is not known stays, and so does one that leads back to itself. `inside` are the ids on the way here.
    """

    def inner(part: ast.Condition, of: str = "") -> ast.Condition:
        return spelled_out(part, segments, lifecycles, inside | {of} if of else inside)

    match condition:
        case ast.AllOf(items):
            return ast.AllOf(tuple(map(inner, items)))
        case ast.AnyOf(items):
            return ast.AnyOf(tuple(map(inner, items)))
        case ast.Not(item):
            return ast.Not(inner(item))
        case ast.InSegment(segment, lasting) if segment in segments and f"segment:{segment}" not in inside:
            if segments[segment].trust == "server":
                return condition
            found = inner(segments[segment].who, f"segment:{segment}")
            return ast.AllOf((condition, found)) if lasting else found
        case ast.InStage(lifecycle, stage, lasting) if (
            lifecycle in lifecycles and f"lifecycle:{lifecycle}" not in inside
        ):
            of = f"lifecycle:{lifecycle}"
            stages = lifecycles[lifecycle].stages
            place = next((n for n, one in enumerate(stages) if one.id == stage), None)
            if place is None:
                return condition
            later = tuple(inner(one.when, of) for one in stages[place + 1 :])
            found = ast.AllOf((inner(stages[place].when, of), *(ast.Not(one) for one in later)))
            return ast.AllOf((condition, found)) if lasting else found
        case _:
            return condition


def reads_of(
    definition: Segment | Lifecycle,
    events: Mapping[str, DerivedEvent],
    computed: Mapping[str, str] | None = None,
) -> Reads:
    """What a segment, or any stage of a lifecycle, reads."""
    if isinstance(definition, Segment):
        return reads(definition.who, events, computed)
    found = Reads()
    for stage in definition.stages:
        found |= reads(stage.when, events, computed)
    return found


def dependencies(
    segments: Iterable[Segment], lifecycles: Iterable[Lifecycle], events: Mapping[str, DerivedEvent]
) -> dict[str, frozenset[str]]:
    """Each definition's id (`segment:active`) → the definitions it reads, known or not."""
    found = {f"segment:{s.id}": reads_of(s, events).definitions for s in segments}
    found |= {f"lifecycle:{x.id}": reads_of(x, events).definitions for x in lifecycles}
    return found


def cycles(graph: Mapping[str, frozenset[str]]) -> list[list[str]]:
    """Every cycle found by a depth-first walk, as a path whose first and last are the same."""
    found: list[list[str]] = []
    finished: set[str] = set()
    for start in sorted(graph):
        path: list[str] = []
        on_path: set[str] = set()
        # An explicit stack: a chain of thousands of segments would exceed the recursion limit.
        stack: list[tuple[str, bool]] = [(start, False)]
        while stack:
            node, leaving = stack.pop()
            if leaving:
                path.pop()
                on_path.discard(node)
                finished.add(node)
                continue
            if node in on_path:
                found.append([*path[path.index(node) :], node])
                continue
            if node in finished:
                continue
            path.append(node)
            on_path.add(node)
            stack.append((node, True))
            stack.extend((n, False) for n in sorted(graph.get(node, frozenset()), reverse=True) if n in graph)
    return found


def strata(graph: Mapping[str, frozenset[str]]) -> list[list[str]]:
    """Definitions in layers: each reads only those in layers before. Raises DefinitionError on a cycle."""
    waiting = {node: {n for n in needs if n in graph} for node, needs in graph.items()}
    layers: list[list[str]] = []
    while waiting:
        ready = sorted(node for node, needs in waiting.items() if not needs)
        if not ready:
            raise DefinitionError(circle(cycles({n: frozenset(a) for n, a in waiting.items()})[0]))
        layers.append(ready)
        done = set(ready)
        waiting = {node: needs - done for node, needs in waiting.items() if node not in done}
    return layers


def circle(path: list[str]) -> Sentence:
    """The sentence that shows a cycle of definitions and the remedy."""
    return sentence("circle", path=" → ".join(node.replace(":", " ") for node in path))
