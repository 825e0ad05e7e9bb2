"""Signed cursors of listings."""

from __future__ import annotations

import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from typing import Any

import msgspec

from keepers.model.errors import UserError, problem
from keepers.model.write_scope import made_once
from keepers.store import meta
from keepers.store.database import Store

_TAG_BYTES = 12


class CursorError(UserError):
    """A cursor that this listing did not give out."""

    code = "cursor"


def seal(secret: bytes, listing: tuple[object, ...], position: list[Any]) -> str:
    """A cursor: where a listing stopped, signed, and bound to that listing and its filters."""
    content = msgspec.json.encode(position)
    return urlsafe_b64encode(_tag(secret, listing, content) + content).decode().rstrip("=")


def unseal(secret: bytes, listing: tuple[object, ...], cursor: str) -> list[Any]:
    """Where the listing stopped. Raises CursorError for a cursor that is not one of this listing's."""
    try:
        raw = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        tag, content = raw[:_TAG_BYTES], raw[_TAG_BYTES:]
        if hmac.compare_digest(tag, _tag(secret, listing, content)):
            return msgspec.json.decode(content, type=list[Any])
    except (ValueError, msgspec.DecodeError):
        pass
    raise CursorError(
        problem("This cursor was not made by this listing with these parameters. Start again without one.")
    )


def _tag(secret: bytes, listing: tuple[object, ...], content: bytes) -> bytes:
    bound = msgspec.json.encode([str(part) for part in listing])
    return hmac.new(secret, bound + b"\0" + content, sha256).digest()[:_TAG_BYTES]


_SECRET = "cursor_secret"


def cursor_secret(store: Store) -> bytes:
    """What cursors are signed with: made once per workspace, so that they outlive a restart."""
    with store.read() as connection:
        found = meta.get(connection, _SECRET)
    if found is None:
        with made_once(), store.begin() as connection:
            found = meta.get(connection, _SECRET, for_update=True)
            if found is None:
                found = secrets.token_hex(32)
                meta.put(connection, _SECRET, found)
    return bytes.fromhex(found)
