"""The workspace's own secret, with which addresses are hashed and links are signed. Made once, never changed."""

from __future__ import annotations

from secrets import token_hex

from keepers.model.write_scope import made_once
from keepers.store import counters, meta
from keepers.store.database import Store

_NAME = "secret"


def workspace_secret(store: Store) -> bytes:
    """32 bytes. A copy of the store holds them; without the store, hashes and links cannot be checked."""
    with store.read() as connection:
        known = meta.get(connection, _NAME)
    if known is None:
        with made_once(), store.begin() as connection:
            # Locks a row: two starting processes make one secret.
            counters.reserve(connection, counters.PROFILE_ID, 0)
            known = meta.get(connection, _NAME)
            if known is None:
                known = token_hex(32)
                meta.put(connection, _NAME, known)
    return bytes.fromhex(known)
