"""Removes what is kept of a person, in pieces that hold the store's lock for a moment each; what was counted stays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, delete, or_, select, tuple_, update

from keepers.model.consent import NOBODY
from keepers.store.bulk import chunks, select_in, update_rows
from keepers.store.database import Store
from keepers.store.events import log as event_log
from keepers.store.privacy import removal
from keepers.store.privacy.personal_data import HELD, HeldTable, Owner, owned, statements_of_others
from keepers.store.schema.core import audit_log, log, merges
from keepers.store.schema.journeys import entry_rejections, journey_runs
from keepers.store.schema.messages import consents, coupons, messages, suppressions

AT_ONCE = 200
"""rows that one transaction removes"""
_LOG_AT_ONCE = 50_000
_MERGES_AT_ONCE = 5_000
RemovedRows = tuple[Connection, dict[str, int]]
"""an open transaction, and how many rows of which table it removed"""


def rows_in_steps(store: Store, owner: Owner) -> Iterator[RemovedRows]:
    """Removes the rows of all tables but the log and those that say who somebody is. What the readers of addresses
    decided that are not theirs stays, of nobody.

    Yields, inside each transaction, the connection and how many rows of which table are gone. May be repeated.
    """
    for table, remove in ((messages, removal.remove_messages), (journey_runs, removal.remove_runs)):
        for ids in _keys(store, table, table.c.profile_id.in_(owner.profile_ids)):
            with store.begin() as connection:
                yield connection, remove(connection, [key[0] for key in ids], "erased")
    with store.begin() as connection:
        _free_statements(connection, owner)
        yield connection, {}
    for held in HELD:
        if held.at_erasure == "removed" and held.owner == "profile" and not held.is_identity and held.table is not log:
            for keys in _keys(store, held.table, owned(held, owner)):
                with store.begin() as connection:
                    yield connection, {str(held.table.name): _remove(connection, held, keys)}
    with store.begin() as connection:
        yield connection, {"coupons": _free(connection, owner.profile_ids)}
    with store.begin() as connection:
        about = audit_log.c.profile_id.in_(owner.profile_ids)
        yield connection, {"audit_log": connection.execute(
            update(audit_log).where(about).values(profile_id=None)
        ).rowcount}  # fmt: skip


def log_in_steps(store: Store, owner: Owner, after: int = 0) -> Iterator[RemovedRows]:
    """Removes the person's rows of the log past a seq, also those that another profile's row names them in. May be
    repeated.

    It has no index by profile, so all of it is read, which keeps nobody waiting.
    """
    with store.read() as connection:
        last = event_log.last_seq(connection)
    ids = list(owner.profile_ids)
    mine = or_(log.c.profile_id.in_(ids), log.c.other_id.in_(ids))
    for first in range(after, last + 1, _LOG_AT_ONCE):
        query = select(log.c.seq).where(log.c.seq > first, log.c.seq <= first + _LOG_AT_ONCE, mine)
        with store.read() as connection:
            found = list(connection.execute(query).scalars())
        for seqs in chunks(found, AT_ONCE):
            with store.begin() as connection:
                yield connection, {"log": event_log.remove(connection, seqs)}


def forget_in_merges(store: Store, owner: Owner, names: Sequence[tuple[str, str]]) -> None:
    """Takes identifiers out of what merges of others remember of who moved: one that was taken back, and whose
    identifiers came to this person another way. May be repeated."""
    gone = set(names)
    after = 0
    while True:
        query = select(merges.c.id, merges.c.identities).where(merges.c.id > after)
        with store.read() as connection:
            rows = connection.execute(query.order_by(merges.c.id).limit(_MERGES_AT_ONCE)).all()
        if not rows:
            return
        after = rows[-1].id
        changed = []
        for number, written in rows:
            moved = msgspec.json.decode(written, type=list[tuple[str, str]])
            kept = [name for name in moved if name not in gone]
            if len(kept) < len(moved):
                changed.append((msgspec.json.encode(kept).decode(), number))
        if changed:
            with store.begin() as connection:
                update_rows(connection, merges, ("identities",), changed)


def forget_details(connection: Connection, addresses: Sequence[tuple[str, str]]) -> None:
    """Clears what suppressions of addresses, as (channel, hash), quote of mail servers: it names the address."""
    for chunk in chunks(sorted(addresses), AT_ONCE):
        own = tuple_(suppressions.c.channel, suppressions.c.hash).in_(chunk)
        connection.execute(update(suppressions).where(own).values(detail="", source=""))


def remove_identity(connection: Connection, owner: Owner) -> dict[str, int]:
    """Removes who the person is: identifiers, merges, profiles. Last, for all else is found by it."""
    found = {}
    for held in HELD:
        if held.is_identity:
            gone = connection.execute(delete(held.table).where(owned(held, owner)))
            found[str(held.table.name)] = gone.rowcount
    return found


def _keys(store: Store, table: Any, condition: ColumnElement[bool]) -> Iterator[Sequence[Any]]:
    """The keys of the rows that fit, read before any is removed, in pieces."""
    query = select(*table.primary_key.columns).where(condition).order_by(*table.primary_key.columns)
    with store.read() as connection:
        found = [tuple(row) for row in connection.execute(query)]
    yield from chunks(found, AT_ONCE)


def _remove(connection: Connection, held: HeldTable, keys: Sequence[Any]) -> int:
    if held.table is entry_rejections:
        removal.count_rejections(connection, keys)
    columns = list(held.table.primary_key.columns)
    named = columns[0].in_([key[0] for key in keys]) if len(columns) == 1 else tuple_(*columns).in_(keys)
    return connection.execute(delete(held.table).where(named)).rowcount


def _free(connection: Connection, profile_ids: Sequence[int]) -> int:
    """Codes that were taken stay taken, by nobody."""
    held = select(coupons.c.pool, coupons.c.code)
    codes = [(None, None, None, *row) for row in select_in(connection, held, coupons.c.profile_id, profile_ids)]
    update_rows(connection, coupons, ("profile_id", "run_id", "message_key"), codes, key=("pool", "code"))
    return len(codes)


def _free_statements(connection: Connection, owner: Owner) -> None:
    """What others decided for their own address still holds there: by nobody."""
    foreign = consents.c.profile_id.in_(list(owner.profile_ids)) & statements_of_others(owner)
    connection.execute(update(consents).where(foreign).values(profile_id=NOBODY))
