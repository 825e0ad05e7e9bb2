"""Numbers that are given out once: `seq` of the log and `profile_id`."""

from __future__ import annotations

from sqlalchemy import Connection, select, update

from keepers.store.schema.core import counters

SEQ = "seq"
PROFILE_ID = "profile_id"


def reserve(connection: Connection, name: str, n: int) -> int:
    """Takes `n` numbers and returns the first; they run on without gaps.

    The counter's row stays locked until the transaction ends, so `reserve(connection, name, 0)` makes other writers
    wait. A rolled-back transaction returns its numbers.
    """
    statement = (
        update(counters).where(counters.c.name == name).values(value=counters.c.value + n).returning(counters.c.value)
    )
    value = int(connection.execute(statement).scalar_one())
    return value - n + 1


def last(connection: Connection, name: str) -> int:
    """The last number handed out; 0 when there was none."""
    return int(connection.execute(select(counters.c.value).where(counters.c.name == name)).scalar_one())
