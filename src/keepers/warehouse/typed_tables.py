"""A batch's rows for the typed tables: gathered in Python as columns, written as one Arrow table each."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from keepers.conditions.schema import MAX_DEPTH, TRUSTED
from keepers.warehouse.names import quoted
from keepers.warehouse.values import nfc, object_in, scalar

if TYPE_CHECKING:
    import duckdb

    from keepers.warehouse.columns.layouts import Layout
    from keepers.warehouse.columns.registry import Registry

STAMP = pa.timestamp("us")
_TYPES = {"number": pa.float64(), "text": pa.string(), "boolean": pa.bool_()}
_FIXED = {
    "seq": pa.int64(),
    "profile_id": pa.int64(),
    "time": STAMP,
    "known_at": STAMP,
    "day": pa.date32(),
    TRUSTED: pa.bool_(),
    "position": pa.int32(),
}

TRAITS = {
    "profile_id": pa.int64(),
    "trait": pa.string(),
    "time": STAMP,
    "seq": pa.int64(),
    "known_at": STAMP,
    "number": pa.float64(),
    "text": pa.string(),
    "boolean": pa.bool_(),
    "instant": STAMP,
    "date": pa.date32(),
    "raw": pa.string(),
    "trusted": pa.bool_(),
}


class Columns:
    """Rows of one table, sparse: only the values that are there are held."""

    def __init__(self, fixed: tuple[str, ...]) -> None:
        self._names = fixed
        self._fixed: list[tuple[Any, ...]] = []
        self._values: dict[str, tuple[str, list[int], list[Any]]] = {}
        self._row = -1

    def add(self, *fixed: Any) -> None:
        """Starts a row."""
        self._fixed.append(fixed)
        self._row += 1

    def put(self, column: str, kind: str, value: Any) -> None:
        """Sets a value of the row started last. The first of a column's values counts."""
        slot = self._values.get(column)
        if slot is None:
            slot = self._values[column] = (kind, [], [])
        places = slot[1]
        if not places or places[-1] != self._row:
            places.append(self._row)
            slot[2].append(value)

    def write(self, cursor: duckdb.DuckDBPyConnection, table: str) -> None:
        """Appends the rows, in the order of profiles, which is how they will be read."""
        size = len(self._fixed)
        if not size:
            return  # empty lists alone
        columns = dict(zip(self._names, zip(*self._fixed, strict=True), strict=True))
        arrays = {name: pa.array(values, _FIXED[name]) for name, values in columns.items()}
        for column, (kind, places, values) in self._values.items():
            if len(places) == size:
                arrays[column] = pa.array(values, _TYPES[kind])
                continue
            spread: list[Any] = [None] * size
            for place, value in zip(places, values, strict=True):
                spread[place] = value
            arrays[column] = pa.array(spread, _TYPES[kind])
        append(cursor, table, pa.table(arrays), order="profile_id, seq")


