"""Erases a person step by step: begun once, carried on after a crash, done when nothing of them can be read."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct
from sqlalchemy import select

from keepers.app.customers.addresses import named_addresses, owner_of, owner_with, reached_addresses
from keepers.app.customers.erasing_files import Quotable, forget_in_files, is_searched_for
from keepers.evaluation.changes import keep_number
from keepers.model.identity import IDENTITY_KINDS, identifier_hash
from keepers.store.events import log
from keepers.store.privacy import erasure, erasures
from keepers.store.privacy.erasures import Erasure, Ledger
from keepers.store.privacy.personal_data import Owner
from keepers.store.profiles import identities, suppressions
from keepers.store.profiles.suppressions import Suppression
from keepers.store.schema.core import identities as identity_table
from keepers.warehouse.privacy import personal_data as warehouse_data

if TYPE_CHECKING:
    from keepers.app.workspace.workspace import Workspace

_IDENTITIES_AT_ONCE = 20_000
WAREHOUSE_ROWS = "warehouse_rows"


class _Known(Struct, frozen=True):
    """What a person is known by: `names` are (kind, value), `quotable` is what files may quote them by."""

    names: list[tuple[str, str]]
    quotable: list[Quotable]


def erase_person(workspace: Workspace, profile_id: int, now: datetime) -> tuple[dict[str, int], int]:
    """Erases a person with all that were merged into them: rows removed by table, and addresses suppressed.

    The caller holds the sequence of events, and has taken in what had arrived. A crash at any point leaves an erasure
    that `carry_on` finishes.
    """
    owner = owner_of(workspace, profile_id)
    known, reached = _known(workspace, owner), reached_addresses(workspace, owner)
    with workspace.store.begin() as connection:
        begun = erasures.begin(connection, owner.profile_ids, now)
        # First of all: nothing goes to them any more, and what comes of them again is known.
        suppressions.add(connection, [Suppression(c, h, "erased", now, "erasure") for c, h in reached])
        erasures.remember(connection, [identifier_hash(workspace.secret, *name) for name in known.names], now)
    return _run(workspace, begun, owner, known, now), len(reached)


def carry_on(workspace: Workspace, now: datetime) -> int:
    """Finishes the erasures that were begun and not done; how many. The caller holds the sequence of events."""
    with workspace.store.read() as connection:
        begun = erasures.unfinished(connection)
    for one in begun:
        owner = owner_with(workspace, one.profile_ids)
        _run(workspace, one, owner, _known(workspace, owner), now)
    return len(begun)


def read_ledger(workspace: Workspace) -> Ledger:
    """What was erased, as keyed hashes with their instants: for whoever restores a backup of before."""
    with workspace.store.read() as connection:
        return erasures.ledger(connection)


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
    found = _named_in(workspace, {one.hash for one in ledger.identifiers})
    done: set[int] = set()
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


def _known(workspace: Workspace, owner: Owner) -> _Known:
    with workspace.store.read() as connection:
        listed = identities.of_profiles(connection, owner.profile_ids)
    owned = [one for found in listed.values() for one in found]
    named = named_addresses(workspace, owner)
    trusted = {one.value for one in owned if not one.is_unproven} | {one.written for one in named if one.is_theirs}
    public = ({one.value for one in owned} | {one.written for one in named}) - trusted
    public = {one for one in public if is_searched_for(Quotable(one, False))}
    public -= _of_others(workspace, owner, public)
    quotable = [*(Quotable(one, True) for one in sorted(trusted)), *(Quotable(one, False) for one in sorted(public))]
    return _Known([(one.kind, one.value) for one in owned], quotable)


def _of_others(workspace: Workspace, owner: Owner, texts: Collection[str]) -> set[str]:
    """Those of some texts that somebody else is known by: an identifier of any kind, or an address that a trusted
    source named."""
    with workspace.store.read() as connection:
        owners = identities.find_many(connection, [(kind, text) for kind in IDENTITY_KINDS for text in texts])
    held = {text for (_, text), profile_id in owners.items() if profile_id not in owner.profile_ids}
    traits = [trait for trait in workspace.addresses.values() if trait]
    return held | warehouse_data.trusted_of_others(workspace.warehouse.cursor(), owner.profile_ids, traits, texts)


def _run(workspace: Workspace, begun: Erasure, owner: Owner, known: _Known, now: datetime) -> dict[str, int]:
    store = workspace.store
    removed = forget_in_files(workspace.data_folder, workspace.warehouse.path, known.quotable)
    with store.begin() as connection:
        erasure.forget_details(connection, owner.addresses)
        one = erasures.record(connection, begun, removed)
        logged = log.last_seq(connection)
    erasure.forget_in_merges(store, owner, known.names)
    for steps in (erasure.rows_in_steps(store, owner), erasure.log_in_steps(store, owner)):
        for connection, gone in steps:
            one = erasures.record(connection, one, gone)
    with workspace.warehouse.transaction() as cursor:
        keep_number(cursor)
        gone_there = warehouse_data.erase(cursor, owner.profile_ids, now)
    with store.begin() as connection:
        last = {WAREHOUSE_ROWS: gone_there} | erasure.remove_identity(connection, owner)
        one = erasures.record(connection, one, last)
    # What others wrote meanwhile about somebody whom they had looked up before; nobody finds them from here on.
    for steps in (erasure.rows_in_steps(store, owner), erasure.log_in_steps(store, owner, logged)):
        for connection, gone in steps:
            one = erasures.record(connection, one, gone)
    with store.begin() as connection:
        erasures.finish(connection, one, now)
    return one.removed
