"""Searches in mail from outside: every one takes time in proportion to the text, whatever it holds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape

_LOCAL = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+/=?^_`{|}~.-")
_LONGEST_LOCAL = 256
"""characters before @; RFC 5321 allows 64"""
_DOMAIN = re.compile(r"[A-Za-z0-9.\-\u0080-\U0010ffff]*")
_STYLE = re.compile(r"<(?:style|script)", re.I)
_STYLE_END = re.compile(r"</(?:style|script)>", re.I)
_ELEMENT = re.compile(r"</?[a-z][^<>@]*>", re.I)
_LONG_NUMBER = re.compile(r"&#[0-9]{8,};?")
"""no character has such a number, and Python refuses to read one of thousands of digits"""
_STRUCTURED = (b"content-type:", b"content-disposition:")
_MOST_LINES = 20_000
_MOST_STRUCTURED = 2000
"""bytes of a field with parameters, whose reading by Python takes the square of its length"""


def addresses(text: str, start: int = 0) -> Iterator[tuple[int, str]]:
    """Where e-mail addresses begin in a text from `start` on, and the addresses."""
    floor = start
    at = text.find("@", start)
    while at >= 0:
        begin, lowest = at, max(floor, at - _LONGEST_LOCAL)
        while begin > lowest and (text[begin - 1] in _LOCAL or text[begin - 1] >= "\u0080"):
            begin -= 1
        run = _DOMAIN.match(text, at + 1)
        end = run.end() if run is not None else at + 1
        if text[end : end + 1] == "_":
            end += 1
        while end > at + 1 and not (text[end - 1].isalnum() or text[end - 1] == "_"):
            end -= 1
        if begin < at and end > at + 1:
            yield begin, text[begin:end]
            floor = end
        at = text.find("@", at + 1)


def first_address(text: str) -> str:
    """The first e-mail address in a text, or empty."""
    return next((address for _, address in addresses(text)), "")


def without_tags(html: str) -> str:
    """The words of an HTML text, addresses in angle brackets kept; comments, styles and scripts left out."""
    out: list[str] = []
    at, place = 0, html.find("<")
    has_comment_end = has_style_end = True
    while place >= 0:
        end = -1
        if has_comment_end and html.startswith("<!--", place):
            found = html.find("-->", place + 4)
            has_comment_end = found >= 0
            end = found + 3 if has_comment_end else -1
        elif has_style_end and _STYLE.match(html, place):
            closing = _STYLE_END.search(html, place)
            has_style_end = closing is not None
            end = closing.end() if closing is not None else -1
        if end < 0:
            element = _ELEMENT.match(html, place)
            end = element.end() if element is not None else -1
        if end >= 0:
            out += (html[at:place], " ")
            at = end
        place = html.find("<", max(end, place + 1))
    out.append(html[at:])
    return unescape(_LONG_NUMBER.sub(" ", "".join(out)))


def without_excess(data: bytes) -> bytes:
    """The first 20,000 lines of a mail, with fields that have parameters (Content-Type) cut to 2,000 bytes,
    continuation lines included: Python's parser is slow with more."""
    kept: list[bytes] = []
    room = 0
    is_field = False
    for line in data.splitlines(keepends=True)[:_MOST_LINES]:
        if line[:20].lower().startswith(_STRUCTURED):
            is_field, room = True, _MOST_STRUCTURED
        elif line[:1] not in (b" ", b"\t"):
            is_field = False
        if not is_field:
            kept.append(line)
        elif len(line) <= room:
            kept.append(line)
            room -= len(line)
        elif room:
            kept.append(line[:room].rstrip() + b"\n")
            room = 0
    return b"".join(kept)
