"""Pools of coupon codes: imported, and taken one per run, at the moment a message is sent and never before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, func, or_, select

from keepers.store.bulk import insert_rows, select_in, update_rows
from keepers.store.schema.messages import coupons


class CodeRequest(NamedTuple):
    """A code of `pool` for a message: the same run, or without one the same message, gets the same code again.

    With `once_per` a customer who had a code of any pool within that span before gets none.
    """

    pool: str
    message_key: str
    profile_id: int
    run_id: int | None = None
    once_per: timedelta | None = None


class Stock(NamedTuple):
    """How many codes of a pool are free (not expired), and how many were taken."""

    pool: str
    left: int
    taken: int


def put(
    connection: Connection, pool: str, codes: Sequence[str], now: datetime, expires_at: datetime | None = None
) -> int:
    """Adds codes to a pool; those it has already are left out. Returns how many were new."""
    known = {
        row[0]
        for row in select_in(connection, select(coupons.c.code).where(coupons.c.pool == pool), coupons.c.code, codes)
    }
    fresh = sorted({code for code in codes if code} - known)
    names = ("pool", "code", "imported_at", "expires_at")
    insert_rows(connection, coupons, names, [(pool, code, now, expires_at) for code in fresh])
    return len(fresh)


def assign(connection: Connection, wants: Sequence[CodeRequest], now: datetime) -> dict[str, str]:
    """Codes by message key; without one where a pool is empty or the customer had a code not long ago.

    Idempotent. On PostgreSQL codes that another worker is taking are passed over.
    """
    taken, rows = _assigned(connection, wants, now, for_update=True)
    update_rows(connection, coupons, ("profile_id", "run_id", "message_key", "taken_at"), rows, key=("pool", "code"))
    return taken


def available(connection: Connection, wants: Sequence[CodeRequest], now: datetime) -> frozenset[str]:
    """Keys of the messages that would get a code if all were taken now. Takes none: by the time one is sent, others
    may have had it."""
    return frozenset(_assigned(connection, wants, now, for_update=False)[0])


def _assigned(
    connection: Connection, wants: Sequence[CodeRequest], now: datetime, *, for_update: bool
) -> tuple[dict[str, str], list[tuple[object, ...]]]:
    """Codes by message key, and the rows that say who took them."""
    taken: dict[str, str] = {}
    _add_own(connection, wants, taken)
    open_wants = [want for want in wants if want.message_key not in taken]
    recent = _last_taken(connection, sorted({w.profile_id for w in open_wants if w.once_per is not None}))
    rows: list[tuple[object, ...]] = []
    for pool in sorted({want.pool for want in open_wants}):
        requests = [want for want in open_wants if want.pool == pool]
        free = _free(connection, pool, len(requests), now, for_update)
        by_run: dict[int, str] = {}
        for want in requests:
            if want.run_id is not None and want.run_id in by_run:
                taken[want.message_key] = by_run[want.run_id]
                continue
            last = recent.get(want.profile_id)
            if not free or (want.once_per is not None and last is not None and last > now - want.once_per):
                continue
            code = free.pop(0)
            taken[want.message_key] = code
            recent[want.profile_id] = now
            if want.run_id is not None:
                by_run[want.run_id] = code
            rows.append((want.profile_id, want.run_id, want.message_key, now, pool, code))
    return taken, rows


def stock(connection: Connection, now: datetime) -> dict[str, Stock]:
    """What is left in each pool."""
    usable = coupons.c.taken_at.is_(None) & _unexpired(now)
    query = select(
        coupons.c.pool, func.count().filter(usable), func.count().filter(coupons.c.taken_at.is_not(None))
    ).group_by(coupons.c.pool)
    return {row[0]: Stock(*row) for row in connection.execute(query)}


def running_low(connection: Connection, least: Mapping[str, int], now: datetime) -> dict[str, int]:
    """Pools with fewer codes left than their `least`, and how many that are."""
    counted = stock(connection, now) if least else {}
    left = {pool: counted[pool].left if pool in counted else 0 for pool in least}
    return {pool: number for pool, number in left.items() if number < least[pool]}


def _add_own(connection: Connection, wants: Sequence[CodeRequest], taken: dict[str, str]) -> None:
    """What these runs and messages were given before."""
    query = select(coupons.c.pool, coupons.c.run_id, coupons.c.code)
    runs = sorted({want.run_id for want in wants if want.run_id is not None})
    of_run = {(row.pool, row.run_id): row.code for row in select_in(connection, query, coupons.c.run_id, runs)}
    without = [want for want in wants if want.run_id is None]
    query = select(coupons.c.pool, coupons.c.message_key, coupons.c.code)
    people = sorted({want.profile_id for want in without})
    of_message = {
        (row.pool, row.message_key): row.code for row in select_in(connection, query, coupons.c.profile_id, people)
    }
    for want in wants:
        own = of_message.get((want.pool, want.message_key))
        code = own if want.run_id is None else of_run.get((want.pool, want.run_id))
        if code is not None:
            taken[want.message_key] = code


def _last_taken(connection: Connection, profile_ids: Sequence[int]) -> dict[int, datetime]:
    query = select(coupons.c.profile_id, func.max(coupons.c.taken_at)).group_by(coupons.c.profile_id)
    return {row[0]: row[1] for row in select_in(connection, query, coupons.c.profile_id, profile_ids) if row[1]}


def _free(connection: Connection, pool: str, number: int, now: datetime, for_update: bool) -> list[str]:
    query = (
        select(coupons.c.code)
        .where(coupons.c.pool == pool, coupons.c.taken_at.is_(None), _unexpired(now))
        .limit(number)
    )
    if for_update and connection.dialect.name == "postgresql":
        query = query.with_for_update(skip_locked=True)
    return list(connection.execute(query).scalars())


def _unexpired(now: datetime) -> ColumnElement[bool]:
    return or_(coupons.c.expires_at.is_(None), coupons.c.expires_at > now)
