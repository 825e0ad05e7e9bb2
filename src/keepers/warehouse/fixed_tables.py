"""The warehouse's fixed tables, and what brings those of an older layout up to date; the typed event tables beside them
are made by `columns/registry.py`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING

from keepers.conditions.schema import TRUSTED
from keepers.warehouse.names import quoted

if TYPE_CHECKING:
    from datetime import datetime

    import duckdb

FIXED = {
    "tracks": """
        seq BIGINT, profile_id BIGINT, kind VARCHAR, event VARCHAR, time TIMESTAMP, received_at TIMESTAMP,
        known_at TIMESTAMP, day DATE, source VARCHAR, raw VARCHAR, other_id BIGINT, trusted BOOLEAN""",
    "profiles": """
        profile_id BIGINT, kind VARCHAR, bucket_key VARCHAR, created_at TIMESTAMP, zone VARCHAR""",
    "trait_values": """
        profile_id BIGINT, trait VARCHAR, time TIMESTAMP, seq BIGINT, known_at TIMESTAMP, number DOUBLE,
        text VARCHAR, boolean BOOLEAN, instant TIMESTAMP, date DATE, raw VARCHAR, trusted BOOLEAN""",
    "account_members": """
        account_id BIGINT, profile_id BIGINT, since TIMESTAMP, until TIMESTAMP, known_at TIMESTAMP""",
    "canon": 'from_id BIGINT, to_id BIGINT, seq BIGINT, "at" TIMESTAMP',
    # Merges as they were made; `canon` is their flat closure, and un-merging needs the links themselves.
    "merge_links": 'from_id BIGINT, to_id BIGINT, seq BIGINT, "at" TIMESTAMP',
    # Every merge and un-merge in the order in which it was made, for the rebuild.
    "merge_log": "seq BIGINT, kind VARCHAR, from_id BIGINT, to_id BIGINT",
    # Merges that were taken back: an answer as of a moment between still sees them.
    "ended_merges": 'from_id BIGINT, to_id BIGINT, seq BIGINT, "at" TIMESTAMP, until TIMESTAMP',
    # The zone that the reserved traits of a subject name (NULL: a value that names none).
    "zone_facts": "profile_id BIGINT, trait VARCHAR, time TIMESTAMP, seq BIGINT, zone VARCHAR, trusted BOOLEAN",
    "states": """
        query_id INTEGER, profile_id BIGINT, value SMALLINT, since TIMESTAMP, changes_at TIMESTAMP, cause VARCHAR""",
    "changes": """
        n BIGINT, query_id INTEGER, profile_id BIGINT, from_value SMALLINT, to_value SMALLINT, "at" TIMESTAMP,
        cause VARCHAR, initial BOOLEAN""",
    # Every rule that was ever in force; `stages` in order, as JSON. A changed rule has a new number.
    "standing_queries": """
        query_id INTEGER, definition VARCHAR, signature VARCHAR, kind VARCHAR, stages VARCHAR, is_active BOOLEAN,
        is_answered BOOLEAN, applied_at TIMESTAMP, retired_at TIMESTAMP""",
    "standing_query_values": "query_id INTEGER, value SMALLINT, stage VARCHAR",
    "dirty": 'profile_id BIGINT, "at" TIMESTAMP, kind VARCHAR, name VARCHAR',
    # When each last showed engagement (see engagement_times.py).
    "engaged": 'profile_id BIGINT, "at" TIMESTAMP',
    # Whose history was imported, and when it arrived: changes up to then have the cause `import`.
    "imported": 'profile_id BIGINT, "at" TIMESTAMP',
    "watermarks": "name VARCHAR, position BIGINT",
    "import_chunks": """
        file_sha VARCHAR, mapping_hash VARCHAR, chunk INTEGER, first_line BIGINT, last_line BIGINT,
        rows BIGINT, rejected BIGINT, loaded_at TIMESTAMP""",
    "zone_offsets": """
        zone VARCHAR, from_utc TIMESTAMP, until_utc TIMESTAMP, offset_s INTEGER, local_from TIMESTAMP""",
    # The names registry: `physical` is empty for an event past the limit, and for one that came by public keys alone.
    # `trusted`: from a trusted source or named by the playbook, which is what counts for the limits.
    "event_names": "event VARCHAR, physical VARCHAR, trusted BOOLEAN",
    # kind number|text|boolean|list|overflow|more; `list` is the path of the list a child table's field belongs to.
    "event_columns": 'event VARCHAR, list VARCHAR, path VARCHAR, kind VARCHAR, "column" VARCHAR, trusted BOOLEAN',
    "event_times": "event VARCHAR, latest TIMESTAMP",
    "trait_names": "trait VARCHAR, trusted BOOLEAN",
    "meta": "name VARCHAR, value VARCHAR",
}
LAYOUT_VERSION = "4"
TRAIT_ORDER = "(v.trusted, v.time, v.seq)"
"""SQL: the greatest counts of the values `v` that a trait has: what is trusted before the rest, of these the latest"""


def create_statements() -> list[str]:
    """The DDL of every fixed table, safe to repeat."""
    return [f"CREATE TABLE IF NOT EXISTS {name} ({columns})" for name, columns in FIXED.items()]


IMPORT = "import "
"""prefix of the kind of imported history: by a file, by /v1/import, or more than 72 hours late"""


LOADED = "load"
"""the watermark of the log's rows that are in the warehouse"""

Upgrade = Callable[["duckdb.DuckDBPyConnection", Collection[str]], None]


