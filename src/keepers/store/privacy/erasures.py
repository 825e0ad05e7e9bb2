"""The ledger of erasures: keyed hashes of every identifier and address that was erased."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, select, text

from keepers.store.schema.core import Instant
from keepers.store.schema.messages import suppressions
from keepers.store.schema.privacy import erased_identifiers


class ErasedIdentifier(NamedTuple):
    """`hash` is `model.identity.identifier_hash`."""

    hash: str
    erased_at: datetime


class ErasedAddress(NamedTuple):
    """`hash` is `model.consent.address_hash` of the channel."""

    channel: str
    hash: str
    erased_at: datetime


class Ledger(NamedTuple):
    """What was erased: `restore` of an older backup applies it."""

    identifiers: list[ErasedIdentifier]
    addresses: list[ErasedAddress]


def remember(connection: Connection, hashes: Sequence[str], at: datetime) -> None:
    """Adds identifiers to the ledger; of one that was erased before, the later instant counts."""
    statement = text(
        "INSERT INTO erased_identifiers (hash, erased_at) VALUES (:hash, :at) ON CONFLICT (hash) DO UPDATE"
        " SET erased_at = excluded.erased_at WHERE excluded.erased_at > erased_identifiers.erased_at"
    ).bindparams(bindparam("at", type_=Instant))
    if hashes:
        connection.execute(statement, [{"hash": one, "at": at} for one in sorted(set(hashes))])


def ledger(connection: Connection, since: datetime | None = None) -> Ledger:
    """What was erased from `since` on; everything without it."""
    identifiers = select(erased_identifiers.c.hash, erased_identifiers.c.erased_at)
    addresses = select(suppressions.c.channel, suppressions.c.hash, suppressions.c.at)
    addresses = addresses.where(suppressions.c.reason == "erased")
    if since is not None:
        identifiers = identifiers.where(erased_identifiers.c.erased_at >= since)
        addresses = addresses.where(suppressions.c.at >= since)
    return Ledger(
        [ErasedIdentifier(*row) for row in connection.execute(identifiers.order_by(erased_identifiers.c.hash))],
        [ErasedAddress(*row) for row in connection.execute(addresses)],
    )
