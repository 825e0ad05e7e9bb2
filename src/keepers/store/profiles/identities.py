"""Which identifier belongs to which profile. After a merge it belongs to the survivor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, delete, func, select, update

from keepers.model.identity import IdentityKind, bucket_key, subject_kind
from keepers.store import counters
from keepers.store.bulk import insert_rows, select_in
from keepers.store.profiles import profiles
from keepers.store.profiles.profiles import StoredProfile
from keepers.store.schema.core import identities


class KnownIdentity(NamedTuple):
    """`is_unproven`: an unsigned call by a public key linked it. `linked_seq` is the log's number of what linked it to
    this profile: by it the oldest is found; 0 where that is not known."""

    kind: str
    value: str
    profile_id: int
    is_unproven: bool
    linked_seq: int = 0


def find(connection: Connection, kind: str, value: str) -> int | None:
    """The profile an identifier belongs to."""
    query = select(identities.c.profile_id).where(identities.c.kind == kind, identities.c.value == value)
    return connection.execute(query).scalar_one_or_none()


def find_many(connection: Connection, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """The profiles of (kind, value) pairs; unknown ones are absent. One query per kind and 5,000 values."""
    by_kind: dict[str, list[str]] = {}
    for kind, value in wanted:
        by_kind.setdefault(kind, []).append(value)
    found: dict[tuple[str, str], int] = {}
    for kind, values in by_kind.items():
        query = select(identities.c.value, identities.c.profile_id).where(identities.c.kind == kind)
        found.update({(kind, row[0]): row[1] for row in select_in(connection, query, identities.c.value, values)})
    return found


def of_profiles(connection: Connection, ids: Sequence[int]) -> dict[int, list[KnownIdentity]]:
    """All identifiers of each profile, by kind and value; profiles without any are absent."""
    query = select(*(identities.c[name] for name in KnownIdentity._fields))
    owned: dict[int, list[KnownIdentity]] = {}
    for row in select_in(connection, query, identities.c.profile_id, ids):
        owned.setdefault(row.profile_id, []).append(KnownIdentity(*row))
    for listed in owned.values():
        listed.sort()
    return owned


def has_user_id(connection: Connection, profile_id: int) -> bool:
    """Whether it was said who a profile is."""
    query = select(identities.c.value).where(identities.c.profile_id == profile_id, identities.c.kind == "user_id")
    return connection.execute(query.limit(1)).first() is not None


def with_user_id(connection: Connection, ids: Sequence[int]) -> frozenset[int]:
    """Those of some profiles of whom it was said who they are."""
    query = select(identities.c.profile_id).where(identities.c.kind == "user_id")
    return frozenset(row.profile_id for row in select_in(connection, query, identities.c.profile_id, ids))


def search(connection: Connection, text: str, after: int, limit: int) -> list[int]:
    """Up to `limit` profiles past `after`, by id, one of whose identifiers contains the text, whatever its case."""
    contains = func.lower(identities.c.value).contains(text.lower(), autoescape=True)
    query = select(identities.c.profile_id).where(contains, identities.c.profile_id > after)
    return list(connection.execute(query.distinct().order_by(identities.c.profile_id).limit(limit)).scalars())


def append(connection: Connection, new: Sequence[KnownIdentity]) -> None:
    """Adds identifiers that belong to nobody yet."""
    insert_rows(connection, identities, KnownIdentity._fields, list(new))


def move(connection: Connection, moved: Sequence[KnownIdentity]) -> None:
    """Gives existing identifiers to the profiles named in them."""
    if moved:
        connection.execute(
            update(identities)
            .where(identities.c.kind == bindparam("of_kind"), identities.c.value == bindparam("of_value"))
            .values(
                profile_id=bindparam("to_profile"), is_unproven=bindparam("unproven"), linked_seq=bindparam("by_seq")
            ),
            [
                {
                    "of_kind": m.kind, "of_value": m.value, "to_profile": m.profile_id,
                    "unproven": m.is_unproven, "by_seq": m.linked_seq,
                }
                for m in moved
            ],
        )  # fmt: skip


def remove(connection: Connection, gone: Iterable[tuple[str, str]]) -> None:
    """Takes identifiers, given as (kind, value), from whoever has them: they are nobody's then."""
    dropped = [{"of_kind": kind, "of_value": value} for kind, value in gone]
    if dropped:
        connection.execute(
            delete(identities).where(
                identities.c.kind == bindparam("of_kind"), identities.c.value == bindparam("of_value")
            ),
            dropped,
        )


