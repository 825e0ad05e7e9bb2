"""The texts of the starter journeys: English in their files, every language of the catalogues in a workspace.

A file holds names, descriptions and the content of messages and snippets in English alone. Its texts are message ids of
the catalogues: a name whole, a body line by line, without the tags around a line. Texts are Liquid.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import IO, Any, NamedTuple

import yaml

from keepers.i18n.catalogues import LIQUID, SOURCE, TextId, gettext, is_translated
from keepers.playbook.shipped.texts import entry, yaml_scalar

_ID = re.compile(r"^  - (?:\{)?id: (?P<id>[\w-]+)")
_NAMED = re.compile(r"^(?P<start>    (?P<field>name|description):) (?P<value>\S.*)$")
_CONTENT = "    content:"
_ENGLISH = f"      {SOURCE}:"
_FIELD = re.compile(r"^(?P<start>        (?P<field>\w+):) (?P<value>.*)$")
_OPEN = re.compile(r"<(?P<tag>[a-z][\w-]*)(?:[^<>\"]|\"[^\"]*\")*(?<!/)>")
_CLOSE = re.compile(r"</(?P<tag>[a-z][\w-]*)>")
_BREAK = re.compile(r"<br\s*/?>")
_MARKUP = re.compile(r"<[^>]*>|\{%.*?%\}|\{\{.*?\}\}|&\w+;", re.DOTALL)
_ARGUMENT = re.compile(r"\w+: '[^']*[\sA-Z][^']*'")
"""a text as an argument of a Liquid tag; ids that are arguments hold neither spaces nor capitals"""


class TextSlot(NamedTuple):
    """A text in a line: what stands before and after it, and whether it is a YAML scalar or a line of a block."""

    line: int
    text: TextId
    start: str
    end: str
    is_scalar: bool


class ContentBlock(NamedTuple):
    """The English content of a message or snippet: its lines [first, after) and their texts."""

    first: int
    after: int
    slots: tuple[TextSlot, ...]


def starter_texts(template: str) -> Iterator[tuple[int, TextId]]:
    """Each text of a starter's YAML, with its line from 0."""
    for part in _parts(template.splitlines()):
        yield from ((slot.line, slot.text) for slot in (part.slots if isinstance(part, ContentBlock) else (part,)))


def translated_starter(template: str, languages: Iterable[str]) -> str:
    """A starter's YAML with each text in those of some languages that have it, all else as it is written.

    The content of a message or snippet is written in a language only where all of it is translated.
    """
    wanted = tuple(languages)
    lines = template.splitlines()
    written: list[str] = []
    position = 0
    for part in _parts(lines):
        if isinstance(part, ContentBlock):
            written += lines[position : part.first]
            written += [_in_language(lines, part, one) for one in wanted if _is_whole(part, one)]
            position = part.after
        else:
            written += lines[position : part.line]
            written.append(entry(part.start, {o: gettext(part.text, o) for o in wanted if is_translated(part.text, o)}))
            position = part.line + 1
    return "\n".join([*written, *lines[position:]]) + "\n"


def extract(
    file: IO[bytes], keywords: Any, tags: Any, options: Any
) -> Iterator[tuple[int, str, tuple[str, str], list[str]]]:
    """For Babel: the texts as calls of `text_id`."""
    for number, text in starter_texts(file.read().decode()):
        yield number + 1, "text_id", (text.context, text.english), []


def _is_whole(block: ContentBlock, language: str) -> bool:
    return all(is_translated(slot.text, language) for slot in block.slots)


def _in_language(lines: list[str], block: ContentBlock, language: str) -> str:
    written = [lines[block.first].replace(_ENGLISH, f"      {language}:", 1), *lines[block.first + 1 : block.after]]
    for slot in block.slots:
        text = slot.start + gettext(slot.text, language).replace("\n", " ") + slot.end
        line = written[slot.line - block.first]
        key = line[: len(line) - len(line.lstrip())] + line.lstrip().partition(": ")[0] + ": "
        written[slot.line - block.first] = key + yaml_scalar(text) if slot.is_scalar else text
    return "\n".join(written)


