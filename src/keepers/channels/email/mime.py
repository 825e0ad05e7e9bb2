"""An e-mail as bytes: headers that nothing can be injected into, bodies that any server passes on unchanged.

Written by hand, because the standard library's generator turns a long List-Unsubscribe into encoded words, which no
mailbox provider follows, and takes longer than the sending. The tests read the result back with the standard library.
"""

from __future__ import annotations

import binascii
import json
import re
from datetime import UTC, datetime
from email.charset import SHORTEST, Charset
from email.header import Header
from email.utils import format_datetime
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

from keepers.channels.email.mailbox_address import Address, ascii_domain, parse_address, parse_mailbox
from keepers.channels.email.providers.base import KEY
from keepers.channels.email.verp import Verp
from keepers.model.errors import UserError, problem, shown
from keepers.model.message import Outgoing

_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_MESSAGE_ID = re.compile(r"<[^\s<>@\x00-\x20\x7f]+@[^\s<>@\x00-\x20\x7f]+>", re.ASCII)
_URL = re.compile(r"(https?|mailto):[\x21\x23-\x3b\x3d\x3f-\x7e]+", re.ASCII)
_ATOM_TEXT = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")
_UTF8 = Charset("utf-8")
_UTF8.header_encoding = SHORTEST
"""stated here, because libraries change what the standard library has registered for UTF-8 for the whole process"""
_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,80}")
"""keys that Postmark's metadata and SES' tags take as they are"""
_NOT_LABEL = re.compile(r"[^A-Za-z0-9_.-]+")
_LONGEST_LINE = 998
"""RFC 5322 section 2.1.1, octets without CRLF"""
_LONGEST_TAGGED = 16
"""letters before the + that leave room for a token"""


class SenderIdentity(NamedTuple):
    """What all mail of a stream shares."""

    sender: str
    """`Shop <hello@shop.example>`"""
    verp: Verp
    reply_to: str = ""
    list_domain: str = ""
    """the domain of List-Id; empty for the sender's"""
    feedback_id: str = ""
    """the sender's own part of Feedback-ID, 5 to 15 letters; empty for one made of the sender's domain"""
    unsubscribe_mailto: str = ""
    """an address for unsubscribe mails, offered beside the one-click address; written with a + and the message's
    token, which makes it unforgeable"""
    provider: str = ""
    """whose own header the message's key travels in: `mailgun`, `postmark`, `sendgrid`, `ses`; empty for none"""


class OutgoingMail(NamedTuple):
    """A composed message and its envelope."""

    return_path: str
    recipient: Address
    data: bytes
    needs_utf8: bool
    message_id: str


def compose(message: Outgoing, identity: SenderIdentity, at: datetime) -> OutgoingMail:
    """A message as RFC 5322 bytes with CRLF, lines of at most 998 octets and a body of ASCII only.

    `at` (naive UTC) becomes the Date. Control characters in subjects and names become a space, since they come from
    what customers typed; in addresses, ids and links they are refused with UserError, as is a message without body.
    The same message and `at` give the same bytes.
    """
    recipient = parse_address(message.recipient)
    name, sender = parse_mailbox(message.sender or identity.sender)
    reply_to = message.reply_to or identity.reply_to
    token = identity.verp.token(message.key)
    mark = sha256(message.key.encode()).hexdigest()[:32]
    message_id = message.message_id or f"<{mark}@{sender.domain}>"
    if not _MESSAGE_ID.fullmatch(message_id):
        raise UserError(problem("{message_id} is no Message-ID.", message_id=shown(message_id)), code="invalid_message")
    headers = [
        ("From", _mailbox(name, sender)),
        ("To", str(recipient)),
        ("Subject", encoded_text(message.content.subject, len("Subject: "))),
        ("Date", format_datetime(at.replace(tzinfo=UTC))),
        ("Message-ID", message_id),
    ]
    if reply_to:
        reply_name, reply_address = parse_mailbox(reply_to)
        headers.append(("Reply-To", _mailbox(reply_name, reply_address)))
    headers += _list_headers(message, identity, sender, token)
    headers += [
        ("Feedback-ID", _feedback_id(message, identity, sender)),
        ("Auto-Submitted", "auto-generated"),
        ("X-Keepers-Message", token or mark),
        *_echoed(identity.provider, message.key),
        ("MIME-Version", "1.0"),
    ]
    body = _body(message, mark)
    head = "".join(f"{key}: {value}\r\n" for key, value in headers)
    data = head.encode() + body
    if any(len(line) > _LONGEST_LINE for line in head.encode().split(b"\r\n")):
        raise UserError(
            problem("A header of message {key} is longer than 998 bytes.", key=shown(message.key)),
            code="invalid_message",
        )
    needs_utf8 = recipient.needs_utf8 or not head.isascii()
    return OutgoingMail(identity.verp.return_path(token), recipient, data, needs_utf8, message_id)


def encoded_text(text: str, already: int) -> str:
    """Free text as a header value (RFC 2047), folded; `already` is the width of what stands before it on its line."""
    clean = _BREAKS.sub(" ", text).strip()
    if clean.isascii() and len(clean) + already <= 76 and "=?" not in clean:
        return clean
    try:
        return _encoded(clean, already)
    except UnicodeEncodeError:
        return _encoded(clean.encode("utf-8", "replace").decode(), already)


