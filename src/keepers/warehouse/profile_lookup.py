"""Profiles as they are at present, many at once: zone, traits, last activity, and survivors of merges."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from keepers.contact.addresses import address_of, country_of, home_country
from keepers.contact.eligibility import Contact
from keepers.warehouse.fixed_tables import TRAIT_ORDER, get_meta

if TYPE_CHECKING:
    import duckdb

    from keepers.warehouse.database import Warehouse

OWN_SOURCE = "keepers"
"""the source of Keepers' own events, which are no activity"""
RECENT = timedelta(days=7)
"""older activity before the last tick is not searched for: it lifts no quiet hours"""
_LAST_TICK = "last_tick"
_NEVER = (None, None)
_decode = msgspec.json.Decoder().decode


class ProfileSnapshot(Struct, frozen=True):
    """`profile_id` is the survivor after merges. `traits` by their full names, nested ones with dots."""

    profile_id: int
    bucket_key: str
    zone: str
    traits: dict[str, Any]
    last_activity_at: datetime | None = None
    """their newest event of the last days, if any"""
    engaged_at: datetime | None = None
    """when they last clicked, visited, ordered or consented, if known"""
    unconfirmed: frozenset[str] = frozenset()
    """the traits that are known from public keys alone"""
    trusted_activity_at: datetime | None = None
    """their newest event of the last days by a trusted source, if any"""


def load_profiles(
    warehouse: Warehouse, profile_ids: Collection[int], *, whole: bool = True
) -> dict[int, ProfileSnapshot]:
    """Those of the profiles that the warehouse knows, by the requested id. Uses this thread's cursor.

    Without `whole`, traits and activity are left out, which are most of the work.
    """
    if not profile_ids:
        return {}
    cursor = warehouse.cursor()
    final = survivors(warehouse, profile_ids)
    _want(cursor, {final.get(i, i) for i in profile_ids}, has_merges=warehouse.has_merges)
    known = cursor.execute(
        "SELECT profile_id, bucket_key, zone FROM profiles WHERE profile_id IN (SELECT id FROM looked_up)"
    ).fetchall()
    traits, unconfirmed = _traits(cursor) if whole else ({}, {})
    active = {owner: times for owner, *times in _activity(cursor)} if whole else {}
    engaged = dict(_engagement(cursor)) if whole else {}
    found = {
        i: ProfileSnapshot(
            i, key, zone, traits.get(i, {}), active.get(i, _NEVER)[0], engaged.get(i),
            frozenset(unconfirmed.get(i, ())), active.get(i, _NEVER)[1],
        )
        for i, key, zone in known
    }  # fmt: skip
    named = ((i, found.get(final.get(i, i))) for i in profile_ids)
    return {i: profile for i, profile in named if profile is not None}


def survivors(warehouse: Warehouse, profile_ids: Collection[int]) -> dict[int, int]:
    """Merged profile → survivor. Others are absent."""
    if not warehouse.has_merges or not profile_ids:
        return {}
    sql = "SELECT from_id, to_id FROM canon WHERE from_id IN (SELECT unnest(?::BIGINT[]))"
    return dict(warehouse.cursor().execute(sql, [list(profile_ids)]).fetchall())


def _want(cursor: duckdb.DuckDBPyConnection, ids: Collection[int], *, has_merges: bool) -> None:
    """Makes temporary tables: `looked_up` (id) of those requested, `looked_up_ids` (id, owner) of every id they had.

    Lists as parameters: an Arrow table takes longer up to a thousand ids, and loads pandas.
    """
    cursor.execute("CREATE OR REPLACE TEMP TABLE looked_up AS SELECT unnest(?::BIGINT[]) AS id", [sorted(ids)])
    cursor.execute("CREATE OR REPLACE TEMP TABLE looked_up_ids AS SELECT id, id AS owner FROM looked_up")
    if has_merges:
        cursor.execute(
            "INSERT INTO looked_up_ids SELECT from_id, to_id FROM canon WHERE to_id IN (SELECT id FROM looked_up)"
        )


def _traits(
    cursor: duckdb.DuckDBPyConnection,
) -> tuple[dict[int, dict[str, Any]], dict[int, list[str]]]:
    """The traits of each owner, and which of them are known from public keys alone."""
    rows = cursor.execute(
        f"""
        SELECT w.owner, v.trait, arg_max(v.raw, {TRAIT_ORDER}), max(v.trusted)
        FROM trait_values v
        JOIN looked_up_ids w ON w.id = v.profile_id
        GROUP BY 1, 2
        """
    ).fetchall()
    found: dict[int, dict[str, Any]] = {}
    unconfirmed: dict[int, list[str]] = {}
    for owner, trait, raw, is_trusted in rows:
        value = _decode(raw)
        if value is not None:
            found.setdefault(owner, {})[trait] = value
            if not is_trusted:
                unconfirmed.setdefault(owner, []).append(trait)
    return found, unconfirmed


def _engagement(cursor: duckdb.DuckDBPyConnection) -> list[tuple[int, datetime]]:
    return cursor.execute(
        'SELECT w.owner, max(e."at") FROM engaged e JOIN looked_up_ids w ON w.id = e.profile_id GROUP BY 1'
    ).fetchall()


def _activity(cursor: duckdb.DuckDBPyConnection) -> list[tuple[int, datetime, datetime | None]]:
    """Each owner's newest event, and their newest by a trusted source."""
    last_tick = get_meta(cursor, _LAST_TICK)
    since = datetime.fromisoformat(last_tick) - RECENT if last_tick else datetime.min.replace(year=1900)
    return cursor.execute(
        """
        SELECT w.owner, max(t.time), max(t.time) FILTER (WHERE t.trusted)
        FROM tracks t
        JOIN looked_up_ids w ON w.id = t.profile_id
        WHERE t.time > ? AND t.source <> ? AND t.kind IN ('track', 'page', 'screen')
        GROUP BY 1
        """,
        [since, OWN_SOURCE],
    ).fetchall()


def contact_of(profile: ProfileSnapshot, addresses: Mapping[str, str]) -> Contact:
    """The facts about a customer that decide whether and when they may be contacted. `addresses`: channel → trait."""
    unconfirmed = tuple(channel for channel, trait in addresses.items() if trait in profile.unconfirmed)
    country = country_of(profile.traits) or None
    return Contact(
        profile.zone, country, profile.last_activity_at, profile.engaged_at, unconfirmed, profile.trusted_activity_at
    )


def traits_for(profile: ProfileSnapshot, *, trusted_only: bool) -> dict[str, Any]:
    """What a message may say of its customer: one that cannot be declined says nothing that a browser made up."""
    if not trusted_only:
        return profile.traits
    return {name: value for name, value in profile.traits.items() if name not in profile.unconfirmed}


def recipient_of(profile: ProfileSnapshot, channel: str, addresses: Mapping[str, str]) -> str:
    """The address of a customer on a channel; empty when there is none."""
    trait = addresses.get(channel, "")
    if not trait:
        # In-app messages go to the customer as such; a push to all of the customer's browsers.
        return f"#{profile.profile_id}"
    # A browser does not decide where a number belongs that is not its own.
    known = traits_for(profile, trusted_only=trait not in profile.unconfirmed)
    return address_of(channel, known.get(trait), country_of(known) or home_country(addresses))
