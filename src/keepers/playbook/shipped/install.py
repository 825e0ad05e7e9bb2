"""Copies shipped lifecycle templates, and the derived events they need, into a workspace's playbook."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from keepers.model.errors import ConflictError, problem
from keepers.playbook.load import Playbook, load
from keepers.playbook.shipped.lifecycles import FOLDER, VOCABULARY, needed, shipped, template, template_text
from keepers.playbook.yaml_nodes import Document, read_document

_ANCHOR = re.compile(r"&(\w+) (\[[^\]]*\])")


def install(folder: Path, lifecycles: Iterable[str]) -> list[Path]:
    """Copies templates and the words they need into a playbook folder; gives the files written.

    Words the folder defines already are left as they are. Nothing is written when a template is unknown
    (NotFoundError), is there already (ConflictError), or the folder cannot be read (PlaybookErrors).
    """
    chosen = [template(name) for name in dict.fromkeys(lifecycles)]
    present = load(folder) if folder.is_dir() else Playbook()
    for name in (name for t in chosen for name in t.lifecycles):
        if name in present.lifecycles:
            there, line = present.place(f"lifecycle/{name}")
            raise ConflictError(
                problem(
                    "The playbook has a lifecycle “{name}” already, in {there}:{line}. Edit it there.",
                    name=name,
                    there=there,
                    line=line,
                )
            )
    has = {key.replace("/", ":", 1) for key in present.sources}
    missing = needed(name for t in chosen for name in t.lifecycles) - has
    texts: dict[Path, str] = {}
    words = {node for node in missing if not node.startswith("lifecycle:")}
    if words:
        texts[vocabulary_file(folder, chosen[0].id if chosen else "more")] = only(words)
    for name in sorted(node.removeprefix("lifecycle:") for node in missing - words):
        source = Path(shipped().place(f"lifecycle/{name}")[0]).name
        texts[folder / source] = _without_about(template_text(FOLDER / source))
    for path in texts:
        if path.exists():
            raise ConflictError(problem("{path} is there already; move it away first.", path=path))
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    return list(texts)


def vocabulary_file(folder: Path, reason: str) -> Path:
    """The vocabulary's file, or one beside it: what a marketer has edited is never written over."""
    first = folder / VOCABULARY
    return folder / f"vocabulary-{reason}.yaml" if first.exists() else first


def only(kept: set[str]) -> str:
    """The vocabulary's text with only some definitions, each with the comment above it."""
    whole = template_text(FOLDER / VOCABULARY)
    lines = whole.splitlines()
    document = read_document(whole.encode(), VOCABULARY)
    dropped: set[int] = set()
    for section in ("events", "segments"):
        kind = section.removesuffix("s")
        for start, end, name in _entries(lines, document, section):
            if f"{kind}:{name}" not in kept:
                dropped.update(range(start, end))
    text = "\n".join(line for n, line in enumerate(lines) if n not in dropped) + "\n"
    for section in ("events", "segments"):
        text = re.sub(rf"(?m)^{section}:\n+(?=[^\s]|\Z)", "", text)
    # Lists that are written once and repeated: written out where their first place was left out.
    for anchor, value in _ANCHOR.findall(whole):
        if f"&{anchor} " not in text:
            text = re.sub(rf"\*{anchor}\b", value, text)
    return text.rstrip() + "\n"


def _entries(lines: list[str], document: Document, section: str) -> Iterator[tuple[int, int, str]]:
    """Of each entry of a section: its first line with the comment above, the line after it, its id."""
    entries = document.data[section]
    starts = [_with_comment(lines, (document.line(f"{section}[{n}]") or 1) - 1) for n in range(len(entries))]
    after = range(starts[-1], len(lines))
    section_end = next((n for n in after if lines[n] and not lines[n].startswith(" ")), len(lines))
    for start, end, entry in zip(starts, [*starts[1:], section_end], entries, strict=True):
        yield start, end, entry["id"]


def _with_comment(lines: list[str], n: int) -> int:
    while n > 0 and lines[n - 1].startswith("  #"):
        n -= 1
    return n


def _without_about(text: str) -> str:
    """A template's text without the block that says what the template is."""
    return re.sub(r"(?ms)^template:\n.*?(?=^\S)", "", text)
