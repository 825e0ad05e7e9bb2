"""Entries by the calendar: dates of customers and schedules, at their local instants."""

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
"""among what was learned: somebody was merged, so that any trait may be another's now"""
_ZONES = frozenset(ZONE_TRAITS)


class Calendar:
    """Finds who enters by date or schedule in a span of time. Looks an hour ahead, so that most ticks ask nothing."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._looked: dict[tuple[str, int, int], tuple[datetime, list[WorkItem]]] = {}
        """way → until when it was looked ahead, and who was found"""
        self._imported = 0

    def items(
        self, roster: JourneyIndex, standing: ActiveQueries, after: datetime, until: datetime, learned: Collection[str]
    ) -> list[WorkItem]:
        """Everybody's entries in (after, until], one item for each. `learned`: traits that changed since."""
        found: list[WorkItem] = []
        self._forget_before_imports()
        for way in roster.dated:
            key = (way.journey.id, way.journey.version, way.n)
            known = self._looked.get(key)
            if known is None or known[0] < until or MERGED in learned or not _watched(way).isdisjoint(learned):
                ahead = until + _AHEAD
                known = self._looked[key] = (ahead, self._find(way, standing, after, ahead, is_ahead=True))
            due = [item for item in known[1] if after < item.at <= until]
            if due and isinstance(way.entry, ScheduleEntry):
                # Who is a member is told when the time has come.
                due = self._find(way, standing, after, until)
            found += due
        return found

    def _forget_before_imports(self) -> None:
        """What is imported teaches traits past the log, and so past what was learned."""
        row = self._warehouse.cursor().execute("SELECT count(*) FROM import_chunks").fetchone()
        chunks = int(row[0]) if row else 0
        if chunks != self._imported:
            self._looked.clear()
            self._imported = chunks

    def _find(
        self, way: EntryTrigger, standing: ActiveQueries, after: datetime, until: datetime, *, is_ahead: bool = False
    ) -> list[WorkItem]:
        match way.entry:
            case DateEntry():
                return list(self._dates(way, way.entry, after, until))
            case ScheduleEntry() if is_ahead:
                return [_item(way, way.entry, 0, at) for _, at in self._instants(way.entry, after, until)]
            case ScheduleEntry():
                return list(self._schedule(way, way.entry, standing, after, until))
            case _:
                return []

    def _dates(self, way: EntryTrigger, entry: DateEntry, after: datetime, until: datetime) -> Iterator[WorkItem]:
        first, last = candidate_days(entry, after, until)
        days = "v.date BETWEEN $first AND $last"
        if entry.yearly:
            # Month and day as one number; a span over New Year wraps round. The 28 February stands for the 29th too.
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
                SELECT v.profile_id, p.zone, v.raw, v.time, v.until
                FROM (
                    SELECT coalesce(c.to_id, t.profile_id) AS profile_id, t.date, t.raw, t.time,
                           lead(t.time) OVER (PARTITION BY coalesce(c.to_id, t.profile_id) ORDER BY t.time, t.seq)
                               AS until
                    FROM trait_values t
                    LEFT JOIN canon c ON c.from_id = t.profile_id
                    WHERE t.trait = $trait AND t.time <= $until
                ) v
                JOIN profiles p ON p.profile_id = v.profile_id AND p.kind = 'person'
                WHERE v.date IS NOT NULL AND {days} AND ($first IS NOT NULL AND $last IS NOT NULL)
                """,
                {"trait": entry.date, "until": until, "first": first, "last": last},
            )
            .fetchall()
        )
        for profile_id, zone, raw, since, changed_at in rows:
            for at in date_occurrences(entry, msgspec.json.decode(raw), zone, after, until):
                # A date counts as it was known at that instant, however late the tick.
                if since <= at and (changed_at is None or at < changed_at):
                    yield _item(way, entry, profile_id, at)

    def _schedule(
        self, way: EntryTrigger, entry: ScheduleEntry, standing: ActiveQueries, after: datetime, until: datetime
    ) -> Iterator[WorkItem]:
        ask = standing.asks.get(f"segment:{entry.segment}")
        if ask is None:
            return
        cursor = self._warehouse.cursor()
        for zone, at in self._instants(entry, after, until):
            # Members are those of that instant: what changed since is taken back.
            rows = cursor.execute(
                """
                WITH since AS (
                    SELECT profile_id, arg_min(from_value, n) AS value
                    FROM changes
                    WHERE ask = $ask AND "at" > $at AND NOT initial
                    GROUP BY 1
                )
                SELECT p.profile_id
                FROM (
                    SELECT profile_id, value FROM states
                    WHERE ask = $ask AND profile_id NOT IN (SELECT profile_id FROM since)
                    UNION ALL
                    SELECT profile_id, value FROM since
                ) m
                JOIN profiles p ON p.profile_id = m.profile_id
                WHERE m.value = 1 AND p.zone = $zone AND p.profile_id NOT IN (SELECT from_id FROM canon)
                """,
                {"ask": ask.number, "at": at, "zone": zone},
            ).fetchall()
            yield from (_item(way, entry, profile_id, at) for (profile_id,) in rows)

    def _instants(self, entry: ScheduleEntry, after: datetime, until: datetime) -> list[tuple[str, datetime]]:
        """(zone, instant) of every zone that a customer is in, or a first one would be."""
        rows = self._warehouse.cursor().execute("SELECT DISTINCT zone FROM profiles").fetchall()
        zones = {self._warehouse.zone, *(zone for (zone,) in rows)}
        return [(zone, at) for zone in sorted(zones) for at in schedule_occurrences(entry, zone, after, until)]


def _item(way: EntryTrigger, entry: DateEntry | ScheduleEntry, profile_id: int, at: datetime) -> WorkItem:
    return WorkItem(at, 0, profile_id, (TriggeredEntry(way, trigger_at(entry, at)),))


def _watched(way: EntryTrigger) -> frozenset[str]:
    """The traits by which the instants of a way change."""
    return _ZONES | {way.entry.date} if isinstance(way.entry, DateEntry) else _ZONES
