"""The names registry: which event and property lives in which table and column, and the DDL that adds one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct, field

from keepers.conditions.schema import TRUSTED, ChildTable, EventTable, Schema
from keepers.warehouse.fixed_tables import FIXED
from keepers.warehouse.names import FIXED_COLUMNS, free, physical, quoted, snake

if TYPE_CHECKING:
    import duckdb

MAX_EVENT_TABLES = 200
MAX_PROPERTIES = 300
MAX_CHILD_TABLES = 200
MAX_OVERFLOW_NAMES = 2000
SQL_TYPES = {"number": "DOUBLE", "text": "VARCHAR", "boolean": "BOOLEAN"}
EVENT_COLUMNS = (
    f"seq BIGINT, profile_id BIGINT, time TIMESTAMP, known_at TIMESTAMP, day DATE, {quoted(TRUSTED)} BOOLEAN"
)
CHILD_COLUMNS = "seq BIGINT, profile_id BIGINT, position INTEGER"
# A page is a track of its own name in the Segment convention, and its table is the plural.
_TABLE_NAMES = {"page": "pages", "screen": "screens"}
PLURALS = frozenset(_TABLE_NAMES.values())


class Layout(Struct):
    """Where one event's properties (or one list's fields) live. `table` is empty past the limit."""

    event: str
    table: str
    list: str = ""
    number: dict[str, str] = field(default_factory=dict)
    text: dict[str, str] = field(default_factory=dict)
    boolean: dict[str, str] = field(default_factory=dict)
    children: dict[str, Layout] = field(default_factory=dict)
    overflow: set[str] = field(default_factory=set)
    taken: set[str] = field(default_factory=lambda: set(FIXED_COLUMNS))
    paths: set[str] = field(default_factory=set)

    def kind(self, kind: str) -> dict[str, str]:
        """Property path → physical column, for one JSON kind."""
        return self.number if kind == "number" else self.text if kind == "text" else self.boolean

    def columns(self) -> dict[str, dict[str, str]]:
        """Property path → JSON kind → physical column."""
        found: dict[str, dict[str, str]] = {}
        for kind in SQL_TYPES:
            for path, column in self.kind(kind).items():
                found.setdefault(path, {})[kind] = column
        return found


class Registry:
    """What is known of names, in memory; `save` writes what was added since, with its DDL."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self.events: dict[str, Layout] = {}
        self.traits: set[str] = set()
        self.version = 0
        self._tables = set(FIXED) | PLURALS
        self._typed = 0
        self._children = 0
        self._ddl: list[str] = []
        self._rows: list[tuple[str, str, str, str, str]] = []
        self._names: list[tuple[str, str]] = []
        self._traits: list[str] = []
        self._read(cursor)

    @property
    def is_changed(self) -> bool:
        return bool(self._names or self._rows or self._traits)

    def layout(self, event: str) -> Layout:
        """The event's layout, a new table when it is seen for the first time."""
        found = self.events.get(event)
        if found is not None:
            return found
        table = ""
        if self._typed < MAX_EVENT_TABLES:
            table = _TABLE_NAMES.get(event) or physical(event, self._tables)
            self._ddl.append(f"CREATE TABLE {quoted(table)} ({EVENT_COLUMNS})")
        self._names.append((event, table))
        return self._add_event(event, table)

    def column(self, layout: Layout, path: str, kind: str) -> str:
        """The column of a property's kind, added when new; empty when the property lives in `raw` alone."""
        found = layout.kind(kind).get(path)
        if found is not None:
            return found
        column = ""
        if path not in layout.paths and (not layout.table or len(layout.paths) >= MAX_PROPERTIES):
            self._overflow(layout, path)
        elif path not in layout.overflow:
            base = physical(path, layout.taken)
            others = any(path in layout.kind(other) for other in SQL_TYPES)
            column = free(f"{snake(path)}__{kind}", layout.taken) if others else base
            self._ddl.append(f"ALTER TABLE {quoted(layout.table)} ADD COLUMN {quoted(column)} {SQL_TYPES[kind]}")
            self._rows.append((layout.event, layout.list, path, kind, column))
        self._add_column(layout, path, kind, column)
        return column

    def child(self, layout: Layout, path: str) -> Layout | None:
        """The child table of a list, added when new; None when the list lives in `raw` alone."""
        found = layout.children.get(path)
        if found is not None:
            return found if found.table else None
        is_full = len(layout.paths) >= MAX_PROPERTIES or self._children >= MAX_CHILD_TABLES
        if not layout.table or (is_full and path not in layout.children):
            self._overflow(layout, path)
            layout.children[path] = Layout(layout.event, "", path)
            return None
        table = free(f"{layout.table}__{snake(path)}", self._tables)
        self._ddl.append(f"CREATE TABLE {quoted(table)} ({CHILD_COLUMNS})")
        self._rows.append((layout.event, "", path, "list", table))
        return self._add_child(layout, path, table)

    def trait(self, name: str) -> None:
        """Notes a trait's name."""
        if name not in self.traits:
            self.traits.add(name)
            self._traits.append(name)

    def save(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Runs the DDL and writes the registry rows; call it inside a transaction."""
        if not self.is_changed:
            return
        for statement in self._ddl:
            cursor.execute(statement)
        _insert(cursor, "event_names", ("event", "physical"), self._names)
        _insert(cursor, "event_columns", ("event", "list", "path", "kind", "column"), self._rows)
        _insert(cursor, "trait_names", ("trait",), [(name,) for name in self._traits])
        self.bump(cursor)
        self._ddl, self._rows, self._names, self._traits = [], [], [], []

    def bump(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Makes a new schema version."""
        self.version += 1
        set_meta(cursor, "schema_version", str(self.version))

    def schema(self, version: int, future: frozenset[str], has_merges: bool, has_accounts: bool) -> Schema:
        """The registry as the audience layer reads it. `future`: events with a row later than now."""
        events = {}
        for event, layout in self.events.items():
            children = {p: ChildTable(c.table, c.columns()) for p, c in layout.children.items() if c.table}
            columns = {path: {k: c for k, c in by.items() if c} for path, by in layout.columns().items()}
            events[event] = EventTable(
                event=event,
                table=layout.table,
                columns={path: by for path, by in columns.items() if by},
                overflow=frozenset(layout.overflow),
                children=children,
                has_future=event in future,
            )
        return Schema(version, events, frozenset(self.traits), has_merges, has_accounts)

    def _read(self, cursor: duckdb.DuckDBPyConnection) -> None:
        for event, table in cursor.execute("SELECT event, physical FROM event_names").fetchall():
            self._add_event(event, table)
        rows = cursor.execute('SELECT event, list, path, kind, "column" FROM event_columns').fetchall()
        for event, _, path, kind, column in rows:
            if kind == "list":
                self._add_child(self.events[event], path, column)
            elif kind == "overflow":
                self.events[event].overflow.add(path)
        for event, of_list, path, kind, column in rows:
            if kind in SQL_TYPES:
                layout = self.events[event]
                self._add_column(layout.children[of_list] if of_list else layout, path, kind, column)
        self.traits = {name for (name,) in cursor.execute("SELECT trait FROM trait_names").fetchall()}
        self.version = int(get_meta(cursor, "schema_version") or 0)

    def _add_event(self, event: str, table: str) -> Layout:
        layout = self.events[event] = Layout(event, table)
        if table:
            self._tables.add(table)
            self._typed += 1
        return layout

    def _add_child(self, layout: Layout, path: str, table: str) -> Layout:
        child = layout.children[path] = Layout(layout.event, table, path)
        layout.paths.add(path)
        self._tables.add(table)
        self._children += 1
        return child

    @staticmethod
    def _add_column(layout: Layout, path: str, kind: str, column: str) -> None:
        layout.kind(kind)[path] = column
        if column:
            layout.paths.add(path)
            layout.taken.add(column)

    def _overflow(self, layout: Layout, path: str) -> None:
        # A sender of ever new names must not fill the registry; the values stay in raw.
        if path in layout.overflow or layout.list or len(layout.overflow) >= MAX_OVERFLOW_NAMES:
            return
        layout.overflow.add(path)
        self._rows.append((layout.event, "", path, "overflow", ""))


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


def _insert(
    cursor: duckdb.DuckDBPyConnection, table: str, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]
) -> None:
    if not rows:
        return
    import pyarrow as pa  # a quarter of a second to load, for the first rows that arrive

    values = {name: [row[i] for row in rows] for i, name in enumerate(columns)}
    cursor.register("registry_rows", pa.table(values))
    cursor.execute(f"INSERT INTO {table} SELECT * FROM registry_rows")
    cursor.unregister("registry_rows")
