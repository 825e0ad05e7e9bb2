"""What a merge of two profiles means for all that is kept under their numbers here."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import Connection, Table, update

from keepers.store.journeys import runs
from keepers.store.schema.messages import consents, coupons, in_app, messages, push_subscriptions

_OWNED: tuple[Table, ...] = (messages, consents, coupons, in_app, push_subscriptions)


def merge(
    connection: Connection, pairs: Sequence[tuple[int, int]], now: datetime, several: Collection[str] = ()
) -> int:
    """Gives what merged profiles, as (gone, survivor) in order, had to the survivors; see `runs.merge`.

    Returns how many runs ended as `merged`. A repeat changes nothing.
    """
    for gone, survivor in pairs:
        for table in _OWNED:
            connection.execute(update(table).where(table.c.profile_id == gone).values(profile_id=survivor))
    return runs.merge(connection, pairs, now, several)
