"""The key ring: verifies the keys that callers bring, and notes when they were used."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from hmac import compare_digest
from threading import Lock
from typing import Literal

from sqlalchemy import Connection

from keepers.app.use_cases.actor import Actor
from keepers.model.errors import KeepersError, problem
from keepers.model.web_origins import is_allowed
from keepers.store import keys
from keepers.store.key_kinds import KINDS, SECRET_KINDS, KeyKind
from keepers.store.keys import Key, digest_of, read_all


class KeyRefusedError(KeepersError):
    """A key lets nobody in. The code is `unauthorized` for none or an unknown one, `revoked`, `expired`, `wrong_key`
    for one of another kind, or `wrong_origin`. `origins` are those of the sites the key is for; none for any."""

    code = "unauthorized"

    def __init__(self, message: object, *, code: str = "unauthorized", origins: Collection[str] = ()) -> None:
        super().__init__(message, code=code)
        self.origins = origins


def require_usable(key: Key | None, now: datetime, kinds: Collection[KeyKind], origin: str = "") -> Key:
    """The key, where it lets its bearer in now: the one place that decides. What it may do is said by its scopes.

    `origin` is that of the page that sends it, empty where no browser does. Raises KeyRefusedError.
    """
    if key is None:
        raise KeyRefusedError(problem("This key is unknown."))
    if key.revoked_at is not None:
        raise KeyRefusedError(
            problem("This key was revoked. Use one that is not."), code="revoked", origins=key.origins
        )
    if key.has_ended(now):
        raise KeyRefusedError(problem("This key has expired. Make another one."), code="expired", origins=key.origins)
    if key.kind not in kinds:
        wrong = problem("This is a {kind} key. Here one is needed of: {kinds}.", kind=key.kind, kinds=", ".join(kinds))
        raise KeyRefusedError(wrong, code="wrong_key", origins=key.origins)
    if key.origins and origin and not is_allowed(origin, key.origins):
        elsewhere = problem("This key is not for pages of {origin}. Make one with that origin.", origin=origin)
        raise KeyRefusedError(elsewhere, code="wrong_origin", origins=key.origins)
    return key


def actor_of_key(key: Key, locale: str = "en") -> Actor:
    """Whoever calls with a key: a program of the business, or with a write key, which is public, a visitor."""
    is_public = key.kind == "write"
    kind: Literal["visitor", "key"] = "visitor" if is_public else "key"
    return Actor(kind, key.name, frozenset(key.scopes), not is_public, locale, key.id)


class KeyRing:
    """Verifies tokens against a copy of the keys that is read again every few seconds. Threads may share it.

    When keys were used is kept in memory; `record_uses` writes it, set-based and apart from the requests.
    """

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
        self._used: dict[str, datetime] = {}

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

    def forget_copy(self) -> None:
        """The keys were changed: they are read again before the copy is relied on."""
        self._read_at = None

    def admit(self, token: str, now: datetime, kinds: Collection[KeyKind] = KINDS, origin: str = "") -> Key:
        """The key of a token, which is used from now on; see `require_usable`. Never touches the database."""
        if not token:
            raise KeyRefusedError(problem("A key is needed."))
        key = require_usable(self.find(token), now, kinds, origin)
        self._used[key.id] = now
        return key

    def admit_secret(self, token: str, now: datetime) -> Key:
        """The same, for a key of the management API."""
        return self.admit(token, now, SECRET_KINDS)

    def find(self, token: str) -> Key | None:
        """The key a token belongs to, ended or not; None for an unknown one. Never touches the database."""
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

    def record_uses(self, begin: Callable[[], AbstractContextManager[Connection]], now: datetime) -> int:
        """Writes when keys were last used, those used since the last call; how many. Blocks on the database.

        What could not be written is written by the next call.
        """
        used, self._used = self._used, {}
        if not used:
            return 0
        try:
            with begin() as connection:
                keys.record_uses(connection, used, now)
        except BaseException:
            self._used = used | self._used
            raise
        return len(used)
