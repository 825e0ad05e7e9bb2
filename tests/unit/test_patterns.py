"""Regular expressions of Python's `re` take time in proportion to their text, whoever wrote it.

Each one in the source is found, and measured on texts made of what it looks for: whatever takes the square of the
length there must be listed, with the length its texts are cut to before, and is then measured at that length.
"""

from __future__ import annotations

import ast
import re
import re._constants as kinds  # type: ignore[import-not-found,unused-ignore]
import re._parser as parser  # type: ignore[import-not-found,unused-ignore]
import time
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "keepers"
_CALLS = frozenset({"compile", "match", "search", "fullmatch", "sub", "subn", "split", "findall", "finditer"})
_SHORT, _LONG = 2_000, 8_000
_STEEP = 8
"""how much more the longer text, of four times the length, may take: its square takes 16 times as long"""
_FREE = 2.0
"""what may be spent on the longer text without a look at the shorter, in times of the yardstick"""
_MOST = 60.0
"""what a listed pattern may take at its largest text, in times of the yardstick"""
MADE = {
    "channels/email/channel.py": "four patterns of words written there; an answer of a server has 512 bytes a line",
    "channels/email/reply_codes.py": "codes written there; texts are cut to 4,000 characters",
    "channels/email/reply_words.py": "words written there, joined; texts are cut to 4,000 characters",
    "delivery/machine_rules.py": "words written there, joined; a user agent is cut when it is stored",
    "model/json_text.py": "a string of JSON, which ends with its text, or a sign",
    "model/structs.py": "patterns of fields, written in the source",
    "playbook/shipped/install.py": "over templates that ship",
    "render/address_finding.py": "the name of a host, with what may stand before it",
    "render/assemble.py": "a word of letters and a number",
    "render/link_hosts.py": "the name of a host",
    "warehouse/zone_offsets.py": "over names of time zones",
}
"""modules that put patterns together, and of what"""


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="re"), attr=name)) if name in _CALLS:
                yield node


def literal(call: ast.Call) -> re.Pattern[Any] | None:
    """The pattern that a call is written with, or None when it is made of parts."""
    try:
        text = ast.literal_eval(call.args[0])
    except ValueError:
        return None
    flags = 0
    for part in [*call.args[1:], *(keyword.value for keyword in call.keywords)]:
        names = [n.attr for n in ast.walk(part) if isinstance(n, ast.Attribute)]
        for name in names:
            flags |= getattr(re, name, 0) if name.isupper() else 0
    return re.compile(text, flags)


@cache
def written() -> dict[tuple[str, str], re.Pattern[Any]]:
    """(module, pattern) → every pattern of the source, with those that modules have made when they are loaded."""
    found: dict[tuple[str, str], re.Pattern[Any]] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        module = str(path.relative_to(SOURCE))
        made = list(calls(ast.parse(path.read_text(encoding="utf-8"))))
        patterns = [pattern for call in made if (pattern := literal(call)) is not None]
        if len(patterns) < len(made):
            loaded = import_module("keepers." + module.removesuffix(".py").replace("/", "."))
            held = list(vars(loaded).values())
            for value in held:
                if isinstance(value, tuple):
                    held += [part for one in value for part in (one if isinstance(one, tuple) else (one,))]
            patterns += [value for value in held if isinstance(value, re.Pattern)]
        found.update({(module, str(pattern.pattern)): pattern for pattern in patterns})
    return found


def sample(node: Any) -> str:
    """A text that a part of a pattern matches, as short as may be."""
    kind, value = node
    match kind:
        case kinds.LITERAL:
            return chr(value)
        case kinds.NOT_LITERAL:
            return "a" if value != ord("a") else "b"
        case kinds.ANY:
            return "a"
        case kinds.IN:
            return next(c for c in "a1 .-@<\"'/\n:;Zx_" + "".join(map(chr, range(33, 300))) if is_in(c, value))
        case kinds.BRANCH:
            return "".join(map(sample, value[1][0]))
        case kinds.SUBPATTERN:
            return "".join(map(sample, value[3]))
        case kinds.MAX_REPEAT | kinds.MIN_REPEAT:
            return "".join(map(sample, value[2])) * max(value[0], 1)
        case _:
            return ""


def is_in(character: str, parts: Any) -> bool:
    tree = parser.parse("[a]")
    tree.data = [(kinds.IN, parts)]
    code = import_module("re._compiler").compile(tree)  # the parsed class alone as a pattern
    return code.match(character) is not None


def pieces(nodes: Any) -> Iterator[str]:
    """Samples of a pattern's parts, alone and with those before them, at every depth."""
    before = ""
    for node in nodes:
        kind, value = node
        own = sample(node)
        yield own
        before += own
        yield before
        match kind:
            case kinds.BRANCH:
                for branch in value[1]:
                    yield from pieces(branch)
            case kinds.SUBPATTERN:
                yield from pieces(value[3])
            case kinds.MAX_REPEAT | kinds.MIN_REPEAT:
                yield from pieces(value[2])