class TypedRows:
    """The typed rows of a batch, by table."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._tables: dict[str, Columns] = {}
        self._trusted = True

    def add(
        self,
        event: str,
        seq: int,
        profile_id: int,
        time: datetime,
        known_at: datetime,
        day: date,
        trusted: bool,
        properties: dict[str, Any],
    ) -> bool:
        """One event with its properties and, for lists, the rows of their child tables; whether its name is listed.

        An event without a table stands in `tracks` alone.
        """
        layout = self._registry.layout(event, trusted=trusted)
        if layout.table:
            rows = self._tables.get(layout.table)
            if rows is None:
                rows = self._tables[layout.table] = Columns(("seq", "profile_id", "time", "known_at", "day", TRUSTED))
            rows.add(seq, profile_id, time, known_at, day, trusted)
            self._trusted = trusted
            self._add_object(layout, rows, properties, "", 0, seq, profile_id)
        return bool(layout.event)

    def write(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Appends everything inside the caller's transaction."""
        for table, rows in self._tables.items():
            rows.write(cursor, table)

    def _put(self, layout: Layout, rows: Columns, path: str, value: Any) -> None:
        # The kinds in the order in which they are common; anything unusual is judged by `scalar`.
        of_type = type(value)
        if of_type is str:
            kind, held, columns = "text", value if value.isascii() else nfc(value), layout.text
        elif of_type is float:
            kind, held, columns = "number", value, layout.number
        else:
            kind, held = scalar(value)
            columns = layout.kind(kind)
        column = columns.get(path)
        if column is None:
            column = self._registry.column(layout, path, kind, trusted=self._trusted)
        if column:
            rows.put(column, kind, held)

    def _add_object(
        self,
        layout: Layout,
        rows: Columns,
        values: dict[str, Any],
        prefix: str,
        depth: int,
        seq: int,
        profile_id: int,
    ) -> None:
        """The object's leaves as `values.leaves` gives them, without its cost on this, the hottest path."""
        for key, value in values.items():
            of_type = type(value)
            path = prefix + key if prefix else key
            if of_type is dict:
                if depth < MAX_DEPTH:
                    self._add_object(layout, rows, value, path + ".", depth + 1, seq, profile_id)
            elif of_type is list:
                # Lists of lists, and lists inside the items of a list, stay in raw alone.
                if not layout.list:
                    self._add_list(layout, path, value, seq, profile_id)
            elif value is not None:
                self._put(layout, rows, path, value)

    def _add_list(self, layout: Layout, path: str, items: list[Any], seq: int, profile_id: int) -> None:
        child = self._registry.child(layout, path, trusted=self._trusted)
        if child is None:
            return
        rows = self._tables.get(child.table)
        if rows is None:
            rows = self._tables[child.table] = Columns(("seq", "profile_id", "position"))
        for position, item in enumerate(items):
            rows.add(seq, profile_id, position)
            self._add_object(child, rows, item if type(item) is dict else {"value": item}, "", 0, seq, profile_id)


def append(cursor: duckdb.DuckDBPyConnection, table: str, rows: pa.Table, order: str = "") -> None:
    """INSERT … SELECT of an Arrow table by column names."""
    if rows.num_rows == 0:
        return
    names = ", ".join(quoted(name) for name in rows.column_names)
    cursor.register("arriving", rows)
    try:
        ordered = f" ORDER BY {order}" if order else ""
        cursor.execute(f"INSERT INTO {quoted(table)} ({names}) SELECT {names} FROM arriving{ordered}")
    finally:
        cursor.unregister("arriving")


def arrow(types: dict[str, pa.DataType], rows: Iterable[tuple[Any, ...]]) -> pa.Table:
    """Rows as tuples in the order of `types` → an Arrow table."""
    columns = list(zip(*rows, strict=True)) or [()] * len(types)
    arrays = [pa.array(list(values), kind) for values, kind in zip(columns, types.values(), strict=True)]
    return pa.table(dict(zip(types, arrays, strict=True)))


def write_latest(cursor: duckdb.DuckDBPyConnection, latest: dict[str, datetime]) -> None:
    """Moves the events' latest times forward; `latest` then holds what the table holds."""
    if not latest:
        return
    times = pa.array(list(latest.values()), STAMP)
    cursor.register("arriving_times", pa.table({"event": list(latest), "latest": times}))
    cursor.execute(
        """
        UPDATE event_times SET latest = greatest(event_times.latest, new.latest)
        FROM arriving_times AS new WHERE event_times.event = new.event"""
    )
    cursor.execute(
        "INSERT INTO event_times SELECT * FROM arriving_times WHERE event NOT IN (SELECT event FROM event_times)"
    )
    rows = cursor.execute(
        "SELECT event, latest FROM event_times WHERE event IN (SELECT event FROM arriving_times)"
    ).fetchall()
    latest.update(rows)
    cursor.unregister("arriving_times")


def event_properties(kind: str, message: dict[str, Any]) -> dict[str, Any]:
    """A message's properties; a page's or screen's `name` and `category` are among them."""
    properties = object_in(message, "properties")
    if kind in ("page", "screen"):
        extra = {key: message[key] for key in ("name", "category") if key in message and key not in properties}
        return properties | extra
    return properties


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pauses the cycle collector: a batch makes a million tuples and no cycle, and collecting costs half the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
