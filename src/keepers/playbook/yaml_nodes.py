"""YAML as plain data with the line of every field: strict, bounded, and without YAML 1.1's surprises.

Scalars follow the YAML 1.2 core schema (only true and false are booleans, so that `country: NO` is Norway;
007 and 12:30 stay text), with ISO 8601 dates and times kept as dates.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

import yaml
from msgspec import Struct

from keepers.model.errors import DefinitionError, Problem, problem

MAX_BYTES = 2_000_000
MAX_NODES = 200_000
MAX_DEPTH = 60
MAX_KEY = 500
"""characters of a field's name"""
MAX_PATHS = 64_000_000
"""characters of all fields' paths together, which repeat the names of all fields around them"""
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,300})")
_FLOAT = re.compile(r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_TIME = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d(?::?\d\d)?)?)?")
_STR_TAG = "tag:yaml.org,2002:str"


class Document(Struct, frozen=True):
    """A file's plain data and, for every field path (`segments[0].who.all[1]`), the line it stands on."""

    data: Any
    lines: dict[str, int]

    def line(self, path: str) -> int | None:
        """The line of a field, or of the nearest field around it."""
        while path and path not in self.lines:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.lines.get(path)


def read_document(raw: bytes, file: str) -> Document:
    """One YAML document. Raises DefinitionError with file and line for whatever cannot be read."""
    if len(raw) > MAX_BYTES:
        raise DefinitionError(
            problem(
                "the file is larger than {most} MB; split it, or import lists as traits", most=MAX_BYTES // 1000000
            ),
            file=file,
        )
    if b"\x00" in raw:
        raise DefinitionError(problem("this is a binary file, not YAML text"), file=file)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise DefinitionError(problem("the file is not UTF-8; save it as UTF-8"), file=file, line=line) from None
    builder = _Builder(file)
    try:
        return builder.document(iter(yaml.parse(text, Loader=_LOADER)))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = " ".join(p for p in (error.context, error.problem) if p)
        raise DefinitionError(
            problem("not valid YAML: {what}", what=what), file=file, line=mark.line + 1 if mark else None
        ) from None
    except yaml.YAMLError as error:
        raise DefinitionError(problem("not valid YAML: {what}", what=str(error).splitlines()[0]), file=file) from None


class _Builder:
    """Builds data straight from parser events, so that depth and size are bounded before anything is made."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.lines: dict[str, int] = {}
        self.anchors: dict[str, tuple[Any, int] | None] = {}
        self.nodes = 0
        self.path_room = MAX_PATHS

    def document(self, events: Iterator[Any]) -> Document:
        data: Any = None
        seen = False
        for event in events:
            if isinstance(event, yaml.StreamStartEvent | yaml.StreamEndEvent | yaml.DocumentEndEvent):
                continue
            if isinstance(event, yaml.DocumentStartEvent):
                if seen:
                    raise self._error(problem("a second document starts here; put it in a file of its own"), event)
                seen = True
                continue
            data = self._node(event, events, "", 0)
        return Document(data, self.lines)

    def _error(self, message: Problem, event: Any, path: str = "") -> DefinitionError:
        return DefinitionError(message, file=self.file, line=_line(event), field=path)

    def _count(self, nodes: int, event: Any) -> None:
        self.nodes += nodes
        if self.nodes > MAX_NODES:
            raise self._error(
                problem("more than {max_nodes:,} values, aliases counted as what they repeat", max_nodes=MAX_NODES),
                event,
            )

    def _set_line(self, path: str, event: Any) -> None:
        if path in self.lines:
            return
        self.path_room -= len(path)
        if self.path_room < 0:
            raise self._error(problem("the names of fields inside each other are too long"), event, path[:80])
        self.lines[path] = _line(event)

    def _node(self, event: Any, events: Iterator[Any], path: str, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise self._error(problem("nested deeper than {max_depth} levels", max_depth=MAX_DEPTH), event, path[:80])
        self._set_line(path, event)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, path)
        before = self.nodes
        self._count(1, event)
        if event.anchor:
            self.anchors[event.anchor] = None
        if isinstance(event, yaml.ScalarEvent):
            data = self._scalar(event, path)
        elif event.tag not in (None, "!"):
            raise self._error(
                problem("the tag {tag} is not used in playbooks; leave it out", tag=event.tag), event, path
            )
        elif isinstance(event, yaml.SequenceStartEvent):
            data = self._list(events, path, depth)
        else:
            data = self._mapping(events, path, depth)
        if event.anchor:
            self.anchors[event.anchor] = (data, self.nodes - before)
        return data

    def _alias(self, event: Any, path: str) -> Any:
        if event.anchor not in self.anchors:
            raise self._error(
                problem("*{anchor} repeats nothing: there is no &{anchor} before it", anchor=event.anchor), event, path
            )
        known = self.anchors[event.anchor]
        if known is None:
            raise self._error(problem("*{anchor} contains itself", anchor=event.anchor), event, path)
        self._count(known[1], event)
        return known[0]

    def _list(self, events: Iterator[Any], path: str, depth: int) -> list[Any]:
        items: list[Any] = []
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            items.append(self._node(event, events, f"{path}[{len(items)}]", depth + 1))
        return items

    def _mapping(self, events: Iterator[Any], path: str, depth: int) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            if not isinstance(event, yaml.ScalarEvent):
                raise self._error(problem("a field's name must be a plain text"), event, path)
            self._count(1, event)
            key = event.value
            if len(key) > MAX_KEY:
                raise self._error(
                    problem("a field's name is longer than {max_key} characters", max_key=MAX_KEY), event, path[:80]
                )
            here = f"{path}.{key}" if path else key
            if key in fields:
                raise self._error(
                    problem("“{key}” is written twice, first on line {line}", key=key, line=self.lines[here]),
                    event,
                    here,
                )
            self._set_line(here, event)
            fields[key] = self._node(next(events), events, here, depth + 1)
        return fields

    def _scalar(self, event: Any, path: str) -> Any:
        if event.tag not in (None, "!", _STR_TAG):
            raise self._error(
                problem("the tag {tag} is not used in playbooks; leave it out", tag=event.tag), event, path
            )
        plain = event.tag is None and event.implicit[0]
        return plain_value(event.value) if plain else event.value


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def plain_value(text: str) -> Any:
    """What an unquoted scalar means."""
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in ("true", "True", "TRUE"):
        return True
    if text in ("false", "False", "FALSE"):
        return False
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if text.lower() in (".nan", ".inf", "+.inf", "-.inf"):
        return math.nan if text.lower() == ".nan" else float(text.replace(".", ""))
    if _TIME.fullmatch(text):
        try:
            return date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text)
        except ValueError:
            return text  # no such day: the field that reads it says what it expects
    return text