def texts(pattern: re.Pattern[Any], length: int) -> Iterator[Any]:
    tree = parser.parse(pattern.pattern, pattern.flags & ~re.UNICODE if isinstance(pattern.pattern, bytes) else 0)
    units = sorted({piece for piece in pieces(tree) if piece})[:16]
    starts = sorted({"", *units[:1]})
    for unit in units:
        for start in starts:
            text = (start + unit * (length // len(unit)))[:length] + "\x00"
            yield text.encode("latin-1", "replace") if isinstance(pattern.pattern, bytes) else text


def seconds(pattern: re.Pattern[Any], text: Any) -> float:
    start = time.process_time()
    pattern.fullmatch(text)
    for _ in pattern.finditer(text):
        pass
    return time.process_time() - start


@cache
def yardstick() -> float:
    """Processor time that this machine takes to look through a million characters: about 20 ms on one of 2020."""
    letters = re.compile("[b-z]+")
    return min(seconds(letters, "a" * 1_000_000) for _ in range(5))


def is_steep(pattern: re.Pattern[Any]) -> bool:
    """Whether four times the text takes far more than four times the processor time."""
    free = _FREE * yardstick()
    for short, long in zip(texts(pattern, _SHORT), texts(pattern, _LONG), strict=True):
        spent = min(seconds(pattern, long) for _ in range(3)) if seconds(pattern, long) > free else 0.0
        if spent > free and spent > _STEEP * min(seconds(pattern, short) for _ in range(3)):
            return True
    return False


_REPLY = (4000, "texts of servers are cut to 4,000 characters")
_DURATION = (100, "durations are cut to 100 characters")
LISTED: dict[tuple[str, str], tuple[int, str]] = {
    ("channels/email/reply_codes.py", ""): _REPLY,
    ("channels/email/reply_reasons.py", ""): _REPLY,
    ("channels/email/reply_words.py", ""): _REPLY,
    ("delivery/machine_rules.py", ""): (1000, "user agents are cut when a request is taken"),
    ("model/moments.py", ""): _DURATION,
}
_TEMPLATE = "over a template of 200,000 bytes at most; tests/attack/test_definitions.py compiles the worst of them"
GUARDED = {
    "playbook/shipped/starter_texts.py": "over templates that ship",
    "render/assemble.py": _TEMPLATE,
    "render/mjml.py": _TEMPLATE,
    "render/outbound.py": "only matched at the beginning of an address",
}
"""modules whose patterns are given no text that is slow for them, and why"""
"""(module, beginning of the pattern) → the largest text it is given, and what cuts it"""


def listed(module: str, pattern: str) -> tuple[int, str] | None:
    return next((what for (m, start), what in LISTED.items() if m == module and pattern.startswith(start)), None)


def test_every_pattern_takes_time_in_proportion_or_is_listed() -> None:
    steep = [
        key for key, pattern in written().items() if key[0] not in GUARDED and not listed(*key) and is_steep(pattern)
    ]
    assert [(m, p[:40]) for m, p in steep] == []


def test_patterns_made_of_parts_are_listed() -> None:
    found = {
        str(path.relative_to(SOURCE))
        for path in sorted(SOURCE.rglob("*.py"))
        if any(literal(call) is None for call in calls(ast.parse(path.read_text(encoding="utf-8"))))
    }
    assert found == MADE.keys()


def test_nothing_is_listed_that_is_not_there() -> None:
    assert [key for key in LISTED if not any(m == key[0] and p.startswith(key[1]) for m, p in written())] == []


@pytest.mark.parametrize("key", LISTED, ids=lambda key: f"{key[0]}: {key[1]}")
def test_a_listed_pattern_at_its_largest_text_takes_little(key: tuple[str, str]) -> None:
    size, _ = LISTED[key]
    for (module, text), pattern in written().items():
        if module == key[0] and text.startswith(key[1]):
            for worst in texts(pattern, size):
                assert min(seconds(pattern, worst) for _ in range(2)) < _MOST * yardstick()


@pytest.mark.parametrize("text", [r"\s*\n", r"<x.*?</x>"])
def test_a_steep_pattern_is_found(text: str) -> None:
    assert is_steep(re.compile(text, re.DOTALL))


@pytest.mark.parametrize("text", [r"[^a-z]+", r"^\d{1,9}$", r"a{0,5}b", r"<[a-z]+>", r"^[a-z]+:"])
def test_a_flat_pattern_is_not(text: str) -> None:
    assert not is_steep(re.compile(text))


def test_calls_of_re_are_found_with_their_flags() -> None:
    (one, two) = calls(ast.parse("re.sub('a', 'b', c, flags=re.I)\nre.compile(x, re.M)\nnot_re.match('a')"))
    found = literal(one)
    assert found is not None
    assert found.flags & re.I
    assert literal(two) is None