def _parts(lines: list[str]) -> Iterator[TextSlot | ContentBlock]:
    name = ""
    number = 0
    while number < len(lines):
        line = lines[number]
        if found := _ID.match(line):
            name = found["id"]
        elif named := _NAMED.match(line):
            text = _text(name, named["field"], str(yaml.safe_load(named["value"])))
            yield TextSlot(number, text, named["start"], "", True)
        elif line == _CONTENT and lines[number + 1].startswith(_ENGLISH):
            after = next((n for n in range(number + 2, len(lines)) if not lines[n].startswith(" " * 8)), len(lines))
            yield ContentBlock(number + 1, after, tuple(_slots(lines, number + 1, after, name)))
            number = after - 1
        number += 1


def _slots(lines: list[str], first: int, after: int, name: str) -> Iterator[TextSlot]:
    value = lines[first].removeprefix(_ENGLISH).strip()
    field, is_block, has_fields = "content", value == "|", value == ""
    if not is_block and not has_fields:
        yield from _scalar(first, name, field, value)
    for number in range(first + 1, after):
        if has_fields and (found := _FIELD.match(lines[number])):
            field, is_block = found["field"], found["value"] == "|"
            if not is_block:
                yield from _scalar(number, name, field, found["value"])
        elif is_block:
            start, english, end = split_line(lines[number])
            if has_words(english):
                yield TextSlot(number, _text(name, field, english), start, end, False)


def _scalar(number: int, name: str, field: str, value: str) -> Iterator[TextSlot]:
    start, english, end = split_line(str(yaml.safe_load(value)))
    if has_words(english):
        yield TextSlot(number, _text(name, field, english), start, end, True)


def _text(name: str, field: str, english: str) -> TextId:
    return TextId(f"{LIQUID}{name}.{field}", english)


def has_words(text: str) -> bool:
    """Whether a text has anything to translate beside its markup."""
    return bool(_MARKUP.sub("", text).strip()) or _ARGUMENT.search(text) is not None


def split_line(line: str) -> tuple[str, str, str]:
    """Indentation and tags before a line's text, the text, and the tags after it; tags within stay part of the text."""
    start = line[: len(line) - len(line.lstrip())]
    text, end = line.strip(), ""
    while True:
        opened, closed = _OPEN.match(text), next((m for m in _CLOSE.finditer(text) if m.end() == len(text)), None)
        if broken := next((m for m in _BREAK.finditer(text) if m.end() == len(text)), None):
            text, end = text[: broken.start()], broken.group() + end
        elif closed and _count(_OPEN, text, closed["tag"]) < _count(_CLOSE, text, closed["tag"]):
            text, end = text[: closed.start()], closed.group() + end
        elif opened and _count(_OPEN, text, opened["tag"]) > _count(_CLOSE, text, opened["tag"]):
            text, start = text[opened.end() :], start + opened.group()
        elif opened and closed and _is_around(text, opened["tag"]) and opened["tag"] == closed["tag"]:
            text, start, end = text[opened.end() : closed.start()], start + opened.group(), closed.group() + end
        else:
            return start, text, end


def _count(tags: re.Pattern[str], text: str, name: str) -> int:
    return sum(1 for found in tags.finditer(text) if found["tag"] == name)


def _is_around(text: str, name: str) -> bool:
    """Whether the first and the last tag of a text belong together: nothing between them is outside of both."""
    found = [(m.start(), 1) for m in _OPEN.finditer(text) if m["tag"] == name]
    found += [(m.start(), -1) for m in _CLOSE.finditer(text) if m["tag"] == name]
    depth = 0
    for position, (_, step) in enumerate(sorted(found)):
        depth += step
        if depth == 0 and position < len(found) - 1:
            return False
    return depth == 0
