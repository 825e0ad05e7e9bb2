"""Erasures: asked for, carried on until done, and the ledger of keyed hashes of every identifier that was erased."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta
from sqlalchemy import Connection, bindparam, func, insert, select, text, update

from keepers.store.bulk import insert_rows, select_in
from keepers.store.schema.core import Instant
from keepers.store.schema.messages import suppressions
from keepers.store.schema.privacy import erased_identifiers, erased_profiles, erasures


class Erasure(NamedTuple):
    """One that was asked for and is not done. `profile_ids` are the person's, survivor first."""

    id: int
    profile_ids: tuple[int, ...]
    removed: dict[str, int]
    """how many rows of each table are gone so far"""


class ErasedIdentifier(NamedTuple):
    """`hash` is `model.identity.identifier_hash`."""

    hash: str
    erased_at: Annotated[datetime, Meta(tz=False)]


class ErasedAddress(NamedTuple):
    """`hash` is `model.consent.address_hash` of the channel."""

    channel: str
    hash: str
    erased_at: Annotated[datetime, Meta(tz=False)]


class Ledger(NamedTuple):
    """What was erased: `restore` of an older backup applies it."""

    identifiers: list[ErasedIdentifier]
    addresses: list[ErasedAddress]


def begin(connection: Connection, profile_ids: Sequence[int], now: datetime) -> Erasure:
    """Records that a person is to be erased; one that is recorded already goes on, with profiles merged since."""
    known = select_in(connection, select(erased_profiles), erased_profiles.c.profile_id, profile_ids)
    number = next((row.erasure_id for row in known), None)
    if number is None:
        added = connection.execute(insert(erasures).values(requested_at=now, removed="{}"))
        assert added.inserted_primary_key is not None
        number = int(added.inserted_primary_key[0])
    listed = {row.profile_id for row in known}
    new = [(one, number) for one in profile_ids if one not in listed]
    insert_rows(connection, erased_profiles, ("profile_id", "erasure_id"), new)
    connection.execute(update(erasures).where(erasures.c.id == number).values(finished_at=None, compacted_at=None))
    removed = connection.execute(select(erasures.c.removed).where(erasures.c.id == number)).scalar_one()
    return Erasure(number, tuple(profile_ids), msgspec.json.decode(removed))


def unfinished(connection: Connection) -> list[Erasure]:
    """Those that were begun and are not done, oldest first."""
    query = select(erasures).where(erasures.c.finished_at.is_(None)).order_by(erasures.c.id)
    return [
        Erasure(row.id, _profiles_of(connection, row.id), msgspec.json.decode(row.removed))
        for row in connection.execute(query).all()
    ]


def _profiles_of(connection: Connection, erasure_id: int) -> tuple[int, ...]:
    query = select(erased_profiles.c.profile_id).where(erased_profiles.c.erasure_id == erasure_id)
    return tuple(connection.execute(query.order_by(erased_profiles.c.profile_id)).scalars())


def record(connection: Connection, erasure: Erasure, removed: Mapping[str, int]) -> Erasure:
    """Adds to what was removed, in the transaction that removes it; the erasure as it is then."""
    total = dict(erasure.removed)
    for table, number in removed.items():
        total[table] = total.get(table, 0) + number
    written = msgspec.json.encode(total).decode()
    connection.execute(update(erasures).where(erasures.c.id == erasure.id).values(removed=written))
    return erasure._replace(removed=total)


def finish(connection: Connection, erasure: Erasure, now: datetime) -> None:
    """Marks an erasure as done: nothing of the person can be read any more."""
    connection.execute(update(erasures).where(erasures.c.id == erasure.id).values(finished_at=now))


def profile_ids(connection: Connection, among: Sequence[int]) -> set[int]:
    """Those of some profiles that were erased, or are about to be."""
    query = select(erased_profiles.c.profile_id)
    return {row.profile_id for row in select_in(connection, query, erased_profiles.c.profile_id, among)}


def remember(connection: Connection, hashes: Sequence[str], at: datetime) -> None:
    """Adds identifiers to the ledger; of one that was erased before, the later instant counts."""
    statement = text(
        "INSERT INTO erased_identifiers (hash, erased_at) VALUES (:hash, :at) ON CONFLICT (hash) DO UPDATE"
        " SET erased_at = excluded.erased_at WHERE excluded.erased_at > erased_identifiers.erased_at"
    ).bindparams(bindparam("at", type_=Instant))
    if hashes:
        connection.execute(statement, [{"hash": one, "at": at} for one in sorted(set(hashes))])


def is_any(connection: Connection) -> bool:
    """Whether anything was ever erased: without it nothing needs to be hashed."""
    return connection.execute(select(erased_identifiers.c.hash).limit(1)).first() is not None


def erased_at(connection: Connection, hashes: Sequence[str]) -> dict[str, datetime]:
    """When those of these identifiers were erased that were."""
    query = select(erased_identifiers.c.hash, erased_identifiers.c.erased_at)
    return {row.hash: row.erased_at for row in select_in(connection, query, erased_identifiers.c.hash, hashes)}


def ledger(connection: Connection) -> Ledger:
    """What was erased."""
    identifiers = select(erased_identifiers.c.hash, erased_identifiers.c.erased_at)
    addresses = select(suppressions.c.channel, suppressions.c.hash, suppressions.c.at)
    addresses = addresses.where(suppressions.c.reason == "erased")
    return Ledger(
        [ErasedIdentifier(*row) for row in connection.execute(identifiers.order_by(erased_identifiers.c.hash))],
        [ErasedAddress(*row) for row in connection.execute(addresses)],
    )


class WaitingErasures(NamedTuple):
    """How many erasures are under way, how many are done and wait for a compaction, and since when the oldest does."""

    unfinished: int
    to_compact: int
    oldest: datetime | None


def waiting(connection: Connection) -> WaitingErasures:
    """What is still to be done about erasures."""
    begun = select(func.count()).where(erasures.c.finished_at.is_(None))
    done = select(func.count(), func.min(erasures.c.finished_at)).where(
        erasures.c.finished_at.is_not(None), erasures.c.compacted_at.is_(None)
    )
    number, oldest = connection.execute(done).one()
    return WaitingErasures(int(connection.execute(begun).scalar_one()), int(number), oldest)


def mark_compacted(connection: Connection, now: datetime) -> None:
    """Marks the erasures that are done: nothing of them is left in the files as of `now`."""
    connection.execute(
        update(erasures)
        .where(erasures.c.finished_at <= now, erasures.c.compacted_at.is_(None))
        .values(compacted_at=now)
    )
