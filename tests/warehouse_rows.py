"""Log rows for tests, made from short forms."""

from __future__ import annotations

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


def contents(warehouse: Warehouse, *without: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every table's rows as a sorted list; column order does not matter.

    `dirty` is folded to its earliest, `imported` to its latest.
    """
    cursor = warehouse.cursor()
    names = [
        name for (name,) in cursor.execute("SELECT table_name FROM duckdb_tables() WHERE NOT temporary").fetchall()
    ]
    found = {}
    for name in names:
        if name in ("zone_offsets", "meta", *without):
            continue
        columns = cursor.execute(
            "SELECT column_name FROM duckdb_columns() WHERE table_name = ? ORDER BY column_name", [name]
        ).fetchall()
        listed = ", ".join(f'"{column}"' for (column,) in columns)
        query = f'SELECT {listed} FROM "{name}"'
        if name == "dirty":
            query = 'SELECT profile_id, kind, name, min("at") FROM dirty GROUP BY ALL'
        if name == "imported":
            query = 'SELECT profile_id, max("at") FROM imported GROUP BY ALL'
        found[name] = sorted(cursor.execute(query).fetchall(), key=repr)
    return found
