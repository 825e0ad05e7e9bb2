"""The texts of shipped lifecycle templates: English in the files, every language of the catalogues in a workspace."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any

import yaml

from keepers.i18n.catalogues import TextId, gettext, is_translated

CONTEXT = "template"
_TEXT = re.compile(r"^(?P<start>\s*(?:- )?(?:name|description):) (?P<text>[^{].*)$")
_LIST = re.compile(r"^(?P<indent>\s*)(?:needs|signals|touchpoints|metrics):$")
_ITEM = re.compile(r"^(?P<start>\s*-) (?P<text>\S.*)$")
_WIDTH = 120
_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
"""libyaml's, where PyYAML was built with it: five times as fast"""


def written_texts(template: str) -> Iterator[tuple[int, str, str]]:
    """Each text of a template's YAML: the number of its line from 0, what stands before it, the English."""
    inside: int | None = None
    for number, line in enumerate(template.splitlines()):
        indent = len(line) - len(line.lstrip())
        if inside is not None and line.strip() and indent <= inside:
            inside = None
        match = _ITEM.match(line) if inside is not None else _TEXT.match(line)
        if match:
            yield number, match["start"], str(yaml.safe_load(match["text"]))
        elif found := _LIST.match(line):
            inside = len(found["indent"])


def translated(template: str, languages: Iterable[str]) -> str:
    """A template's YAML with each text in those of some languages that have it, all else as it is written."""
    wanted = tuple(languages)
    lines = template.splitlines()
    for number, start, english in written_texts(template):
        text = TextId(CONTEXT, english)
        lines[number] = entry(start, {one: gettext(text, one) for one in wanted if is_translated(text, one)})
    return "\n".join(lines) + "\n"


def extract(
    file: IO[bytes], keywords: Any, tags: Any, options: Any
) -> Iterator[tuple[int, str, tuple[str, str], list[str]]]:
    """For Babel: the texts as calls of `text_id`."""
    for number, _, english in written_texts(file.read().decode()):
        yield number + 1, "text_id", (CONTEXT, english), []


def entry(start: str, texts: Mapping[str, str]) -> str:
    """A text per language: on one line where it fits, else a line each."""
    line = f"{start} {yaml_scalar(dict(texts), flow=True)}"
    if len(line) <= _WIDTH:
        return line
    if start.endswith("-"):
        indent = " " * (len(start) + 1)
        first, *rest = (f"{language}: {yaml_scalar(text)}" for language, text in texts.items())
        return "\n".join([f"{start} {first}", *(f"{indent}{one}" for one in rest)])
    indent = " " * (len(start) - len(start.lstrip()) + (4 if start.lstrip().startswith("- ") else 2))
    return "\n".join([start, *(f"{indent}{language}: {yaml_scalar(text)}" for language, text in texts.items())])


def yaml_scalar(value: object, flow: bool = False) -> str:
    """A value as YAML on one line."""
    written: str = yaml.dump(
        value, Dumper=_DUMPER, allow_unicode=True, width=10_000, sort_keys=False, default_flow_style=flow
    )
    return written.strip().removesuffix("\n...")
