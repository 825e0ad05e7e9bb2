"""Entries by the calendar: date traits and schedules, at their local instants."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta

import msgspec

from keepers.evaluation.active_queries import ActiveQueries
from keepers.journeys.entry.definitions import DateEntry, ScheduleEntry
from keepers.journeys.entry_rules import candidate_days, date_occurrences, schedule_occurrences, trigger_at
from keepers.orchestration.journey_index import ZONE_TRAITS, EntryTrigger, JourneyIndex
from keepers.orchestration.work_queue import TriggeredEntry, WorkItem
from keepers.warehouse.database import Warehouse

_AHEAD = timedelta(hours=1)
MERGED = "*"
"""stands for any trait: after a merge, a trait may have another profile's value"""
_ZONES = frozenset(ZONE_TRAITS)


class Calendar:
    """Finds entries by date or schedule in a span of time. Looks an hour ahead, so that most ticks run no query."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._found: dict[tuple[str, int, int], tuple[datetime, list[WorkItem]]] = {}
        """entry → the end of the span looked ahead, and the items found"""
        self._imported = 0

    def items(
        self, index: JourneyIndex, queries: ActiveQueries, after: datetime, until: datetime, learned: Collection[str]
    ) -> list[WorkItem]:
        """Entries of all customers in (after, until], one item for each. `learned`: traits that changed since."""
        found: list[WorkItem] = []
        self._forget_before_imports()
        for source in index.dated:
            key = (source.journey.id, source.journey.version, source.n)
            known = self._found.get(key)
            if known is None or known[0] < until or MERGED in learned or not _watched(source).isdisjoint(learned):
                ahead = until + _AHEAD
                known = self._found[key] = (ahead, self._find(source, queries, after, ahead, is_ahead=True))
            due = [item for item in known[1] if after < item.at <= until]
            if due and isinstance(source.entry, ScheduleEntry):
                # Members are those of the instant itself.
                due = self._find(source, queries, after, until)
            found += due
        return found

    def _forget_before_imports(self) -> None:
        """Clears the cache after an import, which changes traits without rows in the log."""
        row = self._warehouse.cursor().execute("SELECT count(*) FROM import_chunks").fetchone()
        chunks = int(row[0]) if row else 0
        if chunks != self._imported:
            self._found.clear()
            self._imported = chunks

    def _find(
        self, source: EntryTrigger, queries: ActiveQueries, after: datetime, until: datetime, *, is_ahead: bool = False
    ) -> list[WorkItem]:
        match source.entry:
            case DateEntry():
                return list(self._dates(source, source.entry, after, until))
            case ScheduleEntry() if is_ahead:
                return [_item(source, source.entry, 0, at) for _, at in self._instants(source.entry, after, until)]
            case ScheduleEntry():
                return list(self._schedule(source, source.entry, queries, after, until))
            case _:
                return []

    def _dates(self, source: EntryTrigger, entry: DateEntry, after: datetime, until: datetime) -> Iterator[WorkItem]:
        first, last = candidate_days(entry, after, until)
        days = "v.date BETWEEN $first AND $last"
        if entry.yearly:
            # Month and day as one number; a span over New Year wraps. 28 February stands for the 29th too.
            day = "(month(v.date) * 100 + day(v.date))"
            low, high = first.month * 100 + first.day, last.month * 100 + last.day
            within = f"{day} BETWEEN {low} AND {high}"
            wrapped = f"({day} >= {low} OR {day} <= {high})"
            days = "true" if (last - first).days > 360 else within if low <= high else wrapped
            days = f"({days} OR {day} = 229)"
        rows = (
            self._warehouse.cursor()
            .execute(
                f"""
                SELECT v.profile_id, p.zone, v.raw, v.time, v.until, v.trusted
                FROM (
                    SELECT profile_id, date, raw, time, trusted,
                           lead(time) OVER (PARTITION BY profile_id ORDER BY time, seq) AS until
                    FROM (
                        SELECT coalesce(c.to_id, t.profile_id) AS profile_id, t.date, t.raw, t.time, t.seq, t.trusted
                        FROM trait_values t
                        LEFT JOIN canon c ON c.from_id = t.profile_id
                        WHERE t.trait = $trait AND t.time <= $until AND (t.trusted OR NOT $trusted)
                        QUALIFY t.trusted OR NOT max(t.trusted) OVER (PARTITION BY coalesce(c.to_id, t.profile_id))
                    )
                ) v
                JOIN profiles p ON p.profile_id = v.profile_id AND p.kind = 'person'
                WHERE v.date IS NOT NULL AND {days} AND ($first IS NOT NULL AND $last IS NOT NULL)
                """,
                {
                    "trait": entry.date,
                    "until": until,
                    "first": first,
                    "last": last,
                    "trusted": source.trusted_only,
                },
            )
            .fetchall()
        )
        for profile_id, zone, raw, since, changed_at, trusted in rows:
            for at in date_occurrences(entry, msgspec.json.decode(raw), zone, after, until):
                # A date counts as it was known at that instant, however late the tick.
                if since <= at and (changed_at is None or at < changed_at):
                    yield _item(source, entry, profile_id, at, is_trusted=trusted)

    def _schedule(
        self, source: EntryTrigger, entry: ScheduleEntry, queries: ActiveQueries, after: datetime, until: datetime
    ) -> Iterator[WorkItem]:
        query = queries.by_id.get(f"segment:{entry.segment}")
        if query is None:
            return
        cursor = self._warehouse.cursor()
        for zone, at in self._instants(entry, after, until):
            # Members are those of that instant: what changed since is taken back.
            rows = cursor.execute(
                """
                WITH since AS (
                    SELECT profile_id, arg_min(from_value, n) AS value
                    FROM changes
                    WHERE query_id = $query_id AND "at" > $at AND NOT initial
                    GROUP BY 1
                )
                SELECT p.profile_id
                FROM (
                    SELECT profile_id, value FROM states
                    WHERE query_id = $query_id AND profile_id NOT IN (SELECT profile_id FROM since)
                    UNION ALL
                    SELECT profile_id, value FROM since
                ) m
                JOIN profiles p ON p.profile_id = m.profile_id
                WHERE m.value = 1 AND p.zone = $zone AND p.profile_id NOT IN (SELECT from_id FROM canon)
                """,
                {"query_id": query.number, "at": at, "zone": zone},
            ).fetchall()
            yield from (_item(source, entry, profile_id, at) for (profile_id,) in rows)

    def _instants(self, entry: ScheduleEntry, after: datetime, until: datetime) -> list[tuple[str, datetime]]:
        """(zone, instant) of every zone that a customer is in, or a first one would be."""
        rows = self._warehouse.cursor().execute("SELECT DISTINCT zone FROM profiles").fetchall()
        zones = {self._warehouse.zone, *(zone for (zone,) in rows)}
        return [(zone, at) for zone in sorted(zones) for at in schedule_occurrences(entry, zone, after, until)]


def _item(
    source: EntryTrigger,
    entry: DateEntry | ScheduleEntry,
    profile_id: int,
    at: datetime,
    *,
    is_trusted: bool | None = None,
) -> WorkItem:
    return WorkItem(at, 0, profile_id, (TriggeredEntry(source, trigger_at(entry, at), is_trusted=is_trusted),))


def _watched(source: EntryTrigger) -> frozenset[str]:
    """The traits that the instants of an entry depend on."""
    return _ZONES | {source.entry.date} if isinstance(source.entry, DateEntry) else _ZONES
