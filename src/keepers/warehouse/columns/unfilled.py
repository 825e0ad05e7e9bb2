"""Rows that lack what their event has now, since its names got a table or columns after they had arrived."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct, field

from keepers.warehouse.columns.layouts import LISTS, MORE, Layout
from keepers.warehouse.fixed_tables import get_meta, set_meta

if TYPE_CHECKING:
    import duckdb

_UNFILLED = "unfilled"


class Unfilled(Struct):
    """What rows that arrived before a name was promoted lack until `rebuild.fill` has written them again, in pieces.

    Till then conditions read it from the record: the whole event where its table is new (`is_new`), else `paths`, as
    (list, path). Rows up to the seq `until` are written again; those up to `after` have been.
    """

    is_new: bool = False
    paths: set[tuple[str, str]] = field(default_factory=set)
    until: int = -1
    after: int = -1


class Filling:
    """The events of which rows are to be written again, and how far that has come; `save` writes what has changed.

    `promoted` are those that lack what they have now; `begin` makes them `unfilled`.
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection, events: Mapping[str, Layout]) -> None:
        self.promoted: dict[str, Unfilled] = {}
        self.unfilled = msgspec.json.decode(get_meta(cursor, _UNFILLED) or "{}", type=dict[str, Unfilled])
        self.is_changed = False
        self._events = events
        self._listed: list[tuple[str, str]] = []
        """(event, list) of which all paths are listed again"""
        for event in self.unfilled:
            # What was met before this process is not known.
            for layout in events[event].with_lists:
                layout.met_unlisted = True

    def promote(self, event: str) -> Unfilled:
        """What an event's rows lack, to be added to."""
        return self.promoted.setdefault(event, Unfilled())

    def begin(self, until: int) -> list[str]:
        """Makes what was promoted `unfilled`, up to a seq; returns the events whose tables are new."""
        promoted, self.promoted = self.promoted, {}
        promoted = {event: one for event, one in promoted.items() if self._events[event].table}
        for event, one in promoted.items():
            found = self.unfilled.setdefault(event, Unfilled())
            found.is_new |= one.is_new
            found.paths |= one.paths
            found.until, found.after = until, -1
            self._begin_listing(event)
        self.is_changed |= bool(promoted)
        return [event for event, one in promoted.items() if one.is_new]

    def advance(self, cursor: duckdb.DuckDBPyConnection, event: str, after: int) -> None:
        """Records up to which seq an event's rows are written again; at the end its names are read from columns."""
        unfilled = self.unfilled[event]
        unfilled.after = after
        if after < unfilled.until:
            set_meta(cursor, _UNFILLED, self._as_json())
            return
        del self.unfilled[event]
        self.is_changed = True
        self._end_listing(event)

    def begin_all(self) -> None:
        """The rows of all events are about to be written again, in one transaction."""
        for event in self._events:
            self._begin_listing(event)

    def end_all(self) -> None:
        """The rows of all events are written again, with all columns."""
        self.is_changed |= bool(self.unfilled)
        self.promoted, self.unfilled = {}, {}
        for event in self._events:
            self._end_listing(event)

    def save(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Writes what has changed; before rows of the registry that are new."""
        for listed in self._listed:
            query = "DELETE FROM event_columns WHERE event = ? AND list = ? AND kind IN (?, ?)"
            cursor.execute(query, (*listed, MORE, LISTS))
        if self.is_changed:
            set_meta(cursor, _UNFILLED, self._as_json())
        self._listed, self.is_changed = [], False

    def _begin_listing(self, event: str) -> None:
        for layout in self._events[event].with_lists:
            layout.met_unlisted = False

    def _end_listing(self, event: str) -> None:
        """Where no row that was written again had a path that is not listed, there are none."""
        for layout in self._events[event].with_lists:
            if layout.has_more and not layout.met_unlisted and not layout.is_overflow_full:
                layout.has_more = False
                layout.lists_in_record.clear()
                self._listed.append((event, layout.list))
                self.is_changed = True

    def _as_json(self) -> str:
        return msgspec.json.encode(self.unfilled).decode()