@lru_cache(maxsize=1024)
def _encoded(clean: str, already: int) -> str:
    return Header(clean, _UTF8, maxlinelen=76, header_name="x" * max(already - 2, 0)).encode(linesep="\r\n")


@lru_cache(maxsize=1024)
def _mailbox(name: str, address: Address) -> str:
    if not name:
        return str(address)
    if not name.isascii() or "=?" in name or len(name) > 60:
        return f"{encoded_text(name, 10)}\r\n <{address}>"
    if not _ATOM_TEXT.fullmatch(name):
        name = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{name} <{address}>"


def _list_headers(message: Outgoing, identity: SenderIdentity, sender: Address, token: str) -> list[tuple[str, str]]:
    """RFC 8058 and RFC 2919, for mail somebody can unsubscribe from."""
    headers: list[tuple[str, str]] = []
    if message.unsubscribe_url:
        ways = [_link(message.unsubscribe_url)]
        if identity.unsubscribe_mailto:
            local, _, domain = identity.unsubscribe_mailto.partition("@")
            tagged = f"{local}+{token}@{domain}" if token and len(local) <= _LONGEST_TAGGED else None
            ways.append(_link(f"mailto:{tagged or identity.unsubscribe_mailto}?subject=unsubscribe"))
        headers.append(("List-Unsubscribe", ",\r\n ".join(f"<{way}>" for way in ways)))
        if message.unsubscribe_url.startswith("https:"):
            # One click counts only over HTTPS (RFC 8058 section 3.1); a test server's http link is a plain link.
            headers.append(("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"))
    if message.topic and not message.is_transactional:
        domain = ascii_domain(identity.list_domain) if identity.list_domain else sender.domain
        headers.append(("List-Id", f"<{_label(message.topic, 60)}.{domain}>"))
    return headers


def _echoed(provider: str, key: str) -> list[tuple[str, str]]:
    """The header that a provider repeats in its webhooks. JSON is written in ASCII."""
    match provider:
        case "sendgrid":
            return [("X-SMTPAPI", json.dumps({"unique_args": {KEY: key}}))]
        case "mailgun":
            return [("X-Mailgun-Variables", json.dumps({KEY: key}))]
        case "postmark" if _PLAIN.fullmatch(key):
            return [(f"X-PM-Metadata-{KEY}", key)]
        case "ses" if _PLAIN.fullmatch(key):
            return [("X-SES-MESSAGE-TAGS", f"{KEY}={key}")]
        case _:
            return []


def _link(url: str) -> str:
    if not _URL.fullmatch(url) or len(url) > _LONGEST_LINE - 30:
        raise UserError(problem("{url} cannot be an unsubscribe link.", url=shown(url)), code="invalid_message")
    return url


def _feedback_id(message: Outgoing, identity: SenderIdentity, sender: Address) -> str:
    """Four parts, most specific first, by which Gmail counts complaints; the last identifies the sender."""
    kind = "transactional" if message.is_transactional else "marketing"
    own = _label(identity.feedback_id or sender.domain.replace(".", "-"), 15)
    parts = (_label(message.campaign, 60), _label(message.topic, 60), kind, own)
    return ":".join(part or "-" for part in parts)


def _label(text: str, longest: int) -> str:
    return _NOT_LABEL.sub("-", text).strip(".-")[:longest]


def _body(message: Outgoing, mark: str) -> bytes:
    text, html = message.content.text, message.content.html
    if not text and not html:
        raise UserError(
            problem("Message {key} has neither text nor HTML.", key=shown(message.key)), code="invalid_message"
        )
    if not html:
        return _part("plain", text)
    if not text:
        return _part("html", html)
    # A boundary has to be absent from the parts: "=_" is possible neither in quoted-printable nor in base 64.
    boundary = f"=_{mark}"
    opening = f'Content-Type: multipart/alternative;\r\n boundary="{boundary}"\r\n\r\n'.encode()
    line = f"--{boundary}".encode()
    return b"".join((opening, line, b"\r\n", _part("plain", text), line, b"\r\n", _part("html", html), line, b"--\r\n"))


def _part(subtype: str, text: str) -> bytes:
    """One text part with its headers, in whichever of quoted-printable and base 64 is shorter for it."""
    raw = text.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace")
    if not raw.endswith(b"\n"):
        raw += b"\n"
    raw = raw.replace(b"\n", b"\r\n")
    # A byte beyond ASCII takes three letters in quoted-printable, any byte 4/3 in base 64.
    if len(raw.translate(None, _ASCII)) * 6 > len(raw):
        encoding = "base64"
        encoded = binascii.b2a_base64(raw, newline=False)
        data = b"".join([encoded[i : i + 76] + b"\r\n" for i in range(0, len(encoded), 76)])
    else:
        encoding = "quoted-printable"
        data = binascii.b2a_qp(raw, istext=True)
    head = f'Content-Type: text/{subtype}; charset="utf-8"\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n'
    return head.encode() + data


_ASCII = bytes(range(128))