def unproven(connection: Connection, kind: IdentityKind, values: Sequence[str]) -> set[str]:
    """Those of some identifiers that were linked without proof."""
    query = select(identities.c.value).where(identities.c.kind == kind, identities.c.is_unproven)
    return {row.value for row in select_in(connection, query, identities.c.value, values)}


def prove(connection: Connection, names: Iterable[tuple[str, str]]) -> None:
    """Marks identifiers, given as (kind, value), as proven."""
    proven = [{"of_kind": kind, "of_value": value} for kind, value in names]
    if proven:
        connection.execute(
            update(identities)
            .where(identities.c.kind == bindparam("of_kind"), identities.c.value == bindparam("of_value"))
            .values(is_unproven=False),
            proven,
        )


def most_unproven(connection: Connection, number: int) -> list[int]:
    """The profiles with at least so many identifiers that were linked without proof, by id."""
    query = select(identities.c.profile_id).where(identities.c.is_unproven).group_by(identities.c.profile_id)
    return list(connection.execute(query.having(func.count() >= number).order_by(identities.c.profile_id)).scalars())


def resolve_many(
    connection: Connection,
    kind: IdentityKind,
    values: Sequence[str],
    at: Sequence[datetime],
    *,
    is_unproven: bool,
) -> tuple[list[int], list[bool]]:
    """The profile of each value, creating the missing ones; set-based, made for a million values.

    `at[i]` is the instant from which `values[i]` is known; a new profile's `created_at` is the earliest of its
    values'. Returns, in the order of `values`, the ids and whether the profile was made by this call (True only
    at its first place). Nothing is written to the log: the caller loads the warehouse, and should compare
    with what the warehouse has rather than trust `is_new` across a crash. Placeholders must be refused before.
    """
    # Taking the counter first makes a concurrent identify wait, so that nobody is created twice.
    counters.reserve(connection, counters.PROFILE_ID, 0)
    first_at: dict[str, datetime] = {}
    for value, instant in zip(values, at, strict=True):
        known = first_at.get(value)
        if known is None or instant < known:
            first_at[value] = instant
    found = _known(connection, kind, list(first_at))
    missing = [value for value in first_at if value not in found]
    if missing:
        first_id = counters.reserve(connection, counters.PROFILE_ID, len(missing))
        subject = subject_kind(kind)
        made = list(zip(missing, range(first_id, first_id + len(missing)), strict=True))
        profiles.append(
            connection, [StoredProfile(i, subject, bucket_key(kind, value), first_at[value]) for value, i in made]
        )
        # In the order of the key, which is how the table is kept: random order costs several times as much.
        append(connection, [KnownIdentity(kind, value, i, is_unproven=is_unproven) for value, i in sorted(made)])
        found.update(made)
    unseen = set(missing)
    is_new = []
    for value in values:
        is_new.append(value in unseen)
        unseen.discard(value)
    return [found[value] for value in values], is_new


def _known(connection: Connection, kind: str, values: list[str]) -> dict[str, int]:
    any_row = select(identities.c.value).where(identities.c.kind == kind).limit(1)
    if not values or connection.execute(any_row).first() is None:
        return {}
    query = select(identities.c.value, identities.c.profile_id).where(identities.c.kind == kind)
    return {row[0]: row[1] for row in select_in(connection, query, identities.c.value, values)}
