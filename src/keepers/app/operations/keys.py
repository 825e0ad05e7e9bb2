"""API keys: create, list, revoke; the key ring that verifies tokens."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from hmac import compare_digest
from threading import Lock
from typing import Annotated

from msgspec import Meta, Struct
from sqlalchemy import Connection

from keepers.app.use_cases.actor import Actor
from keepers.app.use_cases.use_case import use_case
from keepers.app.workspace.workspace import Workspace
from keepers.store import keys
from keepers.store.key_kinds import KeyKind
from keepers.store.keys import Key, digest_of, read_all


class ListKeys(Struct, frozen=True, kw_only=True):
    """No parameters."""


class CreateKey(Struct, frozen=True, kw_only=True):
    kind: Annotated[
        str,
        Meta(
            description="`write` (public, for browsers), `server` (trusted to write) or `secret` (management).",
            pattern="^(write|server|secret)$",
        ),
    ]
    name: Annotated[str, Meta(description="What it is for; its kind when left out.", max_length=200)] = ""
    token: Annotated[str, Meta(description="A token of your own instead of a random one.", max_length=500)] | None = (
        None
    )


class RevokeKey(Struct, frozen=True, kw_only=True):
    id: Annotated[str, Meta(description="The key's id, as the list shows it.", max_length=64)]


class KeySummary(Struct, frozen=True):
    """A key without its token."""

    id: str
    name: str
    kind: KeyKind
    created_at: datetime
    revoked_at: datetime | None


class KeyList(Struct, frozen=True):
    items: list[KeySummary]


class CreatedKey(Struct, frozen=True):
    id: str
    kind: KeyKind
    name: str
    token: Annotated[str, Meta(description="Shown this once: it cannot be read again.")]


class RevokedKey(Struct, frozen=True):
    revoked: Annotated[str, Meta(description="The key's id.")]


@use_case("GET /keys", permission="read", lock="free")
def list_keys(workspace: Workspace, actor: Actor, request: ListKeys) -> KeyList:
    """Every key, without its token"""
    with workspace.store.read() as connection:
        found = keys.read_all(connection)
    return KeyList([KeySummary(k.id, k.name, k.kind, k.created_at, k.revoked_at) for k in found])


@use_case("POST /keys", permission="manage", lock="locked", problems=(409, 422))
def create_key(workspace: Workspace, actor: Actor, request: CreateKey) -> CreatedKey:
    """Make a key

    Its token is shown this once. Bring a token of your own to keep a write key that is already built into apps.
    """
    kind: KeyKind = request.kind  # type: ignore[assignment]
    with workspace.store.begin() as connection:
        key, token = keys.create(connection, kind, request.name or kind, workspace.clock(), request.token)
    return CreatedKey(key.id, key.kind, key.name, token)


@use_case("POST /keys/{id}/revoke", permission="manage", lock="locked", problems=(404,))
def revoke_key(workspace: Workspace, actor: Actor, request: RevokeKey) -> RevokedKey:
    """Revoke a key

    Servers notice within seconds. It stays in the list.
    """
    with workspace.store.begin() as connection:
        keys.revoke(connection, request.id, workspace.clock())
    return RevokedKey(request.id)


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
        digest = digest_of(token)
        key = self._by_hash.get(digest)
        if key is None or not compare_digest(key.hash, digest):
            return None
        # Only valid tokens are cached, so that unauthenticated callers cannot make this grow.
        self._by_token[token] = key
        return key
