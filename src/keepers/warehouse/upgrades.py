"""Brings a warehouse of an older layout up to the present one."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from keepers.conditions.schema import TRUSTED
from keepers.warehouse.names import quoted

if TYPE_CHECKING:
    import duckdb

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
        "CREATE OR REPLACE TABLE tracks AS SELECT *, NOT list_contains(?::VARCHAR[], source) AS trusted FROM tracks",
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


UPGRADES: dict[str, Upgrade] = {"1": _to_2, "2": _to_3}
"""layout → what makes the next one of it"""


def upgrade(connection: duckdb.DuckDBPyConnection, layout: str, wanted: str, public_sources: Collection[str]) -> None:
    """From `layout` to `wanted`, inside the caller's transaction. `public_sources` are the ids of write keys.

    Raises KeyError for a layout that is not known.
    """
    while layout != wanted:
        UPGRADES[layout](connection, public_sources)
        layout = str(int(layout) + 1)
