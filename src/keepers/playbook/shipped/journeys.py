"""The starter journeys that ship: what there is, and copying some of them, with all they need, into a playbook."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from msgspec import Struct

from keepers.conditions import graph
from keepers.i18n.catalogues import folders, languages
from keepers.journeys.definition import Journey
from keepers.model.errors import ConflictError, NotFoundError, nearest, problem
from keepers.model.fields import Text
from keepers.playbook import check_sending
from keepers.playbook.load import Playbook, load, load_texts
from keepers.playbook.shipped.install import only, vocabulary_file
from keepers.playbook.shipped.lifecycles import FOLDER, shipped
from keepers.playbook.shipped.starter_texts import translated_starter
from keepers.playbook.yaml_nodes import read_document

STARTERS = FOLDER / "journeys"
SHARED = ("contact.yaml", "brand.yaml")
"""topics and contact rules; layouts, footers and where buttons lead"""


class Starter(Struct, frozen=True):
    """A shipped file of journeys. `needs` are the words and segments (`event:purchase`) they read."""

    id: str
    journeys: tuple[Journey, ...]
    needs: frozenset[str]

    @property
    def name(self) -> Text:
        return self.journeys[0].name

    @property
    def description(self) -> Text:
        return self.journeys[0].description


def starters() -> dict[str, Starter]:
    """All of them by id, the file's name."""
    return _starters(folders())


def starter_files() -> dict[str, str]:
    """The shipped files by name, SHARED among them, with their texts in every language of the catalogues."""
    return _starter_files(folders())


@cache
def _starter_files(texts_from: tuple[Path, ...]) -> dict[str, str]:
    paths = sorted(STARTERS.glob("*.yaml"))
    return {path.name: translated_starter(path.read_text(encoding="utf-8"), languages()) for path in paths}


@cache
def _starters(texts_from: tuple[Path, ...]) -> dict[str, Starter]:
    files = starter_files()
    together = load_texts({f"{STARTERS.name}/{name}": text for name, text in files.items()})
    found: dict[str, Starter] = {}
    for name in (name for name in files if name not in SHARED):
        id = name.removesuffix(".yaml")
        named = [entry["id"] for entry in read_document(files[name].encode(), name).data["journeys"]]
        journeys = tuple(together.journeys[one] for one in named)
        found[id] = Starter(id, journeys, _needs(together, journeys))
    return found


def require_starters(names: Iterable[str]) -> None:
    """Raises NotFoundError, with the nearest names, for what is no starter journey."""
    for name in names:
        if name not in starters():
            raise NotFoundError(
                problem("There is no starter journey “{name}”.", near=nearest(name, starters()), name=name)
            )


def install_journeys(folder: Path, names: Iterable[str]) -> list[Path]:
    """Copies starter journeys into a playbook folder; gives the files written.

    What the playbook defines already stays as it is. Raises NotFoundError for an unknown name, ConflictError for a
    journey that is there already; nothing is written then.
    """
    wanted = list(dict.fromkeys(names))
    require_starters(wanted)
    chosen = [starters()[name] for name in wanted]
    present = load(folder) if folder.is_dir() else Playbook()
    for journey in (journey for starter in chosen for journey in starter.journeys):
        if journey.id in present.journeys:
            there, line = present.place(f"journey/{journey.id}")
            raise ConflictError(
                problem(
                    "The playbook has a journey “{name}” already, in {there}:{line}. Edit it there.",
                    name=journey.id,
                    there=there,
                    line=line,
                )
            )
    if not chosen:
        return []
    files = [name for name in SHARED if not (folder / name).exists()] + [f"{starter.id}.yaml" for starter in chosen]
    texts = {folder / name: starter_files()[name] for name in files}
    has = {key.replace("/", ":", 1) for key in present.sources}
    missing = frozenset[str]().union(*(starter.needs for starter in chosen)) - has
    if missing:
        texts[vocabulary_file(folder, chosen[0].id)] = only(set(missing))
    for path in texts:
        if path.exists():
            raise ConflictError(problem("{path} is there already; move it away first.", path=path))
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    return list(texts)


def _needs(starters_: Playbook, journeys: Iterable[Journey]) -> frozenset[str]:
    """The shipped words and segments that journeys read, and what those read in turn."""
    base = shipped()
    waiting: list[str] = []
    for journey in journeys:
        waiting += [f"{reference.role}:{reference.name}" for reference in check_sending.entries(journey)]
        for condition in journey.questions().values():
            reads = graph.reads(condition, base.events, base.computed)
            waiting += [*reads.definitions, *(f"event:{word}" for word in reads.words)]
    # Segments that stand in the starter files themselves come along with them.
    for segment in starters_.segments.values():
        reads = graph.reads_of(segment, base.events, base.computed)
        waiting += [*reads.definitions, *(f"event:{word}" for word in reads.words)]
    found: set[str] = set()
    while waiting:
        node = waiting.pop()
        kind, _, name = node.partition(":")
        if node in found:
            continue
        if kind == "event" and name in base.events:
            found.add(node)
        elif kind == "segment" and name in base.segments:
            found.add(node)
            reads = graph.reads_of(base.segments[name], base.events, base.computed)
            waiting += [*reads.definitions, *(f"event:{word}" for word in reads.words)]
    return frozenset(found)
