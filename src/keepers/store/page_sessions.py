"""Sessions of the status page: begun by a link or a key, kept as digests of their tokens, ended here and at once."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, delete, insert, select

from keepers.store.schema.core import page_sessions


class PageSession(NamedTuple):
    hash: bytes
    key_id: str | None
    """the key it was begun with; None for a link"""
    expires_at: datetime


def begin(connection: Connection, session: PageSession, now: datetime) -> None:
    """Adds a session, and removes those that have expired."""
    connection.execute(delete(page_sessions).where(page_sessions.c.expires_at <= now))
    connection.execute(insert(page_sessions).values(**session._asdict()))


def find(connection: Connection, digest: bytes) -> PageSession | None:
    """The session of a token's digest, expired or not."""
    row = connection.execute(select(page_sessions).where(page_sessions.c.hash == digest)).one_or_none()
    return None if row is None else PageSession(**row._asdict())


def end(connection: Connection, digest: bytes) -> None:
    """Removes a session, if there is one."""
    connection.execute(delete(page_sessions).where(page_sessions.c.hash == digest))