def _to_2(connection: duckdb.DuckDBPyConnection, public_sources: Collection[str]) -> None:
    """Standing queries have their name."""
    for statement in (
        "ALTER TABLE asks RENAME TO standing_queries",
        "ALTER TABLE standing_queries RENAME COLUMN ask TO query_id",
        "ALTER TABLE ask_values RENAME TO standing_query_values",
        "ALTER TABLE standing_query_values RENAME COLUMN ask TO query_id",
        "ALTER TABLE states RENAME COLUMN ask TO query_id",
        "ALTER TABLE changes RENAME COLUMN ask TO query_id",
    ):
        connection.execute(statement)


def _to_3(connection: duckdb.DuckDBPyConnection, public_sources: Collection[str]) -> None:
    """Every row says whether it is trusted: what is there takes the kind of its key."""
    connection.execute(
        "CREATE OR REPLACE TABLE tracks AS SELECT *, NOT list_contains(?::VARCHAR[], source)"
        # What a form said was written down by Keepers itself: an address that anybody may have typed.
        " AND NOT (source = 'keepers' AND kind = 'identify' AND contains(raw, '\"email\"')) AS trusted FROM tracks",
        [sorted(public_sources)],
    )
    connection.execute("CREATE TEMP TABLE untrusted AS SELECT seq FROM tracks WHERE NOT trusted")
    _add_trust(connection, "trait_values", "trusted")
    _add_trust(connection, "zone_facts", "trusted")
    tables = connection.execute("SELECT physical FROM event_names WHERE physical <> ''").fetchall()
    for (table,) in tables:
        _add_trust(connection, table, TRUSTED)
    connection.execute("DROP TABLE untrusted")


def _add_trust(connection: duckdb.DuckDBPyConnection, table: str, column: str) -> None:
    name = quoted(table)
    connection.execute(
        f"CREATE OR REPLACE TABLE {name} AS"
        f" SELECT *, seq NOT IN (SELECT seq FROM untrusted) AS {quoted(column)} FROM {name}"
    )


def _to_4(connection: duckdb.DuckDBPyConnection, public_sources: Collection[str]) -> None:
    """Names say whether they are known from a trusted source. Tables and columns stay."""
    connection.execute(
        """
        CREATE OR REPLACE TABLE event_names AS
        SELECT *, event IN (SELECT event FROM tracks WHERE trusted AND kind IN ('track', 'page', 'screen')) AS trusted
        FROM event_names"""
    )
    connection.execute(
        """
        CREATE OR REPLACE TABLE trait_names AS
        SELECT *, trait IN (SELECT trait FROM trait_values WHERE trusted) AS trusted FROM trait_names"""
    )
    columns = connection.execute('SELECT event, list, path, kind, "column" FROM event_columns').fetchall()
    tables = dict(connection.execute("SELECT event, physical FROM event_names").fetchall())
    children = {(event, path): column for event, _, path, kind, column in columns if kind == "list"}
    seen: dict[str, set[str]] = {}
    """table → its columns that hold a value of a trusted row"""
    for table in (*filter(None, tables.values()), *children.values()):
        described = [row[0] for row in connection.execute(f"DESCRIBE {quoted(table)}").fetchall()]
        trusted = quoted(TRUSTED) if TRUSTED in described else "seq IN (SELECT seq FROM tracks WHERE trusted)"
        counts = ", ".join(f"count({quoted(name)})" for name in described)
        (row,) = connection.execute(f"SELECT {counts} FROM {quoted(table)} WHERE {trusted}").fetchall()
        seen[table] = {name for name, count in zip(described, row, strict=True) if count}
    known = [
        _is_seen(kind, column, children[event, of_list] if of_list else tables[event], seen)
        for event, of_list, _, kind, column in columns
    ]
    rows = [(*row, is_known) for row, is_known in zip(columns, known, strict=True)]
    # Past their limits, paths were not noted any more.
    fields = Counter((event, of_list) for event, of_list, _, kind, _ in columns if of_list or kind == "overflow")
    for (event, of_list), number in fields.items():
        if number >= (300 if of_list else 2000):
            rows.append((event, of_list, "", "more", "", True))
    connection.execute("ALTER TABLE event_columns ADD COLUMN trusted BOOLEAN")
    connection.execute("DELETE FROM event_columns")
    if rows:
        connection.executemany("INSERT INTO event_columns VALUES (?, ?, ?, ?, ?, ?)", rows)


def _is_seen(kind: str, column: str, table: str, seen: Mapping[str, set[str]]) -> bool:
    """Whether a name of the registry is known from a trusted row."""
    if kind == "list":
        return bool(seen[column])
    return kind == "overflow" or column in seen[table]


UPGRADES: dict[str, Upgrade] = {"1": _to_2, "2": _to_3, "3": _to_4}
"""layout → what makes the next one of it"""


def upgrade(connection: duckdb.DuckDBPyConnection, layout: str, public_sources: Collection[str]) -> None:
    """From `layout` to the present one, inside the caller's transaction. `public_sources` are the ids of write keys.

    Raises KeyError for a layout that is not known.
    """
    while layout != LAYOUT_VERSION:
        UPGRADES[layout](connection, public_sources)
        layout = str(int(layout) + 1)


def get_meta(cursor: duckdb.DuckDBPyConnection, name: str) -> str | None:
    """A value of the warehouse's `meta` table."""
    rows = cursor.execute("SELECT value FROM meta WHERE name = ?", [name]).fetchall()
    return str(rows[0][0]) if rows else None


def set_meta(cursor: duckdb.DuckDBPyConnection, name: str, value: str) -> None:
    """Writes a value of the warehouse's `meta` table."""
    cursor.execute("DELETE FROM meta WHERE name = ?", [name])
    cursor.execute("INSERT INTO meta VALUES (?, ?)", [name, value])


def latest_times(cursor: duckdb.DuckDBPyConnection) -> dict[str, datetime]:
    """Each event's latest time."""
    return dict(cursor.execute("SELECT event, latest FROM event_times").fetchall())
