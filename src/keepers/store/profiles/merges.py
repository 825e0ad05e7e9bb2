"""Which profile was merged into which, why, and which identifiers moved: enough to take it back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec
from sqlalchemy import Connection, insert, select, update

from keepers.store.bulk import select_in
from keepers.store.profiles import profiles
from keepers.store.schema.core import merges


class Merge(msgspec.Struct, frozen=True):
    """`identities` are the (kind, value) pairs that moved from `from_id` to `to_id`."""

    from_id: int
    to_id: int
    seq: int
    at: datetime
    cause: str
    identities: tuple[tuple[str, str], ...] = ()
    id: int = 0
    undone_at: datetime | None = None


def append(connection: Connection, made: Sequence[Merge]) -> None:
    """Records merges; ids are given by the store."""
    if made:
        connection.execute(
            insert(merges),
            [
                {
                    "from_id": m.from_id, "to_id": m.to_id, "seq": m.seq, "at": m.at, "cause": m.cause,
                    "identities": msgspec.json.encode(m.identities).decode(),
                }
                for m in made
            ],
        )  # fmt: skip


def current(connection: Connection, from_id: int) -> Merge | None:
    """The merge by which a profile is gone now, if any."""
    query = select(merges).where(merges.c.from_id == from_id, merges.c.undone_at.is_(None))
    row = connection.execute(query.order_by(merges.c.id.desc()).limit(1)).one_or_none()
    return None if row is None else _merge(row._mapping)


def undone_pairs(connection: Connection, ids: Sequence[int]) -> set[tuple[int, int]]:
    """(profile, survivor of the other) of those of `ids` that were un-merged.

    They are not merged automatically again.
    """
    query = select(merges.c.from_id, merges.c.to_id).where(merges.c.undone_at.is_not(None))
    taken_out = select_in(connection, query, merges.c.from_id, ids)
    return {(source, profiles.survivor(connection, target)) for source, target in taken_out}


def mark_undone(connection: Connection, merge_id: int, at: datetime) -> None:
    """Marks a merge as undone."""
    connection.execute(update(merges).where(merges.c.id == merge_id).values(undone_at=at))


def _merge(row: object) -> Merge:
    fields = dict(row)  # type: ignore[call-overload]
    fields["identities"] = msgspec.json.decode(fields["identities"], type=tuple[tuple[str, str], ...])
    return Merge(**fields)
