"""Who somebody is: kinds of identifiers, placeholders that identify nobody, how a user id is proven, whose word it is.

A public key stands in every visitor's browser, so what it brings is nobody's word. That a browser's user is who it says
is proven by the user id, signed by the business's server:

    HMAC-SHA256(key = SHA-256(server key), message = user id)                              as 64 hex digits
    HMAC-SHA256(key = SHA-256(server key), message = user id + "\\n" + expires)            with `expires`, Unix seconds

Revoking the server key ends all signatures made from it.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from hashlib import md5, sha256
from typing import Final, Literal

from msgspec import Struct

IdentityKind = Literal["user_id", "anonymous_id", "group_id"]
LOCALE_TRAITS = ("locale", "language", "lang")
"""traits that may hold a customer's language; the first that is present is used"""
IDENTITY_KINDS: Final[tuple[IdentityKind, ...]] = ("user_id", "anonymous_id", "group_id")
LONGEST_ID: Final = 512
MOST_IDENTITIES: Final = 1000
"""identifiers of one profile; past it nothing more is linked to it"""
MOST_UNPROVEN: Final = 200
"""identifiers of one profile that unsigned calls by a public key linked to it; they leave room for the others"""

PLACEHOLDERS: Final = frozenset(
    {
        "", "0", "-1", "null", "undefined", "none", "nil", "nan", "n/a", "na", "-", "?",
        "guest", "anonymous", "anon", "unknown", "unidentified", "not set", "(not set)", "not_set",
        "true", "false", "[object object]", "{}", "[]", '""', "''", "(null)", "<null>",
        "00000000-0000-0000-0000-000000000000",
    }
)  # fmt: skip
"""values that programs send when they do not know who it is; compared trimmed and without case"""


def is_placeholder(value: str) -> bool:
    """Whether a value is a placeholder that never identifies, whatever the kind."""
    return (len(value) <= 36 and value.strip().lower() in PLACEHOLDERS) or value.isspace()


def bucket_key(kind: IdentityKind, value: str) -> str:
    """A new profile's key for samples and splits: 32 hex digits, the same by whatever way its first id came."""
    return md5(f"{kind}:{value}".encode(), usedforsecurity=False).hexdigest()


def identifier_hash(secret: bytes, kind: str, value: str) -> str:
    """A keyed hash of an identifier (HMAC-SHA-256, hex): it outlives the person's erasure and gives nothing away."""
    return hmac.digest(secret, f"identifier:{kind}:{value}".encode("utf-8", "replace"), "sha256").hex()


def subject_kind(kind: IdentityKind) -> Literal["person", "account"]:
    """Whether an identifier belongs to a person or to an account."""
    return "account" if kind == "group_id" else "person"


Trust = Literal["public", "server", "own"]
"""`public` came by a write key, `server` by a server key or an import, `own` is made by Keepers itself."""


Accepted = Literal["any", "server"]
"""what a definition accepts: every event, or only those that are trusted"""


def is_trusted(trust: Trust) -> bool:
    """Whether it may decide by itself: about addresses, purchases, and what starts transactional messages."""
    return trust != "public"


class UserSignature(Struct, frozen=True, gc=False):
    """As it was sent; `expires` in Unix seconds, None for a signature without an end."""

    text: str
    expires: int | None = None

    def proves(self, digests: Iterable[bytes], user_id: str, now_s: float) -> bool:
        """Whether it is of this user id by one of the server keys, given as SHA-256 digests, and holds at `now_s`."""
        if "\n" in user_id or (self.expires is not None and self.expires < now_s):
            # With a line break the signed text would equal that of an id with an expiry.
            return False
        sent = self.text.lower().encode("utf-8", "replace")
        return any(hmac.compare_digest(sent, sign(one, user_id, self.expires).encode()) for one in digests)


def sign(digest: bytes, user_id: str, expires: int | None = None) -> str:
    """The signature by the server key with this SHA-256 digest, as 64 hex digits."""
    message = user_id if expires is None else f"{user_id}\n{expires}"
    return hmac.new(digest, message.encode("utf-8", "replace"), sha256).hexdigest()
