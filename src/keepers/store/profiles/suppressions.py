"""Suppressed addresses, as keyed hashes: they outlive the person's erasure and reveal nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, delete, select, text, tuple_

from keepers.model.consent import SuppressionReason
from keepers.store.bulk import distinct, select_in
from keepers.store.schema.core import Instant
from keepers.store.schema.messages import suppressions

_STRENGTH: tuple[SuppressionReason, ...] = (
    "unsubscribed", "soft_bounces", "complaint", "import", "erased", "hard_bounce", "manual",
)  # fmt: skip
"""a weaker reason does not take the place of a stronger one: the last two stop transactional messages too"""


class Suppression(NamedTuple):
    """`hash` is `model.consent.address_hash` of the channel and recipient."""

    channel: str
    hash: str
    reason: SuppressionReason
    at: datetime
    source: str = ""
    detail: str = ""


def add(connection: Connection, rows: Sequence[Suppression]) -> None:
    """Suppresses addresses. One that is there already keeps its reason, unless the new one is stronger."""
    if not rows:
        return
    strength = "CASE {} " + " ".join(f"WHEN '{reason}' THEN {n}" for n, reason in enumerate(_STRENGTH)) + " END"
    statement = text(
        "INSERT INTO suppressions (channel, hash, reason, at, source, detail)"
        " VALUES (:channel, :hash, :reason, :at, :source, :detail)"
        " ON CONFLICT (channel, hash) DO UPDATE"
        " SET reason = excluded.reason, at = excluded.at, source = excluded.source, detail = excluded.detail"
        f" WHERE {strength.format('excluded.reason')} > {strength.format('suppressions.reason')}"
    ).bindparams(bindparam("at", type_=Instant))
    # In one order, so that two writers cannot deadlock.
    connection.execute(statement, [row._asdict() for row in sorted(rows, key=lambda row: row[:2])])


def lift(connection: Connection, channel: str, hashed: str) -> bool:
    """Takes an address off the list; False when it was not on it."""
    found = connection.execute(
        delete(suppressions).where(suppressions.c.channel == channel, suppressions.c.hash == hashed)
    )
    return found.rowcount > 0


def find(connection: Connection, hashes: Sequence[str]) -> dict[tuple[str, str], Suppression]:
    """Those of these hashes that are suppressed, by (channel, hash)."""
    # A hash is of one channel, but the key begins with the channel.
    channels = distinct(connection, suppressions.c.channel) if hashes else []
    found: dict[tuple[str, str], Suppression] = {}
    for channel in channels:
        query = select(suppressions).where(suppressions.c.channel == channel)
        for row in select_in(connection, query, suppressions.c.hash, hashes):
            found[row.channel, row.hash] = Suppression(*row)
    return found


def everything(connection: Connection, chunk: int = 5000) -> Iterator[Suppression]:
    """The whole list by channel and hash, for an export; memory stays flat."""
    key = tuple_(suppressions.c.channel, suppressions.c.hash)
    query = select(suppressions).order_by(suppressions.c.channel, suppressions.c.hash).limit(chunk)
    rows = connection.execute(query).all()
    while rows:
        yield from (Suppression(*row) for row in rows)
        rows = connection.execute(query.where(key > tuple_(rows[-1].channel, rows[-1].hash))).all()
