"""API keys: `write` (public, for browsers), `server` (trusted to write), `secret` (management).

A key may expire, grants scopes, and a write key may be held to the origins of some sites.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, bindparam, func, insert, literal, or_, select, update
from sqlalchemy.exc import IntegrityError

from keepers.model.errors import ConflictError, NotFoundError, UserError, problem
from keepers.model.identity import Trust
from keepers.model.web_origins import parse_origin
from keepers.store import meta
from keepers.store.key_kinds import KINDS, SCOPES, KeyKind, Scope
from keepers.store.schema.core import Instant, keys

TRUST_OF: Mapping[KeyKind, Trust] = {"write": "public", "server": "server", "secret": "server"}
"""how far what comes by a key is trusted"""
_PREFIX = {"write": "kw_", "server": "ks_", "secret": "km_"}
_LEAST_LENGTH = {"write": 5, "server": 24, "secret": 24}


class Key(NamedTuple):
    """A key without its token, which is stored only as a hash."""

    id: str
    name: str
    kind: KeyKind
    hash: bytes
    created_at: datetime
    revoked_at: datetime | None
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    scopes: tuple[Scope, ...] = ()
    origins: tuple[str, ...] = ()
    """origins of the sites that may use a write key (`model/web_origins.py`); none for any"""

    def has_ended(self, now: datetime) -> bool:
        """Whether the key lets nobody in any more: it was revoked, or has expired."""
        return self.revoked_at is not None or (self.expires_at is not None and self.expires_at <= now)


_RECORDING_SINCE = "key_use_since"


def create(
    connection: Connection,
    kind: KeyKind,
    name: str,
    now: datetime,
    token: str | None = None,
    *,
    expires_at: datetime | None = None,
    scopes: Sequence[Scope] = (),
    origins: Sequence[str] = (),
) -> tuple[Key, str]:
    """Makes a key and returns it with its token, which cannot be read again later.

    Give `token` to keep a write key that is already built into apps. Without `scopes` it grants all that its kind
    may. Raises UserError when the token is too short to be safe or not plain ASCII, for an expiry in the past, a scope
    the kind has not, or an origin that is none; ConflictError when the token is in use.
    """
    if kind not in KINDS:
        raise UserError(problem("“{kind}” is not a kind of key. Use write, server or secret.", kind=kind), code="key")
    if token is None:
        token = _PREFIX[kind] + secrets.token_urlsafe(32)
    elif len(token) < _LEAST_LENGTH[kind] or not token.isascii() or not token.isprintable() or ":" in token:
        raise UserError(
            problem(
                "The token of a {kind} key needs {least} plain characters or more, without a colon. "
                "Leave it out to have one made.",
                kind=kind,
                least=_LEAST_LENGTH[kind],
            ),
            code="key",
        )
    if expires_at is not None and expires_at <= now:
        raise UserError(problem("A key has to expire in the future."), code="key", field="expires")
    key = Key(
        "key_" + secrets.token_hex(8), name, kind, digest_of(token), now, None, expires_at, None,
        _scopes(kind, scopes), _origins(kind, origins),
    )  # fmt: skip
    row = key._asdict() | {"scopes": " ".join(key.scopes), "origins": " ".join(key.origins)}
    try:
        connection.execute(insert(keys), row)
    except IntegrityError:
        raise ConflictError(problem("This token is already a key of this workspace. Use another.")) from None
    return key, token


def _scopes(kind: KeyKind, wanted: Sequence[Scope]) -> tuple[Scope, ...]:
    """Raises UserError for one that a key of this kind cannot grant."""
    unknown = [scope for scope in wanted if scope not in SCOPES[kind]]
    if unknown:
        raise UserError(
            problem(
                "A {kind} key cannot have the scope “{scope}”; it may have: {known}.",
                kind=kind,
                scope=unknown[0],
                known=", ".join(SCOPES[kind]),
            ),
            code="key",
            field="scopes",
        )
    return tuple(scope for scope in SCOPES[kind] if scope in wanted or not wanted)


def _origins(kind: KeyKind, wanted: Sequence[str]) -> tuple[str, ...]:
    """Raises UserError for what is no origin, and for origins of a key that no browser uses."""
    if wanted and kind != "write":
        raise UserError(
            problem("Only write keys have origins: no browser uses the others."), code="key", field="origins"
        )
    return tuple(dict.fromkeys(parse_origin(one) for one in wanted))


def revoke(connection: Connection, key_id: str, now: datetime) -> None:
    """Revokes a key; servers notice within seconds. Raises NotFoundError."""
    first_end = func.coalesce(keys.c.revoked_at, literal(now, Instant()))
    ended = connection.execute(update(keys).where(keys.c.id == key_id).values(revoked_at=first_end))
    if not ended.rowcount:
        raise NotFoundError(problem("There is no key “{key}”. List them to see their ids.", key=key_id))


def read_all(connection: Connection) -> list[Key]:
    """Every key, revoked and expired ones too, oldest first."""
    rows = connection.execute(select(keys).order_by(keys.c.created_at, keys.c.id))
    return [_key_of(row) for row in rows]


def read_one(connection: Connection, key_id: str) -> Key | None:
    """The key with an id, ended or not."""
    row = connection.execute(select(keys).where(keys.c.id == key_id)).one_or_none()
    return None if row is None else _key_of(row)


def _key_of(row: Row[Any]) -> Key:
    values = row._asdict()
    return Key(**values | {"scopes": tuple(row.scopes.split()), "origins": tuple(row.origins.split())})


def record_uses(connection: Connection, used: Mapping[str, datetime], now: datetime) -> None:
    """Records when keys, by id, were last used. What is recorded never goes back."""
    if meta.get(connection, _RECORDING_SINCE) is None:
        meta.put(connection, _RECORDING_SINCE, now.isoformat())
    earlier = or_(keys.c.last_used_at.is_(None), keys.c.last_used_at < bindparam("at"))
    statement = update(keys).where(keys.c.id == bindparam("key_id"), earlier).values(last_used_at=bindparam("at"))
    connection.execute(statement, [{"key_id": key_id, "at": at} for key_id, at in sorted(used.items())])


def uses_recorded_since(connection: Connection) -> datetime | None:
    """Since when the use of keys is recorded; None before the first use of one."""
    found = meta.get(connection, _RECORDING_SINCE)
    return None if found is None else datetime.fromisoformat(found)


def server_digests(connection: Connection, now: datetime) -> list[bytes]:
    """The digests of the server keys in force, by which user ids are signed."""
    return [key.hash for key in read_all(connection) if key.kind == "server" and not key.has_ended(now)]


def digest_of(token: str) -> bytes:
    """What is stored of a key's token."""
    # Tokens are 256 random bits, so one fast hash is enough: there is nothing to guess from.
    return sha256(token.encode()).digest()
