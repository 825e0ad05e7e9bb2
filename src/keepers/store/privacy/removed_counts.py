"""Counts of runs and messages that are not kept any more, so that reports of the past still add up. Of nobody."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from sqlalchemy import Connection, select, text

from keepers.store.schema.privacy import removed_counts

Counted = Literal[
    "run", "visit", "happened", "happened_runs", "message", "sent", "opened", "clicked", "rejection", "dropped"
]
"""`run` by the reason it ended; `visit` of a step; `happened` is a row of a run's history, `happened_runs` counts each
run once; `sent`, `opened` and `clicked` are messages of a broadcast's variant; `rejection` is one profile's;
`dropped` are events that named somebody who was erased"""


class RemovedCount(NamedTuple):
    """`status` of a message, or what happened in a run; `send_id` is the sending of a broadcast, 0 outside one."""

    what: Counted
    number: int
    journey: str = ""
    broadcast: str = ""
    send_id: int = 0
    version: int = 0
    step: str = ""
    message: str = ""
    channel: str = ""
    status: str = ""
    reason: str = ""


_KEY = tuple(name for name in RemovedCount._fields if name != "number")


def add(connection: Connection, counts: Iterable[RemovedCount]) -> None:
    """Adds to the counts, in the transaction that removes what is counted."""
    rows = [one._asdict() for one in sorted(counts) if one.number]
    if not rows:
        return
    names = ", ".join(RemovedCount._fields)
    values = ", ".join(f":{name}" for name in RemovedCount._fields)
    statement = text(
        f"INSERT INTO removed_counts ({names}) VALUES ({values})"
        f" ON CONFLICT ({', '.join(_KEY)}) DO UPDATE SET number = removed_counts.number + excluded.number"
    )
    connection.execute(statement, rows)


def read(
    connection: Connection,
    what: Counted,
    *,
    journey: str | None = None,
    broadcast: str | None = None,
    send_id: int | None = None,
    version: int | None = None,
) -> list[RemovedCount]:
    """The counts of one kind that fit."""
    query = select(*(removed_counts.c[name] for name in RemovedCount._fields)).where(removed_counts.c.what == what)
    chosen = {"journey": journey, "broadcast": broadcast, "send_id": send_id, "version": version}
    for name, value in chosen.items():
        if value is not None:
            query = query.where(removed_counts.c[name] == value)
    return [RemovedCount(*row) for row in connection.execute(query)]
