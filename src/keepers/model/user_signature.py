"""The proof that a browser's user is who it says: the user id, signed by the business's server.

    HMAC-SHA256(key = SHA-256(server key), message = user id)                              as 64 hex digits
    HMAC-SHA256(key = SHA-256(server key), message = user id + "\\n" + expires)            with `expires`, Unix seconds

Revoking the server key ends all signatures made from it.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from hashlib import sha256

from msgspec import Struct


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
