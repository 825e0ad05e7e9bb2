"""Reads a workspace's playbook: every YAML file under the folder, all mistakes at once, each with its line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct, field

import keepers.channels.registry  # noqa: F401 - fills the table that messages and contact rules are read by
from keepers.conditions.currencies import Currencies, parse_currencies
from keepers.conditions.definitions import DerivedEvent, Lifecycle, Segment
from keepers.conditions.parsing.definitions import parse_derived, parse_lifecycle, parse_segment
from keepers.contact.rules import ContactRules, parse_contact
from keepers.i18n.problems import errors_text
from keepers.journeys.broadcast import Broadcast, parse_broadcast
from keepers.journeys.definition import Journey
from keepers.journeys.parse import parse_journey
from keepers.model.consent import Topic, parse_topic
from keepers.model.coupons import CouponPool, parse_coupon_pool
from keepers.model.errors import DefinitionError, NotFoundError, UserError, nearest, problem
from keepers.playbook.yaml_nodes import MAX_BYTES, Document, read_document
from keepers.render.definition import MessageTemplate, Snippet, parse_message, parse_snippet
from keepers.scores.registry import SCORES, configured_scores, events_of

Reader = Callable[[Any, ZoneInfo | None, str], Any]
SECTIONS: dict[str, tuple[str, Reader]] = {
    "events": ("event", parse_derived),
    "segments": ("segment", parse_segment),
    "lifecycles": ("lifecycle", parse_lifecycle),
    "topics": ("topic", parse_topic),
    "coupons": ("coupon", parse_coupon_pool),
    "snippets": ("snippet", parse_snippet),
    "messages": ("message", parse_message),
    "journeys": ("journey", parse_journey),
    "broadcasts": ("broadcast", parse_broadcast),
}
CONTACT, CURRENCIES = "contact", "currencies"
TEMPLATE = "template"
"""describes a shipped template; ignored in a playbook"""
MAX_SHOWN = 50


def singles() -> dict[str, Callable[[Any, str], Any]]:
    """Sections that exist once: the contact rules, the rates of currencies and each score's settings."""
    scores = {name: score.parse for name, score in SCORES.items()}
    return scores | {CONTACT: parse_contact, CURRENCIES: parse_currencies}


def top_keys() -> tuple[str, ...]:
    """The sections that may stand at the top of a file."""
    return (*SECTIONS, *singles(), TEMPLATE)


class PlaybookErrors(UserError):  # noqa: N818 - it is several
    """Everything that is wrong with a playbook, in the order of its files and lines."""

    code = "definition"

    def __init__(self, errors: list[DefinitionError]) -> None:
        super().__init__(errors_text(errors), errors=errors)
        self.errors = errors


class Playbook(Struct, frozen=True):
    """All definitions of a workspace. Keys of the last three are `event/purchase`, `segment/vip`, `rhythm`."""

    events: dict[str, DerivedEvent] = field(default_factory=dict)
    segments: dict[str, Segment] = field(default_factory=dict)
    lifecycles: dict[str, Lifecycle] = field(default_factory=dict)
    topics: dict[str, Topic] = field(default_factory=dict)
    coupons: dict[str, CouponPool] = field(default_factory=dict)
    snippets: dict[str, Snippet] = field(default_factory=dict)
    messages: dict[str, MessageTemplate] = field(default_factory=dict)
    journeys: dict[str, Journey] = field(default_factory=dict)
    broadcasts: dict[str, Broadcast] = field(default_factory=dict)
    scores: dict[str, Any] = field(default_factory=dict)
    """score → its settings, of those that are written"""
    contact: ContactRules = field(default_factory=ContactRules)
    currencies: Currencies | None = None
    sources: dict[str, tuple[str, int]] = field(default_factory=dict)
    """where each definition stands: file (relative to the folder's parent) and line"""
    bodies: dict[str, Any] = field(default_factory=dict)
    """each definition as written: plain data, dates as dates"""
    lines: dict[str, dict[str, int]] = field(default_factory=dict)
    """lines of the fields inside each definition: `who.all[1].did` → 14"""

    @property
    def computed(self) -> dict[str, str]:
        """Traits of scores → the event each is worked out of."""
        return events_of(configured_scores(self.scores))

    @property
    def segments_and_lifecycles(self) -> tuple[Segment | Lifecycle, ...]:
        """Every segment and lifecycle."""
        return (*self.segments.values(), *self.lifecycles.values())

    @property
    def pools_in_use(self) -> dict[str, CouponPool]:
        """The pools of codes that a journey or a broadcast gives from."""
        steps = (step for journey in self.journeys.values() for step in journey.steps.values())
        named = {named.id for step in steps for named in step.references() if named.kind == "coupon"}
        named |= {broadcast.coupon for broadcast in self.broadcasts.values()}
        return {name: pool for name, pool in self.coupons.items() if name in named}

    def place(self, key: str, path: str = "") -> tuple[str, int | None]:
        """File and line of a field, or of the nearest field around it."""
        file, line = self.sources.get(key, ("", None))
        return file, Document(None, self.lines.get(key, {})).line(path) or line


