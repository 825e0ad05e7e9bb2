"""Erasure: deletes a person's messages, runs, consents and inboxes. Keyed hashes of addresses stay, suppressed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import Connection, Table, delete, select, update

from keepers.store.bulk import chunks, select_in, update_rows
from keepers.store.profiles import suppressions
from keepers.store.profiles.personal_data import HELD, Owner
from keepers.store.profiles.suppressions import Suppression
from keepers.store.schema.journeys import journey_runs
from keepers.store.schema.messages import coupons, messages


def erase(connection: Connection, owner: Owner, now: datetime, channels: Collection[str]) -> dict[str, int]:
    """Removes what is kept of a person, by the list of `personal_data`; how many rows of each table.

    `addresses`, as (channel, hash), are suppressed as `erased`, and so are those the messages went to on
    `channels`: those with addresses, for what goes to a customer as such stops with them. Codes that were taken stay
    taken, by nobody. The record of events is not touched. May be repeated.
    """
    query = select(messages.c.id, messages.c.channel, messages.c.address_hash)
    sent = list(select_in(connection, query, messages.c.profile_id, owner.profile_ids))
    reached = {(row.channel, row.address_hash) for row in sent if row.address_hash and row.channel in channels}
    stops = reached | set(owner.addresses)
    suppressions.add(connection, [Suppression(c, h, "erased", now, "erasure") for c, h in sorted(stops)])
    runs = select_in(connection, select(journey_runs.c.id), journey_runs.c.profile_id, owner.profile_ids)
    ids = {"profile": owner.profile_ids, "message": [row.id for row in sent], "run": [row.id for row in runs]}
    gone: dict[str, int] = {}
    for held in HELD:
        if held.at_erasure == "removed":
            gone[str(held.table.name)] = _delete(connection, held.table, held.columns[0], ids[held.owner])
        elif held.at_erasure == "freed":
            gone[str(held.table.name)] = _free(connection, owner.profile_ids)
        elif held.at_erasure == "redacted":
            about = held.table.c.profile_id.in_(owner.profile_ids)
            connection.execute(update(held.table).where(about).values(profile_id=None))
    return gone


def _free(connection: Connection, profile_ids: Sequence[int]) -> int:
    """Codes that were taken stay taken, by nobody."""
    held = select(coupons.c.pool, coupons.c.code)
    codes = [(None, None, None, *row) for row in select_in(connection, held, coupons.c.profile_id, profile_ids)]
    update_rows(connection, coupons, ("profile_id", "run_id", "message_key"), codes, key=("pool", "code"))
    return len(codes)


def _delete(connection: Connection, table: Table, column: str, values: Sequence[int]) -> int:
    return sum(connection.execute(delete(table).where(table.c[column].in_(chunk))).rowcount for chunk in chunks(values))
