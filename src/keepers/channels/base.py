"""What a channel is: its settings, how it is made, and sending one message, whose outcome is a value."""

from __future__ import annotations

import ast
import hashlib
import inspect
import re
import textwrap
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from keepers.model.channels import ChannelDescription
from keepers.model.errors import UserError, nearest, problem
from keepers.model.message import Outcome, Outgoing


class Channel(Protocol):
    """Sends messages. `open` before the first and `close` after the last; it may be opened again."""

    async def open(self) -> None:
        """Connects, or prepares to. Raises UserError when the settings cannot work."""

    async def send(self, message: Outgoing) -> Outcome:
        """One attempt. A failure of the other side is an outcome, never an exception. Safe to call concurrently."""
        ...

    async def close(self) -> None:
        """Closes connections and threads."""


class ChannelContext(Struct, frozen=True):
    """What a channel may need that is not its own setting."""

    now: Callable[[], datetime]
    """the clock, naive UTC"""
    put: Callable[[Outgoing], None]
    """writes an in-app message into its customer's inbox, once per `key`; called in a thread"""
    secret: bytes = b""
    """the workspace's key for signing addresses (VERP)"""


class ChannelKind(ChannelDescription, frozen=True, kw_only=True):
    """One channel as the registry knows it. A module of this package that has a `KIND` is a channel."""

    settings: type[Struct]
    """each field with a docstring below it: the reference, the form and the JSON Schema derive from it"""
    make: Callable[[Any, ChannelContext], Channel]
    """(settings, context) → a channel, not opened; opens no connection and raises UserError for settings that
    cannot work"""
    docs: str = ""
    """one sentence for the reference"""
    needs_settings: bool = True
    """whether it exists only when keepers.toml has a section for it"""
    connections: str = ""
    """the setting that bounds how many messages it sends at the same time; empty: as many as the worker"""
    has_subscriptions: bool = False
    """whether a message goes to each browser of the customer, and not to an address"""


UNCERTAIN = "uncertain"
OUTCOME_CODES = {
    "address": "The customer's address cannot be used with this service.",
    "definition": "What was written in the webhook cannot be called; the message says why.",
    "empty": "There is nothing in the message that the channel could show.",
    "invalid_number": "Not a telephone number in use.",
    "refused": "An address that is not public and not named by the channel's `allow`.",
    "smtputf8": "The mail server takes no addresses beyond ASCII.",
    "subscription": "The browser's keys cannot be used.",
    "too_long": "Longer than the channel takes, or than its settings allow.",
    "unanswered": "No answer came in time. It is tried again; receivers know a repeated message by its id.",
    UNCERTAIN: "The connection broke after the message was sent: it may have arrived. Not sent again unless it has to "
    "arrive.",
    "unreachable": "No connection was made; nothing was sent.",
}
"""codes of outcomes that are Keepers' own; others are the other side's, such as an HTTP status or an SMTP reply"""


def read_settings(kind: ChannelKind, data: Mapping[str, Any]) -> Any:
    """The settings struct from a section of keepers.toml. Raises UserError naming section and field."""
    return read_fields(kind.settings, data, f"[channels.{kind.id}]")


def read_fields(struct: type[Struct], data: Mapping[str, Any], section: str) -> Any:
    """A settings struct from the fields of a section. Raises UserError naming section and field."""
    names = [f.name for f in msgspec.structs.fields(struct)]
    for name in data:
        if name not in names:
            raise UserError(
                problem("{section} has no “{name}”.", near=nearest(str(name), names), section=section, name=name),
                code="settings",
            )
    try:
        return msgspec.convert(data, struct, strict=False)
    except msgspec.ValidationError as error:
        raise UserError(problem("{section}: {reason}.", section=section, reason=error), code="settings") from None


def field_docs(struct: type[Struct]) -> dict[str, str]:
    """Field → the text written below it in the source, as one line."""
    body = ast.parse(textwrap.dedent(inspect.getsource(struct))).body[0]
    assert isinstance(body, ast.ClassDef)
    docs: dict[str, str] = {}
    for field, after in zip(body.body, body.body[1:], strict=False):
        if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
            continue
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str):
            docs[field.target.id] = " ".join(after.value.value.split())
    return docs


_BACKOFF = tuple(timedelta(seconds=s) for s in (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400))


def backoff(attempts: int, key: str) -> timedelta:
    """How long to wait after `attempts` (≥ 1) tries in vain, where the other side names no time: 5 s, 5 min, 30 min,
    2, 5, 10, 14, 20, 24 h (the schedule Standard Webhooks suggests), up to 20 % longer by a stable hash of the
    message's key, so that what failed together does not come back together."""
    spread = int.from_bytes(hashlib.md5(f"{key}:{attempts}".encode(), usedforsecurity=False).digest()[:4], "big")
    return _BACKOFF[min(max(attempts, 1), len(_BACKOFF)) - 1] * (1 + 0.2 * spread / 2**32)


def retry_after(value: str | None, now: datetime) -> timedelta | None:
    """A `Retry-After` header (RFC 9110 §10.2.3: seconds or an HTTP date) as a span from `now`, at most a day; None
    when absent or unreadable."""
    text = (value or "").strip()
    if re.fullmatch(r"\d{1,9}", text):
        span = timedelta(seconds=int(text))
    else:
        try:
            at = datetime.strptime(text, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
        except ValueError:
            return None
        span = at.replace(tzinfo=None) - now
    return min(max(span, timedelta(0)), timedelta(days=1))
