"""Entries by the calendar: dates of customers and schedules, at their local instants."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta

import msgspec

from keepers.journeys.entries import DateEntry, ScheduleEntry
from keepers.journeys.entry import candidate_days, date_occurrences, schedule_occurrences, trigger_at
from keepers.pipeline.agenda import Candidate, Item
from keepers.pipeline.roster import Roster, Way
from keepers.warehouse.database import Warehouse
from keepers.warehouse.standing import Standing

_AHEAD = timedelta(hours=1)
_ZONES = frozenset({"timezone", "country"})


class Calendar:
    """Finds who enters by date or schedule in a span of time. Looks an hour ahead, so that most ticks ask nothing."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._looked: dict[tuple[str, int, int], tuple[datetime, list[Item]]] = {}
        """way → until when it was looked ahead, and who was found"""

    def items(
        self, roster: Roster, standing: Standing, after: datetime, until: datetime, learned: Collection[str]
    ) -> list[Item]:
        """Everybody's entries in (after, until], one item for each. `learned`: traits that changed since."""
        found: list[Item] = []
        for way in roster.dated:
            key = (way.journey.id, way.journey.version, way.n)
            known = self._looked.get(key)
            if known is None or known[0] < until or not _ZONES.isdisjoint(learned) or _trait(way) in learned:
                ahead = until + _AHEAD
                known = self._looked[key] = (ahead, self._find(way, standing, after, ahead))
            due = [item for item in known[1] if after < item.at <= until]
            if due and isinstance(way.entry, ScheduleEntry):
                # Who is a member is told when the time has come.
                due = self._find(way, standing, after, until)
            found += due
        return found

    def _find(self, way: Way, standing: Standing, after: datetime, until: datetime) -> list[Item]:
        match way.entry:
            case DateEntry():
                return list(self._dates(way, way.entry, after, until))
            case ScheduleEntry():
                return list(self._schedule(way, way.entry, standing, after, until))
            case _:
                return []

    def _dates(self, way: Way, entry: DateEntry, after: datetime, until: datetime) -> Iterator[Item]:
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
                SELECT v.profile_id, p.zone, v.raw
                FROM (
                    SELECT coalesce(c.to_id, t.profile_id) AS profile_id, arg_max(t.date, (t.time, t.seq)) AS date,
                           arg_max(t.raw, (t.time, t.seq)) AS raw
                    FROM trait_values t
                    LEFT JOIN canon c ON c.from_id = t.profile_id
                    WHERE t.trait = $trait AND t.time <= $until
                    GROUP BY 1
                ) v
                JOIN profiles p ON p.profile_id = v.profile_id AND p.kind = 'person'
                WHERE v.date IS NOT NULL AND {days} AND ($first IS NOT NULL AND $last IS NOT NULL)
                """,
                {"trait": entry.date, "until": until, "first": first, "last": last},
            )
            .fetchall()
        )
        for profile_id, zone, raw in rows:
            for at in date_occurrences(entry, msgspec.json.decode(raw), zone, after, until):
                yield _item(way, entry, profile_id, at)

    def _schedule(
        self, way: Way, entry: ScheduleEntry, standing: Standing, after: datetime, until: datetime
    ) -> Iterator[Item]:
        ask = standing.asks.get(f"segment:{entry.segment}")
        if ask is None:
            return
        cursor = self._warehouse.cursor()
        members = "FROM states s JOIN profiles p ON p.profile_id = s.profile_id WHERE s.ask = ? AND s.value = 1"
        for (zone,) in cursor.execute(f"SELECT DISTINCT p.zone {members}", [ask.number]).fetchall():
            instants = schedule_occurrences(entry, zone, after, until)
            if not instants:
                continue
            rows = cursor.execute(f"SELECT s.profile_id {members} AND p.zone = ?", [ask.number, zone]).fetchall()
            for at in instants:
                yield from (_item(way, entry, profile_id, at) for (profile_id,) in rows)


def _item(way: Way, entry: DateEntry | ScheduleEntry, profile_id: int, at: datetime) -> Item:
    return Item(at, 0, profile_id, (Candidate(way, trigger_at(entry, at)),))


def _trait(way: Way) -> str | None:
    return way.entry.date if isinstance(way.entry, DateEntry) else None
