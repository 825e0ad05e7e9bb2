"""What a provider of e-mail delivery is here: verifying its webhooks, and reading them as reports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Protocol, TypeVar

import msgspec
from msgspec import Struct

from keepers.model.errors import Problem, UserError, problem
from keepers.model.message import DeliveryReport
from keepers.model.moments import parse_instant

KEY = "keepers-key"
"""the name under which a message's key may travel as a provider's metadata, unique argument, variable or tag"""
CLOCKS_DIFFER = timedelta(minutes=5)
"""how far ahead a sender's clock may be"""
S = TypeVar("S", bound=Struct)


class Provider(Protocol):
    """One provider's feedback webhook. All of it is synchronous; `verify` may fetch a certificate, once."""

    @property
    def id(self) -> str: ...

    @property
    def settings(self) -> type[Struct]:
        """the struct of its section, each field with a docstring"""
        ...

    def verify(self, headers: Mapping[str, str], body: bytes, settings: Any, now: datetime) -> None:
        """Raises UserError(code="signature") unless the provider sent this, to these settings, lately."""

    def call_id(self, body: bytes) -> str:
        """What a verified call is known by: a call that is sent again has the same."""
        ...

    def valid_for(self, settings: Any) -> timedelta:
        """For how long a call would be accepted that is sent again."""
        ...

    def reports(self, body: bytes) -> list[DeliveryReport]:
        """The reports in a verified body; other events are left out. Raises UserError(code="json")."""
        ...

    def confirm(self, body: bytes) -> bool:
        """Whether a verified body asks if the webhook is wanted. Such a question is answered, by fetching the address
        that it names. Blocks; raises UserError when that does not answer."""
        ...


def refused(provider: str, why: Problem) -> UserError:
    """The error of an unverified webhook. `why` is for whoever sets it up; it repeats nothing secret."""
    return UserError(
        problem("This {provider} webhook is not accepted: {why}.", provider=provider, why=why), code="signature"
    )


def header(headers: Mapping[str, str], name: str) -> str:
    """A header whatever its case; empty when absent."""
    lower = name.lower()
    return next((value for key, value in headers.items() if key.lower() == lower), "")


def body_id(body: bytes) -> str:
    """What a call is known by whose provider gives it no id of its own: its body."""
    return sha256(body).hexdigest()


def is_recent(at: datetime | None, now: datetime, window: timedelta) -> bool:
    """True for a moment of the last `window`, or a little ahead of this clock."""
    return at is not None and now - window <= at <= now + CLOCKS_DIFFER


def decoded(body: bytes | str) -> Any:
    """The JSON of a body. Raises UserError(code="json")."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise UserError(problem("The webhook's body is not JSON."), code="json") from None


def inner(data: Any, *path: str) -> Any:
    """The value at a path of names in nested objects; None where it ends."""
    for name in path:
        data = data.get(name) if isinstance(data, dict) else None
    return data


def text(data: Any, *path: str) -> str:
    """A text or number at a path as text without NUL, at most 4,000 characters; empty when absent."""
    found = inner(data, *path)
    if isinstance(found, str):
        return found.replace("\0", "")[:4000]
    return str(found) if isinstance(found, int | float) and not isinstance(found, bool) else ""


def items(data: Any, *path: str) -> Iterator[dict[str, Any]]:
    """The objects of a list at a path."""
    found = inner(data, *path)
    for item in found if isinstance(found, list) else ():
        if isinstance(item, dict):
            yield item


def instant(value: str) -> datetime | None:
    """ISO 8601 (with up to nine digits of a second) or seconds since 1970 as naive UTC; None for neither."""
    try:
        seconds = float(value)
    except ValueError:
        try:
            return parse_instant(value)
        except UserError:
            return None
    try:
        return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
    except (ValueError, OverflowError, OSError):
        return None


def bracketed(message_id: str) -> str:
    """A Message-ID in its angle brackets, as messages store it; empty stays empty."""
    bare = message_id.strip().strip("<>")
    return f"<{bare}>" if bare else ""
