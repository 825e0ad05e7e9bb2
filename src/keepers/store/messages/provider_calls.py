"""Calls of providers that were taken, remembered for as long as they would be accepted again."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from typing import Literal

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from keepers.store.schema.messages import provider_calls

Remembered = Literal["new", "repeated", "altered"]
"""`altered`: a call of this id came before with another body"""
_FORGOTTEN_AT_ONCE = 500


def is_known(connection: Connection, provider: str, call_id: str) -> bool:
    """Whether a call of this id was taken."""
    digest = sha256(call_id.encode()).digest()
    columns = provider_calls.c
    known = select(columns.id).where(columns.provider == provider, columns.id == digest)
    return connection.execute(known).first() is not None


def remember(
    connection: Connection, provider: str, call_id: str, body: bytes, now: datetime, forget_at: datetime
) -> Remembered:
    """Remembers a call until `forget_at`, unless it is known; and forgets some whose time has come.

    Both by their digests. In the transaction that stores what the call reports, both happen or neither.
    """
    columns = provider_calls.c
    digest, content = sha256(call_id.encode()).digest(), sha256(body).digest()
    gone = select(columns.provider, columns.id).where(columns.forget_at <= now).limit(_FORGOTTEN_AT_ONCE)
    for row in connection.execute(gone).all():
        connection.execute(delete(provider_calls).where(columns.provider == row.provider, columns.id == row.id))
    dialect = sqlite_insert if connection.dialect.name == "sqlite" else postgresql_insert
    added = {"provider": provider, "id": digest, "body": content, "forget_at": forget_at}
    adding = dialect(provider_calls).values(added).on_conflict_do_nothing().returning(columns.id)
    if connection.execute(adding).first() is not None:
        return "new"
    known = select(columns.body).where(columns.provider == provider, columns.id == digest)
    return "repeated" if connection.execute(known).scalar_one() == content else "altered"
