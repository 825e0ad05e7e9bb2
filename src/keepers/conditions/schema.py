"""What the warehouse holds, as data: the expressions are built from this and from nothing else.

The warehouse makes a `Schema` (a new `version` whenever a table, a column or a first merge appears); `compile`
turns it into unbound Ibis tables. Physical layout, fixed for both engines:

every typed event table   seq, profile_id, time, known_at, day, $trusted + one column per (property, JSON kind)
every child table         seq, profile_id, position + one column per (field, JSON kind)
tracks                    seq, profile_id, kind, event, time, received_at, known_at, day, source, raw, trusted
profiles                  profile_id, kind, bucket_key, created_at, zone
trait_values              profile_id, trait, time, seq, known_at, number, text, boolean, instant, date, raw, trusted
account_members           account_id, profile_id, since, until, known_at
canon                     from_id, to_id, seq, at
states                    query_id, profile_id, value, since, changes_at, cause
zone_offsets              zone, from_utc, until_utc, offset_s
"""

from __future__ import annotations

from msgspec import Struct, field

EVENT_KINDS = ("track", "page", "screen")
"""kinds of calls whose rows are events"""
MAX_DEPTH = 16
"""objects nested deeper have no columns"""
TRUSTED = "$trusted"
"""the column of typed tables that says whether a row is trusted; no property's column begins with this sign"""


class TypedTable(Struct, frozen=True, kw_only=True):
    """The columns of a table, and what is known of values without one. Without a `table` no value has a column."""

    table: str = ""
    columns: dict[str, dict[str, str]] = field(default_factory=dict)
    """path (exact, nested with dots) → JSON kind → physical column"""
    overflow: frozenset[str] = frozenset()
    """paths past the limit, read from `tracks.raw`"""
    has_more: bool = False
    """`tracks.raw` holds paths that are not listed here, which came by public keys alone"""
    named: frozenset[str] = frozenset()
    """paths that the playbook names: they get a column when they arrive"""

    def in_record(self, path: str) -> bool:
        """Whether values of a path that has no column, or no child table, may be in `tracks.raw`."""
        return not self.table or path in self.overflow or (self.has_more and path not in self.named)


class ChildTable(TypedTable, frozen=True):
    """A list of objects (or of scalars, whose one field is `value`) as rows of its own."""


class EventTable(TypedTable, frozen=True):
    """One event's typed table; `table` is empty for an event that is read from `tracks`: one past the limit, or one
    that came by public keys alone and that the playbook does not name."""

    event: str
    children: dict[str, ChildTable] = field(default_factory=dict)
    """property path of a list → its child table"""
    has_future: bool = False
    """some row's time lies after the moment of evaluation"""

    @property
    def properties(self) -> frozenset[str]:
        return frozenset(self.columns) | self.overflow | frozenset(self.children)


class Schema(Struct, frozen=True):
    """Everything a condition may name that has arrived so far.

    Names that came by public keys alone are listed up to a limit; then `has_more_events` and `has_more_traits` say that
    others have arrived too. `named` are the events that the playbook names, which are listed whenever they arrive.
    """

    version: int = 0
    events: dict[str, EventTable] = field(default_factory=dict)
    traits: frozenset[str] = frozenset()
    has_merges: bool = False
    has_accounts: bool = False
    has_more_events: bool = False
    has_more_traits: bool = False
    named: frozenset[str] = frozenset()

    def event(self, name: str) -> EventTable | None:
        """Where the rows of an event are; None when nothing of it has arrived. One that is not listed may have."""
        found = self.events.get(name)
        if found is None and self.has_more_events and name not in self.named:
            return EventTable(name, has_future=True)
        return found

    def has_trait(self, name: str) -> bool:
        """Whether a trait has, or may have, arrived."""
        return name in self.traits or self.has_more_traits
