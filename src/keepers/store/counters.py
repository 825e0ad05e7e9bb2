"""Numbers that are handed out once and never again: `seq` of the log and `profile_id`."""

from __future__ import annotations

from sqlalchemy import Connection, select, update

from keepers.store.schema.core import counters

SEQ = "seq"
PROFILE_ID = "profile_id"
NAMES = (SEQ, PROFILE_ID)


def reserve(connection: Connection, name: str, n: int) -> int:
    """Takes `n` numbers and returns the first; they run on without gaps.

    The counter's row stays locked until the transaction ends, so `reserve(connection, name, 0)` is also how a
    writer makes the others wait. A rolled-back transaction gives its numbers back unseen.
    """
    statement = (
        update(counters).where(counters.c.name == name).values(value=counters.c.value + n).returning(counters.c.value)
    )
    value = int(connection.execute(statement).scalar_one())
    return value - n + 1


def last(connection: Connection, name: str) -> int:
    """The last number handed out; 0 when there was none."""
    return int(connection.execute(select(counters.c.value).where(counters.c.name == name)).scalar_one())
