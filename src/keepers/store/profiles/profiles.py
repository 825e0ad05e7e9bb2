"""Subjects: people and accounts, in one id space. What is known about them lives in the warehouse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, select, update

from keepers.model.errors import NotFoundError, problem
from keepers.store.bulk import insert_rows, select_in
from keepers.store.schema.core import profiles


class StoredProfile(NamedTuple):
    """`merged_into` is the survivor, if any; `linking_stopped_at` is when it had too many identifiers."""

    id: int
    kind: str
    bucket_key: str
    created_at: datetime
    merged_into: int | None = None
    linking_stopped_at: datetime | None = None


def append(connection: Connection, created: Sequence[StoredProfile]) -> None:
    """Adds profiles whose ids were reserved in the same transaction."""
    insert_rows(connection, profiles, StoredProfile._fields, list(created))


def get(connection: Connection, profile_id: int) -> StoredProfile:
    """One profile, merged or not. Raises NotFoundError."""
    row = connection.execute(select(profiles).where(profiles.c.id == profile_id)).one_or_none()
    if row is None:
        raise NotFoundError(problem("There is no profile {profile_id}.", profile_id=profile_id), profile_id=profile_id)
    return StoredProfile(*row)


def survivor(connection: Connection, profile_id: int) -> int:
    """The profile this one lives on in, following merges. Raises NotFoundError."""
    while (into := get(connection, profile_id).merged_into) is not None:
        profile_id = into
    return profile_id


def mark_merged(connection: Connection, pairs: Sequence[tuple[int, int | None]]) -> None:
    """Sets `merged_into` for (profile, survivor) pairs; None takes it back."""
    for profile_id, into in pairs:
        connection.execute(update(profiles).where(profiles.c.id == profile_id).values(merged_into=into))


def bucket_keys(connection: Connection, ids: Sequence[int]) -> dict[int, str]:
    """The keys for samples and splits of some profiles."""
    query = select(profiles.c.id, profiles.c.bucket_key)
    return {row.id: row.bucket_key for row in select_in(connection, query, profiles.c.id, ids)}


def set_bucket_keys(connection: Connection, keys: Mapping[int, str]) -> None:
    """Gives profiles other keys for samples and splits."""
    for profile_id, key in sorted(keys.items()):
        connection.execute(update(profiles).where(profiles.c.id == profile_id).values(bucket_key=key))


def mark_full(connection: Connection, ids: Sequence[int], at: datetime) -> None:
    """Marks profiles as having too many identifiers; the first time is kept."""
    for profile_id in ids:
        connection.execute(
            update(profiles)
            .where(profiles.c.id == profile_id, profiles.c.linking_stopped_at.is_(None))
            .values(linking_stopped_at=at)
        )
