"""Erasure: what is kept here of a person's messages, runs, consent and inboxes goes; keyed hashes stay, so that nobody
writes to the addresses again."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import Connection, Table, delete, select

from keepers.store.bulk import chunks, select_in, update_rows
from keepers.store.profiles import suppressions
from keepers.store.profiles.suppressions import Suppression
from keepers.store.schema.journeys import entry_refusals, journey_runs, run_trail
from keepers.store.schema.messages import (
    consents,
    coupons,
    in_app,
    link_hits,
    message_copies,
    message_history,
    messages,
    push_subscriptions,
)

_OF_MESSAGES: tuple[Table, ...] = (message_copies, message_history, link_hits)
_OF_PROFILES: tuple[Table, ...] = (in_app, push_subscriptions, consents, entry_refusals)


def erase(
    connection: Connection,
    profile_ids: Sequence[int],
    addresses: Sequence[tuple[str, str]],
    now: datetime,
    channels: Collection[str],
) -> dict[str, int]:
    """Removes what is kept of profiles (a person and those merged into them); how many rows of each table.

    `addresses`, as (channel, hash), are suppressed as `erased`, and so are those the messages went to on
    `channels`: those with addresses, for what goes to a customer as such stops with them. Codes that were taken stay
    taken, by nobody. The record of events is not touched. Meant to be called again without harm.
    """
    query = select(messages.c.id, messages.c.channel, messages.c.address_hash)
    sent = list(select_in(connection, query, messages.c.profile_id, profile_ids))
    reached = {(row.channel, row.address_hash) for row in sent if row.address_hash and row.channel in channels}
    stops = reached | set(addresses)
    suppressions.add(connection, [Suppression(c, h, "erased", now, "erasure") for c, h in sorted(stops)])
    ids = [row.id for row in sent]
    run_ids = [
        row[0] for row in select_in(connection, select(journey_runs.c.id), journey_runs.c.profile_id, profile_ids)
    ]
    # Runs, messages, coupons: in the order of `lock_order`.
    gone = {table.name: _delete(connection, table, "profile_id", profile_ids) for table in (journey_runs, messages)}
    gone |= {table.name: _delete(connection, table, "message_id", ids) for table in _OF_MESSAGES}
    gone[run_trail.name] = _delete(connection, run_trail, "run_id", run_ids)
    held = select(coupons.c.pool, coupons.c.code)
    codes = [(None, None, None, *row) for row in select_in(connection, held, coupons.c.profile_id, profile_ids)]
    update_rows(connection, coupons, ("profile_id", "run_id", "message_key"), codes, key=("pool", "code"))
    gone[coupons.name] = len(codes)
    gone |= {table.name: _delete(connection, table, "profile_id", profile_ids) for table in _OF_PROFILES}
    return gone


def _delete(connection: Connection, table: Table, column: str, values: Sequence[int]) -> int:
    return sum(connection.execute(delete(table).where(table.c[column].in_(chunk))).rowcount for chunk in chunks(values))
