"""Delivery reports that wait to be processed: bounces, complaints, providers' webhooks."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, delete, func, select

from keepers.model.message import DeliveryReport
from keepers.store.bulk import chunks, insert_rows
from keepers.store.schema.messages import reports

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(DeliveryReport).decode


def append(connection: Connection, received: Sequence[DeliveryReport]) -> None:
    """Adds reports; they are safe once the connection's transaction has committed."""
    insert_rows(connection, reports, ("at", "body"), [(report.at, _encode(report).decode()) for report in received])


def read(connection: Connection, limit: int) -> list[tuple[int, DeliveryReport]]:
    """Up to `limit` waiting reports with their ids, oldest first. On PostgreSQL they are locked from others."""
    query = select(reports.c.id, reports.c.body).order_by(reports.c.id).limit(limit)
    if connection.dialect.name == "postgresql":
        query = query.with_for_update(skip_locked=True)
    return [(row.id, _decode(row.body)) for row in connection.execute(query)]


def remove(connection: Connection, ids: Sequence[int]) -> None:
    """Deletes reports, in the transaction that records their effects."""
    for chunk in chunks(ids):
        connection.execute(delete(reports).where(reports.c.id.in_(chunk)))


def depth(connection: Connection) -> int:
    """How many reports wait."""
    return int(connection.execute(select(func.count()).select_from(reports)).scalar_one())
