"""Erases a person, records it in the ledger of erasures, and applies a ledger to a workspace that is behind it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import select

from keepers.app.customers.addresses import owner_of
from keepers.app.workspace.workspace import Workspace
from keepers.model.identity import identifier_hash
from keepers.store.privacy import erasures
from keepers.store.privacy.erasures import Ledger
from keepers.store.profiles import erasure, identities, suppressions
from keepers.store.profiles.suppressions import Suppression
from keepers.store.schema.core import identities as identity_table

_IDENTITIES_AT_ONCE = 20_000


def erase_person(workspace: Workspace, profile_id: int, now: datetime) -> tuple[dict[str, int], int]:
    """Erases a person with all that were merged into them: rows removed by table, and addresses suppressed.

    The caller holds the sequence of events.
    """
    owner = owner_of(workspace, profile_id)
    channels = {channel for channel, trait in workspace.addresses.items() if trait}
    with workspace.store.begin() as connection:
        names = [one for found in identities.of_profiles(connection, owner.profile_ids).values() for one in found]
        erasures.remember(connection, [identifier_hash(workspace.secret, one.kind, one.value) for one in names], now)
        return erasure.erase(connection, owner, now, channels), len(owner.addresses)


def read_ledger(workspace: Workspace, since: datetime | None = None) -> Ledger:
    """What was erased from `since` on, as keyed hashes with their instants: for whoever restores a backup of then."""
    with workspace.store.read() as connection:
        return erasures.ledger(connection, since)


def apply_ledger(workspace: Workspace, ledger: Ledger, now: datetime) -> int:
    """Erases whom a ledger names and this workspace knows, as after a restore; how many people.

    What it names stays in this workspace's ledger too, with the instants of then, also of those it does not know. The
    caller holds the sequence of events. May be repeated.
    """
    with workspace.store.begin() as connection:
        for at in sorted({one.erased_at for one in ledger.identifiers}):
            erasures.remember(connection, [one.hash for one in ledger.identifiers if one.erased_at == at], at)
        stops = [Suppression(one.channel, one.hash, "erased", one.erased_at, "erasure") for one in ledger.addresses]
        suppressions.add(connection, stops)
    done: set[int] = set()
    found = _named_in(workspace, {one.hash for one in ledger.identifiers})
    for profile_id in found:
        if profile_id not in done:
            done.update(owner_of(workspace, profile_id).profile_ids)
            erase_person(workspace, profile_id, now)
    return len(found)


def _named_in(workspace: Workspace, hashes: Collection[str]) -> list[int]:
    """The profiles one of whose identifiers has one of these hashes."""
    found: set[int] = set()
    after: tuple[str, str] = ("", "")
    columns = identity_table.c
    query = select(columns.kind, columns.value, columns.profile_id).order_by(columns.kind, columns.value)
    while True:
        past = (columns.kind > after[0]) | ((columns.kind == after[0]) & (columns.value > after[1]))
        with workspace.store.read() as connection:
            rows = connection.execute(query.where(past).limit(_IDENTITIES_AT_ONCE)).all()
        if not rows:
            return sorted(found)
        found.update(row.profile_id for row in rows if identifier_hash(workspace.secret, row.kind, row.value) in hashes)
        after = (rows[-1].kind, rows[-1].value)