def load(folder: Path, zone: ZoneInfo | None = None) -> Playbook:
    """All `*.yaml` and `*.yml` of a playbook folder and below it; `zone` reads dates written without one.

    Raises PlaybookErrors with every mistake found, NotFoundError when there is no such folder.
    """
    if not folder.is_dir():
        raise NotFoundError(
            problem("There is no playbook folder at {folder}. `keepers init` makes one.", folder=folder)
        )
    gathering = _Gathering(zone)
    for path in _files(folder):
        gathering.file(path, str(path.relative_to(folder.parent)))
    return gathering.playbook()


def load_texts(files: Mapping[str, str]) -> Playbook:
    """A playbook from the text of its files by their names. Raises PlaybookErrors."""
    gathering = _Gathering(None)
    for name, text in files.items():
        gathering.text(text.encode(), name)
    return gathering.playbook()


def load_bodies(bodies: Mapping[str, Any], zone: ZoneInfo | None = None) -> Playbook:
    """A playbook from definitions kept as plain data, keyed `segment/vip`. Raises PlaybookErrors."""
    gathering = _Gathering(zone)
    by_kind = {kind: section for section, (kind, _) in SECTIONS.items()}
    for key, body in bodies.items():
        kind = key.partition("/")[0]
        if kind in singles():
            gathering.single(kind, body, "", Document(body, {}))
        else:
            gathering.entry(by_kind[kind], body, "", "", Document(body, {}))
    return gathering.playbook()


def _files(folder: Path) -> list[Path]:
    found = (p for pattern in ("*.yaml", "*.yml") for p in folder.rglob(pattern))
    return sorted(p for p in found if not any(part.startswith(".") for part in p.relative_to(folder).parts))


