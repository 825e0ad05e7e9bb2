"""What is held on a person in the warehouse, and which of its tables say nothing of their own."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from keepers.warehouse.fixed_tables import FIXED
from keepers.warehouse.names import quoted

if TYPE_CHECKING:
    import duckdb

Key = list[Any]
"""where a section stopped, as JSON has it"""


class HeldRows(NamedTuple):
    """Rows about a person. `query` has one parameter `$ids`, the profiles; `key` is unique and orders them.

    `json` are columns of JSON text.
    """

    section: str
    query: str
    key: tuple[str, ...]
    json: tuple[str, ...] = ()


EVENTS = "events"
HELD: dict[str, HeldRows] = {
    "tracks": HeldRows(
        EVENTS,
        """
        SELECT seq, profile_id, kind, event, time, received_at, known_at, source, other_id, raw AS body, trusted
        FROM tracks
        WHERE profile_id IN (SELECT unnest($ids)) OR other_id IN (SELECT unnest($ids))
        """,
        ("seq",),
        ("body",),
    ),
    "trait_values": HeldRows(
        "traits",
        """
        SELECT profile_id, trait, time, seq, known_at, raw AS value, trusted
        FROM trait_values
        WHERE profile_id IN (SELECT unnest($ids))
        """,
        ("seq", "trait"),
        ("value",),
    ),
    "account_members": HeldRows(
        "account_members",
        """
        SELECT account_id, profile_id, since, until, known_at, since::VARCHAR AS since_key
        FROM account_members
        WHERE profile_id IN (SELECT unnest($ids)) OR account_id IN (SELECT unnest($ids))
        """,
        ("account_id", "profile_id", "since_key"),
    ),
    "states": HeldRows(
        "memberships",
        """
        SELECT s.query_id AS rule, q.definition, v.stage, s.profile_id, s.since, s.changes_at, s.cause
        FROM states s
        JOIN standing_queries q ON q.query_id = s.query_id
        LEFT JOIN standing_query_values v ON v.query_id = s.query_id AND v.value = s.value
        WHERE s.profile_id IN (SELECT unnest($ids))
        """,
        ("rule", "profile_id"),
    ),
    "changes": HeldRows(
        "membership_changes",
        """
        SELECT c.n, q.definition, f.stage AS from_stage, t.stage AS to_stage, c.profile_id, c."at", c.cause, c.initial
        FROM changes c
        JOIN standing_queries q ON q.query_id = c.query_id
        LEFT JOIN standing_query_values f ON f.query_id = c.query_id AND f.value = c.from_value
        LEFT JOIN standing_query_values t ON t.query_id = c.query_id AND t.value = c.to_value
        WHERE c.profile_id IN (SELECT unnest($ids))
        """,
        ("n",),
    ),
}
DERIVED: dict[str, str] = {
    "profiles": "the operational store has the profile, and this its zone, which the traits say",
    "canon": "merges of the operational store, closed",
    "merge_links": "merges of the operational store",
    "merge_log": "merges of the operational store",
    "ended_merges": "merges of the operational store",
    "zone_facts": "the zone in the traits",
    "engaged": "the latest time of an event",
    "imported": "the latest arrival of an event that is history",
    "dirty": "what the next tick works out",
}
"""tables that name profiles and hold nothing of their own, with what they are made of; besides them the typed tables,
which are the same events once more, and the audience of a broadcast for as long as it is being queued"""


_NAMES_PROFILES = ("profile_id", "account_id", "from_id", "to_id", "other_id")


class TraitText(NamedTuple):
    """A value that a trait had once. `is_trusted`: a trusted source gave it."""

    trait: str
    text: str
    is_trusted: bool


def texts_of_traits(
    cursor: duckdb.DuckDBPyConnection, profile_ids: Sequence[int], traits: Sequence[str]
) -> list[TraitText]:
    """Every value that some traits of a person ever had, as texts, in order."""
    rows = cursor.execute(
        "SELECT trait, json_extract_string(raw, '$') AS written, bool_or(trusted) FROM trait_values"
        " WHERE profile_id IN (SELECT unnest(?::BIGINT[])) AND trait IN (SELECT unnest(?::VARCHAR[]))"
        " GROUP BY trait, written ORDER BY trait, written",
        [list(profile_ids), list(traits)],
    )
    return [TraitText(*row) for row in rows.fetchall() if row[1]]


def trusted_of_others(
    cursor: duckdb.DuckDBPyConnection, profile_ids: Sequence[int], traits: Sequence[str], texts: Collection[str]
) -> set[str]:
    """Those of some texts that a trusted source gave as one of these traits of anybody but a person, whatever the
    case."""
    if not texts:
        return set()
    rows = cursor.execute(
        "SELECT DISTINCT lower(json_extract_string(raw, '$')) AS written FROM trait_values"
        " WHERE trusted AND trait IN (SELECT unnest(?::VARCHAR[])) AND written IN (SELECT unnest(?::VARCHAR[]))"
        " AND profile_id NOT IN (SELECT unnest(?::BIGINT[]))",
        [list(traits), [one.lower() for one in texts], list(profile_ids)],
    )
    found = {row[0] for row in rows.fetchall()}
    return {one for one in texts if one.lower() in found}


def erase(cursor: duckdb.DuckDBPyConnection, profile_ids: Sequence[int], now: datetime) -> int:
    """Removes the rows of every table that name some profiles, inside the caller's transaction; how many.

    The accounts they were members of are answered again. The caller keeps the number of the last change before.
    """
    tables: dict[str, list[str]] = {}
    columns = cursor.execute(
        "SELECT table_name, column_name FROM duckdb_columns()"
        " WHERE NOT internal AND database_name = current_database() AND list_contains(?::VARCHAR[], column_name)",
        [list(_NAMES_PROFILES)],
    )
    for table, column in columns.fetchall():
        # In a table of events any other name is a property's.
        if table in FIXED or column == "profile_id":
            tables.setdefault(table, []).append(column)
    cursor.execute("CREATE OR REPLACE TEMP TABLE erased AS SELECT unnest(?::BIGINT[]) AS id", [list(profile_ids)])
    cursor.execute(
        "CREATE OR REPLACE TEMP TABLE accounts_of_erased AS SELECT DISTINCT account_id AS id FROM account_members"
        " WHERE profile_id IN (SELECT id FROM erased) AND account_id NOT IN (SELECT id FROM erased)"
    )
    gone = 0
    for table, names in sorted(tables.items()):
        named = " OR ".join(f"{quoted(name)} IN (SELECT id FROM erased)" for name in names)
        found = cursor.execute(f"DELETE FROM {quoted(table)} WHERE {named}").fetchone()
        gone += int(found[0]) if found else 0
    cursor.execute("INSERT INTO dirty SELECT id, ?, 'account', '' FROM accounts_of_erased", [now])
    for table in ("erased", "accounts_of_erased"):
        cursor.execute(f"DROP TABLE {table}")
    return gone


def read_held(
    cursor: duckdb.DuckDBPyConnection, held: HeldRows, profile_ids: Sequence[int], after: Key | None, limit: int
) -> list[tuple[Key, dict[str, Any]]]:
    """Up to `limit` rows past the key `after`, in the order of their keys, each with its key and as plain data."""
    keys = ", ".join(held.key)
    past = f"WHERE ({keys}) > ({', '.join(f'$after{n}' for n in range(len(held.key)))})" if after is not None else ""
    cursor.execute(
        f"SELECT * FROM ({held.query}) {past} ORDER BY {keys} LIMIT {limit:d}",
        {"ids": list(profile_ids)} | {f"after{n}": value for n, value in enumerate(after or ())},
    )
    names = [column[0] for column in cursor.description or ()]
    found = []
    for row in cursor.fetchall():
        values = dict(zip(names, row, strict=True))
        key = [values[name] for name in held.key]
        data = {name: _plain(held, name, value) for name, value in values.items() if name != "since_key"}
        found.append((key, data))
    return found


def _plain(held: HeldRows, name: str, value: Any) -> Any:
    if name in held.json and value is not None:
        return msgspec.json.decode(value)
    assert not isinstance(value, datetime) or value.tzinfo is None
    return value
