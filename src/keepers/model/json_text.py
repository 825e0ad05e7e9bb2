"""Inspects JSON text without recursion: nesting depth, positions of its parts, errors; and how much may be sent.

The decoder answers for JSON that is right. This is for what it refuses: one bad item must not cost the whole
batch, and text nested a hundred thousand deep must not depend on how much stack happens to be left.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from math import isinf
from typing import Final

from msgspec import Struct

from keepers.model.errors import Problem, problem

# A string that is never closed is read to the end once, and not again from each quotation mark in it.
_TEXT = rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)'
_TOKEN = re.compile(_TEXT + rb"|[\[\]{},:]", re.DOTALL)
_NOT_A_NUMBER = re.compile(rb"\b(NaN|Infinity)\b")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_STRING = re.compile(_TEXT, re.DOTALL)
_ALL_ZERO = bytes.maketrans(b"123456789", b"000000000")
_HUGE = b"0" * 309
HALF_PAIR = problem("A text holds half of a surrogate pair (\\ud800–\\udfff). Send whole characters.")
TOO_LARGE = problem("A number is too large to keep. Send it as text.")
_MOST_MEMBERS = 100
_OPENING = frozenset(b"[{")
_CLOSING = frozenset(b"]}")


def is_deeper(text: bytes, limit: int) -> bool:
    """Whether objects and lists nest more than `limit` deep."""
    if text.count(b"{") + text.count(b"[") <= limit:
        return False
    depth = 0
    for token in _TOKEN.finditer(text):
        first = text[token.start()]
        if first in _OPENING:
            depth += 1
            if depth > limit:
                return True
        elif first in _CLOSING:
            depth -= 1
    return False


def has_huge_number(text: bytes) -> bool:
    """Whether a whole number has 309 digits or more, which no 64-bit float can hold."""
    if _HUGE not in text.translate(_ALL_ZERO):
        return False
    return _HUGE in _STRING.sub(b"", text).translate(_ALL_ZERO)


def members(text: bytes) -> dict[str, bytes] | None:
    """The values of a top-level object's members, as text, of the first hundred of more; None when it is no object or
    does not end."""
    found: dict[str, bytes] = {}
    parts = _parts(text, b"{}", _MOST_MEMBERS)
    if parts is None:
        return None
    for part in parts:
        key = _STRING.match(part)
        name, colon, value = part.partition(b":") if key is None else (key.group(), *_after(part, key.end()))
        if not colon:
            return None
        found[name.strip(b' "\t\r\n').decode("utf-8", "replace")] = value.strip()
    return found


def elements(text: bytes, most: int) -> list[bytes] | None:
    """The elements of a top-level list, as text, or the first `most` of more; None when it is no list or does not
    end."""
    return _parts(text, b"[]", most)


def reason(text: bytes, error: str) -> Problem:
    """A sentence for the sender about why the decoder refused `text`. The decoder's own `error` is quoted, not read."""
    outside = _NOT_A_NUMBER.search(text)
    if outside and _is_outside_strings(text, outside.start()):
        field = _field_before(text, outside.start()).decode("utf-8", "replace")
        number = outside.group().decode()
        if not field:
            return problem("A value is {number}, which is not a JSON number. Send null or leave it out.", number=number)
        return problem(
            "“{field}” is {number}, which is not a JSON number. Send null or leave it out.", field=field, number=number
        )
    if _SURROGATE.search(text):
        return HALF_PAIR
    if _holds_infinite(text):
        return TOO_LARGE
    if not _is_utf8(text):
        return problem("The text is not UTF-8. Encode the body as UTF-8.")
    return problem("This is not valid JSON: {error}.", error=error)


def _field_before(text: bytes, position: int) -> bytes:
    """The name of the field whose value, or list of values, goes on at a position; empty when there is none."""
    before = text[:position].removesuffix(b"-").rstrip(b"[, \t\r\n")
    if not before.endswith(b":"):
        return b""
    before = before[:-1].rstrip()
    last = None
    for string in _STRING.finditer(before):
        last = string
    return last.group()[1:-1] if last is not None and last.end() == len(before) else b""


def _holds_infinite(text: bytes) -> bool:
    """Whether a number outside strings is beyond a 64-bit float, such as 1e999."""
    return any(isinf(float(number)) for number in _NUMBER.findall(_STRING.sub(b"", text)))


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _after(part: bytes, position: int) -> tuple[bytes, bytes]:
    rest = part[position:].lstrip()
    return rest[:1] if rest[:1] == b":" else b"", rest[1:]


def _is_outside_strings(text: bytes, position: int) -> bool:
    return all(not string.start() < position < string.end() for string in _STRING.finditer(text))


def _parts(text: bytes, brackets: bytes, most: int) -> list[bytes] | None:
    text = text.strip()
    if len(text) < 2 or text[0] != brackets[0] or text[-1] != brackets[1]:
        return None
    cuts = list(islice(_cuts(text), most))
    is_whole = bool(cuts) and cuts[-1] == len(text) - 1
    if not is_whole and len(cuts) != most:
        return None
    starts = [1, *(cut + 1 for cut in cuts[:-1])]
    parts = [text[start:cut].strip() for start, cut in zip(starts, cuts, strict=True)]
    return [] if parts == [b""] else parts


def _cuts(text: bytes) -> Iterator[int]:
    """Positions of the commas of the outermost value, then of its closing bracket."""
    depth = 0
    for token in _TOKEN.finditer(text):
        first = text[token.start()]
        if first in _OPENING:
            depth += 1
        elif first in _CLOSING:
            depth -= 1
            if depth == 0:
                yield token.start()
                return
        elif first == 0x2C and depth == 1:
            yield token.start()


class Limits(Struct, frozen=True):
    """How much one request may hold. The first two are Segment's."""

    event_bytes: int = 32 * 1024
    batch_bytes: int = 500 * 1024
    batch_items: int = 2500
    depth: int = 64
    context_bytes: int = 8 * 1024 * 1024
    """what the context of a batch, which each item takes over, may add to the batch in all"""


LIMITS: Final = Limits()
