"""The shipped lifecycle templates: what there is, what each needs, and what it cannot see yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from msgspec import Struct

from keepers.conditions import graph
from keepers.conditions.ast import Condition
from keepers.conditions.definitions import DerivedEvent, Segment, Stage
from keepers.conditions.schema import Schema
from keepers.i18n.catalogues import folders, languages
from keepers.model.errors import NotFoundError, nearest, problem
from keepers.model.fields import Kind, Text
from keepers.playbook.load import Playbook, load_texts
from keepers.playbook.reach import helping, possible
from keepers.playbook.shipped.texts import translated
from keepers.playbook.yaml_nodes import read_document

FOLDER = Path(__file__).parents[1] / "templates"
VOCABULARY = "vocabulary.yaml"
ALWAYS = frozenset({"event:purchase", "segment:active", "segment:slipping", "segment:lost"})
"""What every workspace gets: the rhythm is taken from purchases, and these are what it is for."""


class Template(Struct, frozen=True):
    """A shipped lifecycle. `words` are the derived events it reads → the events usually mapped to each."""

    id: str
    name: Text
    description: Text
    of: Kind
    stages: tuple[Stage, ...]
    lifecycles: tuple[str, ...]
    """its own id first, then those shipped with it: phases of the same customers, or their people"""
    words: dict[str, tuple[str, ...]]


class BlindWord(Struct, frozen=True):
    """A derived event that no event received so far is mapped to.

    `stages` (as lifecycle.stage) read it, themselves or through a segment; of these nobody can be in
    `empty` with what arrives now. `events` are those to send, or to map one's own beside.
    """

    word: str
    name: Text
    events: tuple[str, ...]
    stages: tuple[str, ...]
    empty: tuple[str, ...]


def shipped() -> Playbook:
    """All lifecycle templates and the vocabulary as one playbook, without the starter journeys in a folder below."""
    return _shipped(folders())


def templates() -> dict[str, Template]:
    """The templates by id, in the order of MISSION §1."""
    return _templates(folders())


def template_text(path: Path) -> str:
    """A template's file with its texts in every language of the catalogues."""
    return _template_text(path, folders())


@cache
def _template_text(path: Path, texts_from: tuple[Path, ...]) -> str:
    return translated(path.read_text(encoding="utf-8"), languages())


@cache
def _shipped(texts_from: tuple[Path, ...]) -> Playbook:
    paths = sorted(FOLDER.glob("*.yaml"))
    return load_texts({f"{FOLDER.name}/{path.name}": template_text(path) for path in paths})


@cache
def _templates(texts_from: tuple[Path, ...]) -> dict[str, Template]:
    order = (
        "three-phase",
        "funnel",
        "value",
        "finders-keepers",
        "attract-advocate",
        "acquisition-advocacy",
        "discovery-referral",
        "four-stage",
        "six-stage",
        "journey",
        "b2b",
    )
    read = (_read(path) for path in sorted(FOLDER.glob("*.yaml")))
    found = {t.id: t for t in read if t is not None}
    return {name: found[name] for name in sorted(found, key=lambda n: order.index(n) if n in order else len(order))}


def template(name: str) -> Template:
    """One template. Raises NotFoundError with the nearest names."""
    known = templates()
    if name not in known:
        raise NotFoundError(problem("There is no lifecycle template “{name}”.", near=nearest(name, known), name=name))
    return known[name]


def _read(path: Path) -> Template | None:
    data = read_document(template_text(path).encode(), path.name).data
    about = data.get("template")
    if about is None:
        return None  # the vocabulary, or a companion of another template
    own = [entry["id"] for entry in data["lifecycles"]]
    main = shipped().lifecycles[own[0]]
    return Template(
        id=about["id"],
        name=about["name"],
        description=about["description"],
        of=main.of,
        stages=main.stages,
        lifecycles=(*own, *about.get("also", ())),
        words={word: tuple(events) for word, events in about["words"].items()},
    )


def needed(lifecycles: Iterable[str]) -> frozenset[str]:
    """The ids (`event:…`, `segment:…`, `lifecycle:…`) that shipped lifecycles need, themselves included."""
    playbook = shipped()
    found: set[str] = set()
    waiting = [f"lifecycle:{name}" for name in lifecycles] + sorted(ALWAYS)
    while waiting:
        node = waiting.pop()
        if node in found:
            continue
        found.add(node)
        kind, _, name = node.partition(":")
        if kind == "event":
            continue
        definition = playbook.segments[name] if kind == "segment" else playbook.lifecycles[name]
        reads = graph.reads_of(definition, playbook.events, playbook.computed)
        waiting += [*reads.definitions, *(f"event:{word}" for word in reads.words)]
    return frozenset(found)


def blind_words(template: Template, schema: Schema, playbook: Playbook | None = None) -> list[BlindWord]:
    """Which of a template's words cannot be seen with what has arrived, and what stops working.

    `playbook` is the workspace's own, where its words are mapped; the shipped vocabulary stands in for what
    it does not define.
    """
    base = shipped()
    words = {**base.events, **(playbook.events if playbook else {})}
    segments = {**base.segments, **(playbook.segments if playbook else {})}
    own = {**base.lifecycles, **(playbook.lifecycles if playbook else {})}
    lifecycles = [own[name] for name in template.lifecycles if name in own]

    def seen(name: str) -> bool:
        sources = {s.event for s in words[name].sources} if name in words else {name}
        return any(schema.event(source) for source in sources)

    stages = [
        (f"{x.id}.{s.id}", _words_read(s.when, words, segments), s.when, possible(s.when, segments, seen))
        for x in lifecycles
        for s in x.stages
    ]
    return [
        BlindWord(
            word=word,
            name=words[word].name,
            events=tuple(dict.fromkeys(s.event for s in words[word].sources)),
            stages=tuple(name for name, read, _, _ in stages if word in read),
            empty=tuple(name for name, _, when, can_hold in stages if not can_hold and word in helping(when, segments)),
        )
        for word in words
        if not seen(word) and any(word in read for _, read, _, _ in stages)
    ]


def _words_read(
    condition: Condition, words: Mapping[str, DerivedEvent], segments: Mapping[str, Segment]
) -> frozenset[str]:
    """The words a condition reads, itself or through segments."""
    reads = graph.reads(condition, words, shipped().computed)
    found, waiting, visited = reads.words, set(reads.segments), set[str]()
    while waiting:
        name = waiting.pop()
        visited.add(name)
        if name in segments:
            reads = graph.reads(segments[name].who, words, shipped().computed)
            found |= reads.words
            waiting |= reads.segments - visited
    return found