def read_file(path: Path, file: str) -> Document:
    """A file's plain data and lines. Raises DefinitionError when it cannot be read."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise DefinitionError(problem("cannot be read: {what}", what=error.strerror or error), file=file) from None
    return read_document(raw, file)


MOST_MISTAKES = 200
"""of a playbook that are collected; what stands after them is not read"""


class _Gathering:
    """Collects definitions and mistakes while the files are read."""

    def __init__(self, zone: ZoneInfo | None) -> None:
        self.zone = zone
        self.errors: list[DefinitionError] = []
        self.found: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
        self.singles: dict[str, Any] = {}
        self.sources: dict[str, tuple[str, int]] = {}
        self.bodies: dict[str, Any] = {}
        self.lines: dict[str, dict[str, int]] = {}
        self.inside: dict[str, dict[str, int]] = {}
        """of the document being read: definition (`segments[0]`) → the lines of the fields in it"""

    def playbook(self) -> Playbook:
        if self.errors:
            raise PlaybookErrors(self.errors)
        apart = {CONTACT, CURRENCIES}
        definitions: dict[str, Any] = self.found | {name: self.singles[name] for name in apart & self.singles.keys()}
        scores = {name: settings for name, settings in self.singles.items() if name not in apart}
        return Playbook(**definitions, scores=scores, sources=self.sources, bodies=self.bodies, lines=self.lines)

    def file(self, path: Path, file: str) -> None:
        try:
            self._document(read_file(path, file), file)
        except DefinitionError as error:
            self.errors.append(error)

    def text(self, raw: bytes, file: str) -> None:
        try:
            self._document(read_document(raw, file), file)
        except DefinitionError as error:
            self.errors.append(error)

    def _document(self, document: Document, file: str) -> None:
        if document.data is None:
            return
        if not isinstance(document.data, dict):
            self._mistake(problem("expected sections such as segments: or lifecycles: at the top"), "", file, document)
            return
        self.inside = {}
        for path, line in document.lines.items():
            start, _, rest = path.partition(".")
            self.inside.setdefault(start, {})[rest] = line
        for key, section in document.data.items():
            if len(self.errors) >= MOST_MISTAKES:
                return
            if key in singles():
                self.single(key, section, file, document)
            elif key in SECTIONS:
                self._section(key, section, file, document)
            elif key not in top_keys():
                message = problem("“{key}” is no section of a playbook.", near=nearest(key, top_keys()[:-1]), key=key)
                self._mistake(message, key, file, document)

    def _section(self, section: str, entries: Any, file: str, document: Document) -> None:
        if entries is None:
            return
        if not isinstance(entries, list):
            self._mistake(problem("expected a list: each entry starts with “- id:”"), section, file, document)
            return
        for n, entry in enumerate(entries):
            if len(self.errors) >= MOST_MISTAKES:
                return
            self.entry(section, entry, f"{section}[{n}]", file, document)

    def entry(self, section: str, data: Any, at: str, file: str, document: Document) -> None:
        """One definition: read, checked against those before it, kept."""
        kind, reader = SECTIONS[section]
        try:
            definition = reader(data, self.zone, at)
        except DefinitionError as error:
            first = self._placed(error, file, document)
            self.errors.append(first)
            if section == "lifecycles":
                self._other_stages(data, at, file, document, first)
            return
        key = f"{kind}/{definition.id}"
        if key in self.sources:
            there, line = self.sources[key]
            self._mistake(
                problem(
                    "the {kind} “{id}” is already defined in {there}:{line}",
                    kind=kind,
                    id=definition.id,
                    there=there,
                    line=line,
                ),
                f"{at}.id",
                file,
                document,
            )
            return
        self.found[section][definition.id] = definition
        self._register(key, data, at, file, document)

    def single(self, name: str, data: Any, file: str, document: Document) -> None:
        try:
            found = singles()[name](data, name)
        except DefinitionError as error:
            self.errors.append(self._placed(error, file, document))
            return
        if name in self.singles:
            there, line = self.sources[name]
            self._mistake(
                problem("“{name}” is already defined in {there}:{line}", name=name, there=there, line=line),
                name,
                file,
                document,
            )
            return
        self.singles[name] = found
        self._register(name, data, name, file, document)

    def _register(self, key: str, data: Any, at: str, file: str, document: Document) -> None:
        self.sources[key] = (file, document.line(at) or 1)
        self.bodies[key] = data
        self.lines[key] = {path: line for path, line in self.inside.get(at, {}).items() if path}

    def _other_stages(self, data: Any, at: str, file: str, document: Document, first: DefinitionError) -> None:
        """Reading a lifecycle stops at its first mistake; its stages are read one by one for the others."""
        stages = data.get("stages") if isinstance(data, dict) else None
        for n, stage in enumerate(stages if isinstance(stages, list) else []):
            try:
                parse_lifecycle({"id": "stage", "stages": [stage]}, self.zone, at)
            except DefinitionError as error:
                path = error.field.replace(f"{at}.stages[0]", f"{at}.stages[{n}]", 1)
                if (path, error.reason) != (first.field, first.reason):
                    self._mistake(error.problem, path, file, document)

    def _mistake(self, message: object, path: str, file: str, document: Document) -> None:
        self.errors.append(DefinitionError(message, field=path, file=file, line=document.line(path)))

    def _placed(self, error: DefinitionError, file: str, document: Document) -> DefinitionError:
        return DefinitionError(error.problem, field=error.field, file=file, line=document.line(error.field))
