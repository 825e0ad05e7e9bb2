"""Create, list, revoke; the key ring."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from hmac import compare_digest
from threading import Lock
from typing import Any

from sqlalchemy import Connection

from keepers.app.workspace.clock import clock
from keepers.app.workspace.progress import Progress
from keepers.app.workspace.workspace import Workspace
from keepers.model.moments import format_instant
from keepers.store import keys
from keepers.store.keys import Key, _digest, read_all


def list_keys(workspace: Workspace, progress: Progress) -> Any:
    """Every key, without its token."""
    with workspace.store.read() as connection:
        found = keys.read_all(connection)
    return [
        {
            "id": k.id,
            "name": k.name,
            "kind": k.kind,
            "created_at": format_instant(k.created_at),
            "revoked_at": format_instant(k.revoked_at) if k.revoked_at else None,
        }
        for k in found
    ]


def create_key(workspace: Workspace, progress: Progress, kind: str, name: str, token: str | None = None) -> Any:
    """Makes a key; its token is shown this once."""
    with workspace.store.begin() as connection:
        key, made = keys.create(connection, kind, name, clock(), token)  # type: ignore[arg-type]
    return {"id": key.id, "kind": key.kind, "name": key.name, "token": made}


def revoke_key(workspace: Workspace, progress: Progress, id: str) -> Any:
    """Makes a key useless from now on."""
    with workspace.store.begin() as connection:
        keys.revoke(connection, id, clock())
    return {"revoked": id}


class KeyRing:
    """Verifies tokens against a copy of the keys that is read again every few seconds. Threads may share it."""

    def __init__(
        self,
        connect: Callable[[], AbstractContextManager[Connection]],
        fresh_for: timedelta = timedelta(seconds=2),
    ) -> None:
        self._connect = connect
        self._fresh_for = fresh_for
        self._lock = Lock()
        self._by_hash: dict[bytes, Key] = {}
        self._by_token: dict[str, Key] = {}
        self._read_at: datetime | None = None

    def is_stale(self, now: datetime) -> bool:
        """Whether the copy should be read again before it is relied on."""
        return self._read_at is None or not timedelta() <= now - self._read_at < self._fresh_for

    def refresh(self, now: datetime) -> None:
        """Reads the keys again if they are stale. Blocks on the database."""
        with self._lock:
            if not self.is_stale(now):
                return
            with self._connect() as connection:
                self._by_hash = {key.hash: key for key in read_all(connection)}
            self._by_token = {}
            self._read_at = now

    def find(self, token: str) -> Key | None:
        """The key a token belongs to, revoked or not; None for an unknown one. Never touches the database."""
        key = self._by_token.get(token)
        if key is not None:
            return key
        digest = _digest(token)
        key = self._by_hash.get(digest)
        if key is None or not compare_digest(key.hash, digest):
            return None
        # Only tokens that are keys are kept, so strangers cannot make this grow.
        self._by_token[token] = key
        return key
