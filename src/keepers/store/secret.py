"""The workspace's own secret, with which addresses are hashed and links are signed. Made once, never changed."""

from __future__ import annotations

from secrets import token_hex

from keepers.store import counters, meta
from keepers.store.database import Store

_NAME = "secret"


def workspace_secret(store: Store) -> bytes:
    """32 bytes. Whoever has a copy of the store has them too; without the store nothing is recognised again."""
    with store.read() as connection:
        known = meta.get(connection, _NAME)
    if known is None:
        with store.begin() as connection:
            # A lock everybody has: two starting processes make one secret.
            counters.reserve(connection, counters.PROFILE_ID, 0)
            known = meta.get(connection, _NAME)
            if known is None:
                known = token_hex(32)
                meta.put(connection, _NAME, known)
    return bytes.fromhex(known)
