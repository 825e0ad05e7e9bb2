"""Log rows for tests, made from short forms."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

import msgspec

from keepers.store.events.log import LogRow as Row
from keepers.warehouse.database import Warehouse

START = datetime(2026, 1, 1)


def row(
    seq: int, kind: str, profile_id: int, *, other: int | None = None, event: str = "", at: float = 0, **body: Any
) -> Row:
    """A row of the log; `at` is hours after the first of January 2026."""
    time = START + timedelta(hours=at)
    message = {"type": kind, **({"event": event} if kind == "track" else {}), **body}
    name = event if kind == "track" else kind
    return Row(seq, kind, profile_id, other, name, time, time, time, "key", msgspec.json.encode(message), 0, "server")


def track(seq: int, profile_id: int, event: str, at: float = 0, /, **properties: Any) -> Row:
    return row(seq, "track", profile_id, event=event, at=at, properties=properties)


def profile(seq: int, profile_id: int, bucket_key: str, kind: str = "person") -> Row:
    body = msgspec.json.encode({"kind": kind, "bucket_key": bucket_key})
    return Row(seq, "profile", profile_id, None, "profile", START, START, START, "key", body, 0, "server")


def contents(warehouse: Warehouse, *without: str, of: Collection[str] = ()) -> dict[str, list[tuple[Any, ...]]]:
    """Every table's rows, or those of the tables `of`, as a sorted list; column order does not matter.

    `dirty` is folded to its earliest, `imported` to its latest.
    """
    cursor = warehouse.cursor()
    # One look at the catalogue: each costs as much as reading several tables.
    tables = cursor.execute(
        """
        SELECT c.table_name, string_agg('"' || c.column_name || '"', ', ' ORDER BY c.column_name)
        FROM duckdb_columns() c JOIN duckdb_tables() t USING (database_oid, schema_oid, table_oid)
        WHERE NOT t.temporary
        GROUP BY ALL
        """
    ).fetchall()
    found = {}
    for name, columns in tables:
        if name in ("zone_offsets", "meta", *without) or (of and name not in of):
            continue
        query = f'SELECT {columns} FROM "{name}"'
        if name == "dirty":
            query = 'SELECT profile_id, kind, name, min("at") FROM dirty GROUP BY ALL'
        if name == "imported":
            query = 'SELECT profile_id, max("at") FROM imported GROUP BY ALL'
        found[name] = sorted(cursor.execute(query).fetchall(), key=repr)
    return found
