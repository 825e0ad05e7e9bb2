"""API keys: `write` (public, for browsers), `server` (trusted to write), `secret` (management)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple, get_args

from sqlalchemy import Connection, func, insert, literal, select, update
from sqlalchemy.exc import IntegrityError

from keepers.model.errors import ConflictError, NotFoundError, UserError, problem
from keepers.model.identity import Trust
from keepers.store.key_kinds import KeyKind
from keepers.store.schema.core import Instant, keys

KINDS: tuple[KeyKind, ...] = get_args(KeyKind)
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


def create(
    connection: Connection, kind: KeyKind, name: str, now: datetime, token: str | None = None
) -> tuple[Key, str]:
    """Makes a key and returns it with its token, which cannot be read again later.

    Give `token` to keep a write key that is already built into apps. Raises UserError when it is too short to
    be safe or not plain ASCII, ConflictError when it is in use.
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
    key = Key("key_" + secrets.token_hex(8), name, kind, digest_of(token), now, None)
    try:
        connection.execute(insert(keys), key._asdict())
    except IntegrityError:
        raise ConflictError(problem("This token is already a key of this workspace. Use another.")) from None
    return key, token


def revoke(connection: Connection, key_id: str, now: datetime) -> None:
    """Revokes a key; servers notice within seconds. Raises NotFoundError."""
    first_end = func.coalesce(keys.c.revoked_at, literal(now, Instant()))
    ended = connection.execute(update(keys).where(keys.c.id == key_id).values(revoked_at=first_end))
    if not ended.rowcount:
        raise NotFoundError(problem("There is no key “{key}”. List them to see their ids.", key=key_id))


def read_all(connection: Connection) -> list[Key]:
    """Every key, revoked ones too, oldest first."""
    return [Key(*row) for row in connection.execute(select(keys).order_by(keys.c.created_at, keys.c.id))]


def server_digests(connection: Connection) -> list[bytes]:
    """The digests of the server keys in force, by which user ids are signed."""
    return [key.hash for key in read_all(connection) if key.kind == "server" and key.revoked_at is None]


def digest_of(token: str) -> bytes:
    """What is stored of a key's token."""
    # Tokens are 256 random bits, so one fast hash is enough: there is nothing to guess from.
    return sha256(token.encode()).digest()
