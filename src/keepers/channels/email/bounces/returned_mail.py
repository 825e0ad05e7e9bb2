"""What all returned mail has in common: readable parts, the headers of the original, and which message it was."""

from __future__ import annotations

import re
from codecs import lookup
from collections.abc import Iterator, Sequence
from email import message_from_bytes
from email.message import Message
from email.parser import BytesHeaderParser
from itertools import islice
from typing import NamedTuple

from keepers.channels.email.bounces.scanning import without_excess, without_tags
from keepers.channels.email.verp import Verp

MOST_BYTES = 524_288
"""of a mail are read, and the rest left out: bounces state their reason near the beginning"""
_BEGINNING = 65_536
_LONGEST_LIST = 160
"""bytes of a line; the formats that flufl.bounce knows have shorter ones"""
LONGEST = 262_144
"""characters of a part that are read"""
_MOST_PARTS = 50
_SLOW_CHARSETS = frozenset({"punycode", "idna", "unicode_escape", "raw_unicode_escape"})
"""what Python knows under the names of charsets and mail never uses: reading it takes the square of its length"""
_MESSAGE_ID = re.compile(r"^[ >\t]*(?:original-)?message-id:\s*(<[^<>\s]{3,400}>)", re.I | re.M)
_OURS = ("x-keepers-message", "return-path", "message-id", "to")
_DELIVERED_TO = ("to", "delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "apparently-to", "cc")
_OURS_IN_TEXT = re.compile(r"^[ >\t]*(?:x-keepers-message|return-path):[^\n]*", re.I | re.M)


class Returned(NamedTuple):
    """A mail that came back, read once."""

    message: Message
    texts: tuple[str, ...]
    """its readable parts in order"""
    statuses: tuple[str, ...]
    """its machine-readable parts (delivery-status, feedback-report), as text"""
    kind: str
    """report-type of a multipart/report, or empty"""
    original: Message | None
    """the returned message or its headers"""
    beginning: Message
    """the mail, of which all but the first 64 KiB is left out, and commas in lines of more than 160 bytes"""

    def key(self, verp: Verp, recipients: Sequence[str]) -> str:
        """The key of our message: from the address it came to (`recipients` of the envelope, else the headers), or
        from what the original carries. Empty without a token of ours."""
        places = [*recipients]
        places += [str(v) for name in _DELIVERED_TO for v in self.message.get_all(name, [])]
        if self.original is not None:
            places += [str(v) for name in _OURS for v in self.original.get_all(name, [])]
        for text in self.texts:
            places += _OURS_IN_TEXT.findall(text)
        return verp.find(places) or ""

    def message_id(self) -> str:
        """The original's Message-ID with its angle brackets, or empty."""
        if self.original is not None:
            found = re.search(r"<[^<>\s]{3,400}>", str(self.original.get("Message-ID", "")))
            if found:
                return found.group()
        for text in (*self.statuses, *self.texts):
            found = _MESSAGE_ID.search(text)
            if found:
                return found.group(1)
        return ""


def read_returned(data: bytes) -> Returned:
    """Reads a mail however broken it is; never raises. What follows its first 512 KiB is left out."""
    data = data[:MOST_BYTES]
    if b"\n" not in data:
        data = data.replace(b"\r", b"\n")
    if data.startswith(b"From "):
        data = data.partition(b"\n")[2]
    data = without_excess(data)
    message = _parsed(data)
    known = _without_long_lists(data[:_BEGINNING])
    beginning = message if known == data else _parsed(known)
    texts: list[str] = []
    statuses: list[str] = []
    original: Message | None = None
    for part in islice(_parts(message), _MOST_PARTS):
        kind = part.get_content_type()
        if kind in ("message/delivery-status", "message/feedback-report", "message/disposition-notification"):
            statuses.append(_status_text(part))
        elif kind == "message/rfc822" and part is not message:
            payload = part.get_payload() if part.is_multipart() else None
            if isinstance(payload, list) and payload and original is None and isinstance(payload[0], Message):
                original = payload[0]
        elif kind in ("text/rfc822-headers", "message/rfc822-headers", "text/rfc822"):
            original = original or _parsed(without_excess(_decoded(part)))
        elif kind.startswith(("text/", "multipart/")):
            # A multipart without parts has lost its boundary, but not its text.
            text = _text(part)
            texts.append(without_tags(text) if kind == "text/html" else text)
    report = str(message.get_param("report-type") or "").lower()
    return Returned(message, tuple(texts), tuple(statuses), report, original, beginning)


def _without_long_lists(data: bytes) -> bytes:
    """The mail without commas in long lines: flufl.bounce looks for an address between two of them in a time that grows
    with the cube of a line's length."""
    lines = data.splitlines(keepends=True)
    return b"".join(line.replace(b",", b" ") if len(line) > _LONGEST_LIST else line for line in lines)


def _parsed(data: bytes) -> Message:
    """The mail with its parts; with its headers alone when its parts are nested too deeply to be read."""
    try:
        return message_from_bytes(data)
    except RecursionError:
        return BytesHeaderParser().parsebytes(data)


def _parts(message: Message) -> Iterator[Message]:
    """All parts of a mail but not those of the returned message inside it."""
    # Python decodes a payload that is text by the charset it names, however slow that is.
    payload = message.get_payload() if message.is_multipart() else None
    if message.get_content_type().startswith("multipart/") and isinstance(payload, list):
        for part in payload:
            if isinstance(part, Message):
                yield from _parts(part)
    else:
        yield message


def _status_text(part: Message) -> str:
    """Blocks of fields separated by an empty line. Python has parsed them into messages already."""
    payload = part.get_payload()
    if isinstance(payload, list):
        blocks = []
        for block in payload:
            if not isinstance(block, Message):
                continue
            fields = "\n".join(f"{name}: {' '.join(str(value).split())}" for name, value in block.items())
            rest = block.get_payload()
            blocks.append(fields + ("\n" + rest if isinstance(rest, str) and rest.strip() else ""))
        return "\n\n".join(blocks)[:LONGEST]
    return _text(part)


def _decoded(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _text(part: Message) -> str:
    raw = _decoded(part)[: 4 * LONGEST]
    for charset in (part.get_content_charset() or "utf-8", "utf-8"):
        try:
            if lookup(charset).name in _SLOW_CHARSETS:
                continue
            return raw.decode(charset)[:LONGEST].replace("\r\n", "\n")
        except (LookupError, ValueError):  # ValueError: also of a charset's name that holds a NUL character
            continue
    return raw.decode("latin-1")[:LONGEST].replace("\r\n", "\n")
