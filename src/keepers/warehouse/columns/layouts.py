"""Where an event's properties live: in which table and columns, and what of them stands in the record alone."""

from __future__ import annotations

from msgspec import Struct, field

from keepers.warehouse.names import FIXED_COLUMNS

MAX_OVERFLOW_NAMES = 2000
SQL_TYPES = {"number": "DOUBLE", "text": "VARCHAR", "boolean": "BOOLEAN"}
MORE = "more"
LISTS = "lists"
"""kinds of rows of the registry beside those of columns: `Layout.has_more` and `Layout.lists_in_record`"""


class Layout(Struct):
    """Where one event's properties (or one list's fields) live. `table` is empty past the limit, and for an event that
    came by public keys alone."""

    event: str
    table: str
    list: str = ""
    is_trusted: bool = False
    """it came from a trusted source, or the playbook names it: only then it counts for the limits"""
    has_more: bool = False
    """the record holds paths that came by public keys alone and are not listed"""
    met_unlisted: bool = False
    """such a path was met since the rows before began to be written again"""
    lists_in_record: set[str] = field(default_factory=set)
    """paths with columns that a public key has sent as lists too, for which there is no child table"""
    named: frozenset[str] = frozenset()
    """paths that the playbook names"""
    number: dict[str, str] = field(default_factory=dict)
    text: dict[str, str] = field(default_factory=dict)
    boolean: dict[str, str] = field(default_factory=dict)
    children: dict[str, Layout] = field(default_factory=dict)
    overflow: set[str] = field(default_factory=set)
    taken: set[str] = field(default_factory=lambda: set(FIXED_COLUMNS))
    paths: set[str] = field(default_factory=set)
    """those that count for the limit"""

    def kind(self, kind: str) -> dict[str, str]:
        """Property path → physical column, for one JSON kind."""
        return self.number if kind == "number" else self.text if kind == "text" else self.boolean

    @property
    def with_lists(self) -> tuple[Layout, ...]:
        """This layout and those of the event's lists."""
        return (self, *self.children.values())

    @property
    def is_overflow_full(self) -> bool:
        """Whether further paths past the limit of columns are not listed."""
        return len(self.overflow) >= MAX_OVERFLOW_NAMES

    def may_have(self, path: str, *, trusted: bool) -> bool:
        """Whether a path is known from a trusted source, or named by the playbook."""
        return trusted or path in self.paths or path in self.named or path in self.overflow

    def columns(self) -> dict[str, dict[str, str]]:
        """Property path → JSON kind → physical column."""
        found: dict[str, dict[str, str]] = {}
        for kind in SQL_TYPES:
            for path, column in self.kind(kind).items():
                found.setdefault(path, {})[kind] = column
        return found

    def is_without_column(self, of_list: str, path: str) -> bool:
        """Whether the record may hold values of an event's property, or of a list's field, that is in no column or
        child table."""
        if of_list:
            child = self.children.get(of_list)
            return child is not None and child.has_more and path not in child.paths
        return self.has_more and (path not in self.paths or path in self.lists_in_record)
