"""Signed links that reveal nothing: where a click leads, which message it was in, who may unsubscribe.

A token is the AES-SIV encryption (RFC 5297, deterministic and authenticated) of a short payload, bound to the purpose
of the link: a token for an open is none for an unsubscribe. So neither the address nor anything else about the person
can be read from it, and it cannot be made or changed without the secret. The library compares in constant time.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal, Protocol, get_args

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from msgspec import Struct

from keepers.model.errors import UserError, problem

Purpose = Literal["click", "open", "unsubscribe", "preferences", "view", "confirm"]
PATHS: dict[Purpose, str] = {
    "click": "/c/",
    "open": "/o/",
    "unsubscribe": "/u/",
    "preferences": "/p/",
    "view": "/v/",
    "confirm": "/y/",
}
"""where each kind of link lies under the public address; the token follows"""
PIXEL = ".gif"
"""ends an open pixel's address, so that mail programs see an image"""
MOST_TOKEN = 16_000
_VERSION = b"1"
# Common parts of targets, for short tokens; changing it makes existing tokens unreadable.
_COMMON = b".html?product/category/journey/broadcast/&utm_content=&utm_source=keepers&utm_medium=email&utm_campaign=https://www."

_PACKER = zlib.compressobj(9, zlib.DEFLATED, -12, 1, zlib.Z_DEFAULT_STRATEGY, _COMMON)
"""only copied: creating one costs more than packing"""


class Click(Struct, frozen=True, array_like=True):
    """A click on a link of the message with this key."""

    key: str
    url: str


class OfMessage(Struct, frozen=True, array_like=True):
    """An open, a view or an unsubscribe: the message gives the profile, channel and topic."""

    key: str


class Preferences(Struct, frozen=True, array_like=True):
    profile_id: int
    locale: str = ""
    key: str = ""
    """the message it was opened from"""
    channel: str = ""
    address: str = ""
    """where the link was sent, if it was by no message"""


class Confirm(Struct, frozen=True, array_like=True):
    """The confirmation of a double opt-in, for the address it was sent to."""

    profile_id: int
    channel: str
    topic: str
    address: str = ""
    expires_s: int = 0
    """Unix seconds, after which it confirms nothing"""
    request: str = ""
    """which request for the address and topic (see `model.consent.request_id`)"""
    locale: str = ""
    """the form's, where it named one"""


Payload = Click | OfMessage | Preferences | Confirm
_SHAPES: dict[Purpose, type[Any]] = {
    "click": Click,
    "open": OfMessage,
    "unsubscribe": OfMessage,
    "preferences": Preferences,
    "view": OfMessage,
    "confirm": Confirm,
}


class BadLink(UserError):  # noqa: N818 - named for the reader of the page
    """A link that was not made here, is incomplete, or is of another kind."""

    code = "bad_link"


class LinkMaker(Protocol):
    """The links of one message."""

    def click(self, url: str) -> str:
        """The tracked address that leads on to `url`, or `url` itself."""

    @property
    def open_pixel(self) -> str:
        """The address of the open pixel; empty for none."""

    @property
    def unsubscribe(self) -> str: ...

    @property
    def preferences(self) -> str: ...

    @property
    def view(self) -> str: ...


class LinkSigner:
    """Makes and reads links under `base_url`. The first of `secrets` signs, all of them are read."""

    def __init__(self, secrets: bytes | Sequence[bytes], base_url: str) -> None:
        several = [secrets] if isinstance(secrets, bytes) else list(secrets)
        if not several or any(len(s) < 16 for s in several):
            raise UserError(problem("Links need a secret of at least 16 bytes."), code="secret")
        self._ciphers = [AESSIV(hashlib.sha256(b"keepers links\x00" + s).digest()) for s in several]
        self.base_url = base_url.rstrip("/")

    def click(self, key: str, url: str) -> str:
        return self._link("click", Click(key, url))

    def open_pixel(self, key: str) -> str:
        return self._link("open", OfMessage(key)) + PIXEL

    def unsubscribe(self, key: str) -> str:
        return self._link("unsubscribe", OfMessage(key))

    def preferences(
        self, profile_id: int, locale: str = "", key: str = "", channel: str = "", address: str = ""
    ) -> str:
        return self._link("preferences", Preferences(profile_id, locale, key, channel, address))

    def view(self, key: str) -> str:
        return self._link("view", OfMessage(key))

    def confirm(self, confirmed: Confirm) -> str:
        return self._link("confirm", confirmed)

    def of(self, key: str, profile_id: int, locale: str = "") -> MessageLinks:
        """The links of one message."""
        return MessageLinks(self, key, profile_id, locale)

    def read(self, purpose: Purpose, token: str) -> Payload:
        """The payload of a token. Raises BadLink when it was not made here for this purpose."""
        raw = _decoded(token.removesuffix(PIXEL) if purpose == "open" else token)
        for cipher in self._ciphers:
            try:
                packed = cipher.decrypt(raw, [_VERSION, purpose.encode()])
            except (InvalidTag, ValueError):
                continue
            unpacked: Payload = msgspec.msgpack.decode(_inflated(packed), type=_SHAPES[purpose])
            return unpacked
        raise BadLink(problem("This link is not complete or not one of ours. Open it from the message again."))

    def _link(self, purpose: Purpose, payload: Payload) -> str:
        packed = _deflated(msgspec.msgpack.encode(payload))
        token = base64.urlsafe_b64encode(self._ciphers[0].encrypt(packed, [_VERSION, purpose.encode()]))
        return f"{self.base_url}{PATHS[purpose]}{token.rstrip(b'=').decode()}"


class MessageLinks:
    """The links of one message; those to the same target are made once."""

    def __init__(self, links: LinkSigner, key: str, profile_id: int, locale: str) -> None:
        self._links, self._key, self._profile_id, self._locale = links, key, profile_id, locale
        self._made: dict[str, str] = {}

    def click(self, url: str) -> str:
        made = self._made.get(url)
        if made is None:
            made = self._made[url] = self._links.click(self._key, url)
        return made

    @cached_property
    def open_pixel(self) -> str:
        return self._links.open_pixel(self._key)

    @cached_property
    def unsubscribe(self) -> str:
        return self._links.unsubscribe(self._key)

    @cached_property
    def preferences(self) -> str:
        return self._links.preferences(self._profile_id, self._locale, self._key)

    @cached_property
    def view(self) -> str:
        return self._links.view(self._key)


def _deflated(data: bytes) -> bytes:
    """Compressed when that makes it shorter; the first byte says which."""
    packer = _PACKER.copy()
    packed = packer.compress(data) + packer.flush()
    return b"z" + packed if len(packed) < len(data) else b"-" + data


def _inflated(data: bytes) -> bytes:
    if data[:1] == b"-":
        return data[1:]
    return zlib.decompressobj(-12, _COMMON).decompress(data[1:], 1_000_000)


def _decoded(token: str) -> bytes:
    if len(token) > MOST_TOKEN:
        raise BadLink(problem("This link is longer than any of ours. Open it from the message again."))
    try:
        return base64.b64decode(token + "=" * (-len(token) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise BadLink(problem("This link is not complete. Open it from the message again.")) from None


assert set(PATHS) == set(get_args(Purpose))
