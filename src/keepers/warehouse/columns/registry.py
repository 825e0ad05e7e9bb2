"""The names registry: which event and property lives in which table and column, and the DDL that adds one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from keepers.conditions.graph import NamedProperties
from keepers.conditions.schema import TRUSTED, ChildTable, EventTable, Schema
from keepers.warehouse.columns.layouts import LISTS, MORE, SQL_TYPES, Layout
from keepers.warehouse.columns.unfilled import Filling, Unfilled
from keepers.warehouse.fixed_tables import FIXED, get_meta, set_meta
from keepers.warehouse.names import free, physical, quoted, snake

if TYPE_CHECKING:
    import duckdb

MAX_EVENT_TABLES = 200
MAX_PROPERTIES = 300
MAX_CHILD_TABLES = 200
MAX_PUBLIC_EVENTS = 2000
MAX_PUBLIC_TRAITS = 1000
"""names that came by public keys alone and that the playbook does not name; past that they are not listed"""
EVENT_COLUMNS = (
    f"seq BIGINT, profile_id BIGINT, time TIMESTAMP, known_at TIMESTAMP, day DATE, {quoted(TRUSTED)} BOOLEAN"
)
CHILD_COLUMNS = "seq BIGINT, profile_id BIGINT, position INTEGER"
_NAMED = "named"
# A page is a track of its own name in the Segment convention, and its table is the plural.
_TABLE_NAMES = {"page": "pages", "screen": "screens"}
PLURALS = frozenset(_TABLE_NAMES.values())
_UNLISTED = Layout("", "")


class Registry:
    """What is known of names, in memory; `save` writes what was added since, with its DDL.

    A name gets a table or a column when it comes from a trusted source, or when the playbook names it: whoever holds a
    public key fills no limit of theirs. Where earlier rows lack what their event has now, `filling` says so.
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self.events: dict[str, Layout] = {}
        self.traits: dict[str, bool] = {}
        """trait → whether it is known from a trusted source"""
        self.named: NamedProperties = {}
        self.has_more_events = False
        self.has_more_traits = False
        self.version = 0
        self._tables = set(FIXED) | PLURALS
        self._typed = 0
        self._children = 0
        self._public_events = 0
        self._public_traits = 0
        self._ddl: list[str] = []
        self._rows: list[tuple[str, str, str, str, str, bool]] = []
        self._names: dict[str, tuple[str, bool]] = {}
        self._traits: dict[str, bool] = {}
        self._meta: dict[str, str] = {}
        self._without_paths: list[str] = []
        """events of which no path is listed any more"""
        self._read(cursor)

    @property
    def is_changed(self) -> bool:
        return bool(self._names or self._rows or self._traits or self._meta or self.filling.is_changed)

    def layout(self, event: str, *, trusted: bool = True) -> Layout:
        """The event's layout: with a table as soon as it is known from a trusted source or named by the playbook."""
        found = self.events.get(event)
        if found is not None and (found.is_trusted or not trusted):
            return found
        if trusted or event in self.named:
            return self._trust(event)
        if self._public_events >= MAX_PUBLIC_EVENTS:
            if not self.has_more_events:
                self.has_more_events = True
                self._meta["has_more_events"] = "1"
            return _UNLISTED
        self._names[event] = ("", False)
        return self._add_event(event, "", is_trusted=False)

    def column(self, layout: Layout, path: str, kind: str, *, trusted: bool = True) -> str:
        """The column of a property's kind, added when new; empty when the property lives in `raw` alone."""
        found = layout.kind(kind).get(path)
        if found is not None:
            return found
        if not layout.may_have(path, trusted=trusted):
            self._note_more(layout)
            return ""
        column = ""
        if path not in layout.paths and (not layout.table or len(layout.paths) >= MAX_PROPERTIES):
            self._overflow(layout, path)
        elif path in layout.paths or path not in layout.overflow:
            if path not in layout.paths:
                self._promote(layout, path)
            base = physical(path, layout.taken)
            others = any(path in layout.kind(other) for other in SQL_TYPES)
            column = free(f"{snake(path)}__{kind}", layout.taken) if others else base
            self._ddl.append(f"ALTER TABLE {quoted(layout.table)} ADD COLUMN {quoted(column)} {SQL_TYPES[kind]}")
            self._rows.append((layout.event, layout.list, path, kind, column, True))
        self._add_column(layout, path, kind, column)
        return column

    def child(self, layout: Layout, path: str, *, trusted: bool = True) -> Layout | None:
        """The child table of a list, added when new; None when the list lives in `raw` alone."""
        found = layout.children.get(path)
        if found is not None:
            return found if found.table else None
        if not trusted and path not in layout.named:
            # Also where the path is known as another kind: child tables have a limit of their own.
            self._note_more(layout)
            if path in layout.paths and path not in layout.lists_in_record:
                layout.lists_in_record.add(path)
                self._rows.append((layout.event, "", path, LISTS, "", True))
            return None
        is_full = len(layout.paths) >= MAX_PROPERTIES or self._children >= MAX_CHILD_TABLES
        if not layout.table or is_full:
            self._overflow(layout, path)
            layout.children[path] = Layout(layout.event, "", path)
            return None
        self._promote(layout, path)
        table = free(f"{layout.table}__{snake(path)}", self._tables)
        self._ddl.append(f"CREATE TABLE {quoted(table)} ({CHILD_COLUMNS})")
        self._rows.append((layout.event, "", path, "list", table, True))
        return self._add_child(layout, path, table, is_trusted=True)

    def trait(self, name: str, *, trusted: bool = True) -> None:
        """Notes a trait's name."""
        known = self.traits.get(name)
        if known or (known is not None and not trusted):
            return
        if not trusted and self._public_traits >= MAX_PUBLIC_TRAITS:
            if not self.has_more_traits:
                self.has_more_traits = True
                self._meta["has_more_traits"] = "1"
            return
        self._public_traits += (not trusted) - (known is not None)
        self.traits[name] = self._traits[name] = trusted

    def is_short_of(self, event: str, paths: frozenset[tuple[str, str]]) -> bool:
        """Whether rows that came before lack a table or columns that they would get if these properties were named."""
        found = self.events.get(event)
        if found is None:
            return self.has_more_events
        return not found.is_trusted or bool(self._without_columns(event, paths))

    def name(self, named: NamedProperties, has_rows: Callable[[str], bool]) -> None:
        """Takes what the playbook names as known: event → (list, path) of its properties. `has_rows` says whether an
        event that is not listed has arrived."""
        if named == self.named:
            return
        short = [event for event, paths in named.items() if self.is_short_of(event, paths)]
        lacking = {event: self._without_columns(event, named[event]) for event in short}
        self.named = named
        self._meta[_NAMED] = _as_json(named)
        for layout in self.events.values():
            self._set_named(layout)
        for event, paths in lacking.items():
            found = self.events.get(event)
            if (found is not None and not found.is_trusted) or (found is None and has_rows(event)):
                self._trust(event)
            if paths:
                self.filling.promote(event).paths |= paths

    def _without_columns(self, event: str, paths: frozenset[tuple[str, str]]) -> frozenset[tuple[str, str]]:
        """Those of the properties, as (list, path), that the record may hold and that would be in a column or child
        table if the playbook named them."""
        layout = self.events.get(event)
        if layout is None or not layout.table:
            return frozenset()
        unnamed = paths - self.named.get(event, frozenset())
        return frozenset((of_list, path) for of_list, path in unnamed if layout.is_without_column(of_list, path))

    def save(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Runs the DDL and writes the registry rows; call it inside a transaction."""
        if not self.is_changed:
            return
        for statement in self._ddl:
            cursor.execute(statement)
        names = [(event, table, trusted) for event, (table, trusted) in self._names.items()]
        _insert(cursor, "event_names", ("event", "physical", "trusted"), names, key="event")
        for event in self._without_paths:
            cursor.execute("DELETE FROM event_columns WHERE event = ?", [event])
        self.filling.save(cursor)
        _insert(cursor, "event_columns", ("event", "list", "path", "kind", "column", "trusted"), self._rows)
        _insert(cursor, "trait_names", ("trait", "trusted"), list(self._traits.items()), key="trait")
        for name, value in self._meta.items():
            set_meta(cursor, name, value)
        self.bump(cursor)
        self._ddl, self._rows, self._names, self._traits, self._meta = [], [], {}, {}, {}
        self._without_paths = []

    def bump(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Makes a new schema version."""
        self.version += 1
        set_meta(cursor, "schema_version", str(self.version))

    def event_table(self, event: str, *, has_future: bool = False) -> EventTable:
        """Where a listed event's rows and properties are read, those that are unfilled from the record."""
        layout, unfilled = self.events[event], self.filling.unfilled.get(event, Unfilled())
        if unfilled.is_new:
            return EventTable(event=event, has_future=has_future, named=layout.named)
        lacks = unfilled.paths
        lists = {p: c for p, c in layout.children.items() if c.table and ("", p) not in lacks}
        children = {p: ChildTable(**_typed_table(c, lacks)) for p, c in lists.items()}
        return EventTable(event=event, children=children, has_future=has_future, **_typed_table(layout, lacks))

    def schema(self, version: int, future: frozenset[str], has_merges: bool, has_accounts: bool) -> Schema:
        """The registry as the audience layer reads it. `future`: events with a row later than now."""
        events = {event: self.event_table(event, has_future=event in future) for event in self.events}
        return Schema(
            version,
            events,
            frozenset(self.traits),
            has_merges,
            has_accounts,
            self.has_more_events,
            self.has_more_traits,
            frozenset(self.named),
        )

    def _read(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self.named = _from_json(get_meta(cursor, _NAMED) or "{}")
        for event, table, trusted in cursor.execute("SELECT event, physical, trusted FROM event_names").fetchall():
            self._add_event(event, table, is_trusted=trusted)
        rows = cursor.execute('SELECT event, list, path, kind, "column", trusted FROM event_columns').fetchall()
        for event, _, path, kind, column, trusted in rows:
            if kind == "list":
                self._add_child(self.events[event], path, column, is_trusted=trusted)
        for event, of_list, path, kind, column, trusted in rows:
            layout = self.events[event].children[of_list] if of_list else self.events[event]
            if kind in SQL_TYPES:
                self._add_column(layout, path, kind, column, is_trusted=trusted)
            elif kind == "overflow":
                layout.overflow.add(path)
            elif kind == MORE:
                layout.has_more = True
            elif kind == LISTS and path not in layout.children:
                layout.lists_in_record.add(path)
        for name, trusted in cursor.execute("SELECT trait, trusted FROM trait_names").fetchall():
            self.traits[name] = trusted
            self._public_traits += not trusted
        self.filling = Filling(cursor, self.events)
        self.has_more_events = get_meta(cursor, "has_more_events") == "1"
        self.has_more_traits = get_meta(cursor, "has_more_traits") == "1"
        self.version = int(get_meta(cursor, "schema_version") or 0)

    def _trust(self, event: str) -> Layout:
        """The layout of an event that counts from now on; a table of an older layout of the warehouse stays."""
        found = self.events.get(event)
        self._public_events -= found is not None
        table = found.table if found is not None else ""
        if not table and self._typed < MAX_EVENT_TABLES:
            table = _TABLE_NAMES.get(event) or physical(event, self._tables)
            self._ddl.append(f"CREATE TABLE {quoted(table)} ({EVENT_COLUMNS})")
            if found is not None or self.has_more_events:
                self.filling.promote(event).is_new = True
            if found is not None:
                # Its paths get columns or are listed as all rows are written into the table.
                self._without_paths.append(event)
                found = None
        self._names[event] = (table, True)
        if found is None:
            return self._add_event(event, table, is_trusted=True)
        found.is_trusted = True
        self._typed += bool(table)
        return found

    def _promote(self, layout: Layout, path: str) -> None:
        """A path that gets its first column: earlier rows hold it where a public key sent it before."""
        if layout.has_more and path not in layout.named:
            self.filling.promote(layout.event).paths.add((layout.list, path))

    def _add_event(self, event: str, table: str, *, is_trusted: bool) -> Layout:
        layout = self.events[event] = Layout(event, table, is_trusted=is_trusted)
        self._set_named(layout)
        if table:
            self._tables.add(table)
        self._typed += bool(table) and is_trusted
        self._public_events += not is_trusted
        return layout

    def _set_named(self, layout: Layout) -> None:
        paths = self.named.get(layout.event, frozenset())
        layout.named = frozenset(path for of_list, path in paths if not of_list)
        for name, child in layout.children.items():
            child.named = frozenset(path for of_list, path in paths if of_list == name)

    def _add_child(self, layout: Layout, path: str, table: str, *, is_trusted: bool) -> Layout:
        child = layout.children[path] = Layout(layout.event, table, path)
        layout.lists_in_record.discard(path)
        self._set_named(layout)
        self._tables.add(table)
        if is_trusted:
            layout.paths.add(path)
            self._children += 1
        return child

    @staticmethod
    def _add_column(layout: Layout, path: str, kind: str, column: str, *, is_trusted: bool = True) -> None:
        layout.kind(kind)[path] = column
        if column:
            layout.taken.add(column)
            if is_trusted:
                layout.paths.add(path)

    def _overflow(self, layout: Layout, path: str) -> None:
        # A sender of ever new names must not fill the registry; the values stay in raw.
        if path in layout.overflow:
            return
        if layout.is_overflow_full and path not in layout.named:
            self._note_more(layout)
            return
        layout.overflow.add(path)
        self._rows.append((layout.event, layout.list, path, "overflow", "", True))

    def _note_more(self, layout: Layout) -> None:
        layout.met_unlisted = True
        if not layout.has_more:
            layout.has_more = True
            self._rows.append((layout.event, layout.list, "", MORE, "", True))


def _typed_table(layout: Layout, lacks: set[tuple[str, str]]) -> dict[str, Any]:
    """`lacks`: (list, path) of what is read from the record, since not all rows have it in columns yet."""
    lacking = {path for of_list, path in lacks if of_list == layout.list}
    columns = {path: {k: c for k, c in by.items() if c} for path, by in layout.columns().items() if path not in lacking}
    return {
        "table": layout.table,
        "columns": {path: by for path, by in columns.items() if by},
        "overflow": frozenset(layout.overflow | lacking),
        "has_more": layout.has_more,
        "named": layout.named,
    }


def _as_json(named: NamedProperties) -> str:
    return msgspec.json.encode({event: sorted(paths) for event, paths in sorted(named.items())}).decode()


def _from_json(text: str) -> NamedProperties:
    read = msgspec.json.decode(text, type=dict[str, frozenset[tuple[str, str]]])
    return dict(read)


def _insert(
    cursor: duckdb.DuckDBPyConnection,
    table: str,
    columns: tuple[str, ...],
    rows: Sequence[tuple[Any, ...]],
    key: str = "",
) -> None:
    """Adds rows; with a `key`, in place of those that have the same."""
    if not rows:
        return
    import pyarrow as pa  # a quarter of a second to load, for the first rows that arrive

    values = {name: [row[i] for row in rows] for i, name in enumerate(columns)}
    cursor.register("registry_rows", pa.table(values))
    if key:
        cursor.execute(f"DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM registry_rows)")
    listed = ", ".join(map(quoted, columns))
    cursor.execute(f"INSERT INTO {table} ({listed}) SELECT {listed} FROM registry_rows")
    cursor.unregister("registry_rows")
