"""Who customers are at present, many at once: zone, traits, when they were last active; who was merged into whom."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

import duckdb
import msgspec
import pyarrow as pa
from msgspec import Struct

from keepers.contact.addresses import address_of, country_of, home_country
from keepers.contact.eligibility import Contact
from keepers.warehouse.database import Warehouse
from keepers.warehouse.registry import get_meta

OWN_SOURCE = "keepers"
"""the source of what Keepers itself says; nobody is active by it"""
RECENT = timedelta(days=7)
"""activity longer ago than this before the last tick is not looked for: it lifts nobody's quiet hours"""
_LAST_TICK = "last_tick"
_decode = msgspec.json.Decoder().decode


class Person(Struct, frozen=True):
    """`profile_id` is whom they live on in after merges. `traits` by their full names, nested ones with dots."""

    profile_id: int
    bucket_key: str
    zone: str
    traits: dict[str, Any]
    last_activity_at: datetime | None = None
    """the newest event of theirs, None when the last days saw none"""
    engaged_at: datetime | None = None
    """when they last clicked, visited, ordered or agreed; None when never that is known"""


def people(warehouse: Warehouse, profile_ids: Collection[int], *, whole: bool = True) -> dict[int, Person]:
    """Whoever of them is known to the warehouse, by the id asked for. Uses this thread's cursor.

    Without `whole` their traits and activity are left out, which are most of the work.
    """
    if not profile_ids:
        return {}
    cursor = _idle(warehouse)
    final = survivors(warehouse, profile_ids)
    with _Wanted(cursor, {final.get(i, i) for i in profile_ids}, has_merges=warehouse.has_merges):
        known = cursor.execute(
            "SELECT profile_id, bucket_key, zone FROM profiles WHERE profile_id IN (SELECT id FROM wanted)"
        ).fetchall()
        traits = _traits(cursor) if whole else {}
        active = dict(_activity(cursor)) if whole else {}
        engaged = dict(_engagement(cursor)) if whole else {}
    found = {i: Person(i, key, zone, traits.get(i, {}), active.get(i), engaged.get(i)) for i, key, zone in known}
    named = ((i, found.get(final.get(i, i))) for i in profile_ids)
    return {i: person for i, person in named if person is not None}


def survivors(warehouse: Warehouse, profile_ids: Collection[int]) -> dict[int, int]:
    """Those that were merged → whom they live on in. Who is not in it lives on as themselves."""
    if not warehouse.has_merges or not profile_ids:
        return {}
    cursor = _idle(warehouse)
    cursor.register("asked_for", pa.table({"id": pa.array(list(profile_ids), pa.int64())}))
    rows = cursor.execute("SELECT from_id, to_id FROM canon WHERE from_id IN (SELECT id FROM asked_for)").fetchall()
    cursor.unregister("asked_for")
    return dict(rows)


def _idle(warehouse: Warehouse) -> duckdb.DuckDBPyConnection:
    """This thread's cursor. A result somebody left half read on it would forbid views of one's own."""
    cursor = warehouse.cursor()
    cursor.execute("SELECT 1").fetchall()
    return cursor


class _Wanted:
    """While entered: view `wanted` of those asked for, and `wanted_ids` of every id they ever had (id, owner)."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, ids: Collection[int], *, has_merges: bool) -> None:
        self._cursor = cursor
        self._names = {"wanted": [(i, i) for i in sorted(ids)]}
        self._names["wanted_ids"] = list(self._names["wanted"])
        self._has_merges = has_merges

    def __enter__(self) -> None:
        self._register("wanted")
        if self._has_merges:
            merged = "SELECT from_id, to_id FROM canon WHERE to_id IN (SELECT id FROM wanted)"
            self._names["wanted_ids"] += self._cursor.execute(merged).fetchall()
        self._register("wanted_ids")

    def __exit__(self, *error: object) -> None:
        for name in self._names:
            self._cursor.unregister(name)

    def _register(self, name: str) -> None:
        rows = self._names[name]
        columns = {
            "id": pa.array([r[0] for r in rows], pa.int64()),
            "owner": pa.array([r[1] for r in rows], pa.int64()),
        }
        self._cursor.register(name, pa.table(columns))


def _traits(cursor: duckdb.DuckDBPyConnection) -> dict[int, dict[str, Any]]:
    rows = cursor.execute(
        """
        SELECT w.owner, v.trait, arg_max(v.raw, (v.time, v.seq))
        FROM trait_values v
        JOIN wanted_ids w ON w.id = v.profile_id
        GROUP BY 1, 2
        """
    ).fetchall()
    found: dict[int, dict[str, Any]] = {}
    for owner, trait, raw in rows:
        value = _decode(raw)
        if value is not None:
            found.setdefault(owner, {})[trait] = value
    return found


def _engagement(cursor: duckdb.DuckDBPyConnection) -> list[tuple[int, datetime]]:
    return cursor.execute(
        'SELECT w.owner, max(e."at") FROM engaged e JOIN wanted_ids w ON w.id = e.profile_id GROUP BY 1'
    ).fetchall()


def _activity(cursor: duckdb.DuckDBPyConnection) -> list[tuple[int, datetime]]:
    last_tick = get_meta(cursor, _LAST_TICK)
    since = datetime.fromisoformat(last_tick) - RECENT if last_tick else datetime.min.replace(year=1900)
    return cursor.execute(
        """
        SELECT w.owner, max(t.time)
        FROM tracks t
        JOIN wanted_ids w ON w.id = t.profile_id
        WHERE t.time > ? AND t.source <> ? AND t.kind IN ('track', 'page', 'screen')
        GROUP BY 1
        """,
        [since, OWN_SOURCE],
    ).fetchall()


def contact_of(person: Person) -> Contact:
    """What of a customer decides when they may be written to."""
    return Contact(person.zone, country_of(person.traits) or None, person.last_activity_at, person.engaged_at)


def recipient_of(person: Person, channel: str, addresses: Mapping[str, str]) -> str:
    """The address a channel reaches somebody at; empty when there is none."""
    trait = addresses.get(channel, "")
    if not trait:
        # In-app messages go to the customer as such; a push to all of the customer's browsers.
        return f"#{person.profile_id}"
    return address_of(channel, person.traits.get(trait), country_of(person.traits) or home_country(addresses))
