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

TRUSTED = "$trusted"
"""the column of typed tables that says whether a row is trusted; no property's column begins with this sign"""


class ChildTable(Struct, frozen=True):
    """A list of objects (or of scalars, whose one field is `value`) as rows of its own."""

    table: str
    columns: dict[str, dict[str, str]] = field(default_factory=dict)
    """field path → JSON kind → physical column"""


class EventTable(Struct, frozen=True):
    """One event's typed table; `table` is empty for an event past the limit, which is read from `tracks`."""

    event: str
    table: str = ""
    columns: dict[str, dict[str, str]] = field(default_factory=dict)
    """property path (exact, nested with dots) → JSON kind → physical column"""
    overflow: frozenset[str] = frozenset()
    """property paths past the limit, read from `tracks.raw`"""
    children: dict[str, ChildTable] = field(default_factory=dict)
    """property path of a list → its child table"""
    has_future: bool = False
    """some row's time lies after the moment of evaluation"""

    @property
    def properties(self) -> frozenset[str]:
        return frozenset(self.columns) | self.overflow | frozenset(self.children)


class Schema(Struct, frozen=True):
    """Everything a condition may name that has arrived so far."""

    version: int = 0
    events: dict[str, EventTable] = field(default_factory=dict)
    traits: frozenset[str] = frozenset()
    has_merges: bool = False
    has_accounts: bool = False
