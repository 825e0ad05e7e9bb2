"""The exact copy each customer got, for as long as it is kept."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, delete, select

from keepers.model.message import Content
from keepers.store.bulk import insert_rows
from keepers.store.schema.messages import message_copies

KEPT = timedelta(days=396)
"""13 months"""
_NAMES = ("message_id", "subject", "html", "text", "content", "kept_until")


class CopyRow(Struct, frozen=True):
    """`content` is what else was handed over: title, url, locale, data."""

    message_id: int
    subject: str
    html: str
    text: str
    content: Content
    kept_until: datetime


def put(connection: Connection, contents: Sequence[tuple[int, Content]], now: datetime, kept: timedelta = KEPT) -> None:
    """Stores copies, given as (message, content); of a message that is tried again the last is kept."""
    if not contents:
        return
    ids = [message_id for message_id, _ in contents]
    connection.execute(delete(message_copies).where(message_copies.c.message_id.in_(ids)))
    rows = [
        (
            message_id,
            content.subject,
            # Mails of a broadcast are alike but not the same; packed they take a fifth of the room.
            zlib.compress(content.html.encode(), 1),
            content.text,
            msgspec.json.encode(msgspec.structs.replace(content, subject="", html="", text="")).decode(),
            now + kept,
        )
        for message_id, content in contents
    ]
    insert_rows(connection, message_copies, _NAMES, rows)


def get(connection: Connection, message_id: int, now: datetime) -> CopyRow | None:
    """The copy of a message; None when none was made or it is no longer kept."""
    query = select(*(message_copies.c[name] for name in _NAMES)).where(
        message_copies.c.message_id == message_id, message_copies.c.kept_until > now
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    html = zlib.decompress(row.html).decode()
    content = msgspec.json.decode(row.content, type=Content)
    whole = msgspec.structs.replace(content, subject=row.subject, html=html, text=row.text)
    return CopyRow(row.message_id, row.subject, html, row.text, whole, row.kept_until)


def prune(connection: Connection, now: datetime, limit: int = 1000) -> int:
    """Removes at most `limit` copies that are no longer kept; returns how many."""
    old = (
        select(message_copies.c.message_id)
        .where(message_copies.c.kept_until <= now)
        .order_by(message_copies.c.kept_until)
        .limit(limit)
    )
    return connection.execute(delete(message_copies).where(message_copies.c.message_id.in_(old))).rowcount
