"""Moves the rows of merged profiles to their survivors."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import Connection, Table, update

from keepers.store.journeys import runs
from keepers.store.schema.messages import consents, coupons, in_app, messages, push_subscriptions

_OWNED: tuple[Table, ...] = (messages, coupons, consents, in_app, push_subscriptions)
"""after the runs, in the order of `lock_order`"""


def merge(
    connection: Connection,
    pairs: Sequence[tuple[int, int, datetime]],
    several: Collection[str] = (),
    *,
    is_waking: bool = False,
) -> int:
    """Gives what merged profiles, as (gone, survivor, when) in order, had to the survivors; see `runs.merge`.

    Returns how many runs ended as `merged`. A repeat changes nothing.
    """
    ended = runs.merge(connection, pairs, several, is_waking=is_waking)
    for table in _OWNED:
        for gone, survivor, _ in pairs:
            connection.execute(update(table).where(table.c.profile_id == gone).values(profile_id=survivor))
    return ended
