"""A naive oracle: does a condition hold for a subject at a moment, over plain lists? Written from the documents.

Deliberately slow and without any of the compiler's ideas: every question is answered by looking at everything.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cached_property
from hashlib import md5
from typing import Any
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from keepers.conditions import ast
from keepers.conditions.definitions import Lifecycle, Segment
from keepers.evaluation.active_queries import Definitions
from properties.oracle_events import Row, did, rhythm, rows_of, sequence
from properties.oracle_values import Clock, passes
from properties.scenario import Fact, Scenario

RHYTHM = ("due_at", "slipping_at", "lost_at", "rhythm_days")


class Oracle:
    """Answers over one world, everything in it being known. `since` gives recorded entries for `for`."""

    def __init__(
        self, scenario: Scenario, definitions: Definitions, since: dict[tuple[str, int], datetime] | None = None
    ):
        self.scenario = scenario
        self.definitions = definitions
        self.since = since or {}
        self._rows: dict[tuple[int, str], list[Row]] = {}

    @cached_property
    def links(self) -> dict[int, int]:
        found: dict[int, int] = {}
        for fact in self.scenario.facts:
            if fact.kind == "merge" and fact.other is not None:
                found[fact.who] = fact.other
            elif fact.kind == "unmerge":
                found.pop(fact.who, None)
        return found

    @cached_property
    def of_trusted(self) -> Oracle:
        """The same people, of whom nothing is known but what is trusted; that anybody belongs to an account is not."""
        return _Trusted(self.scenario, self.definitions, self.since)

    def final(self, who: int) -> int:
        while who in self.links:
            who = self.links[who]
        return who

    @cached_property
    def kinds(self) -> dict[int, str]:
        return {f.who: f.data["kind"] for f in self.scenario.facts if f.kind == "profile"}

    def subjects(self, kind: str = "person") -> list[int]:
        return [who for who, k in self.kinds.items() if k == kind and self.final(who) == who]

    def created(self, who: int) -> datetime:
        return min(
            f.known
            for f in self.scenario.facts
            if f.kind not in ("merge", "unmerge") and (f.who == who or (f.kind == "group" and f.other == who))
        )

    def zone(self, who: int) -> str:
        """The zone of the latest `timezone` of the whole group of merged profiles."""
        named = [f for f in self._own(who) if "timezone" in f.data]
        latest = max(named, key=_order, default=None)
        return latest.data["timezone"] if latest else self.scenario.zone

    def _own(self, who: int) -> list[Fact]:
        """Facts that set traits of a subject."""
        found = []
        for f in self.scenario.facts:
            owner = f.who if f.kind == "identify" else f.other if f.kind == "group" else None
            if owner is not None and self.final(owner) == who:
                found.append(f)
        return found

    def trait(self, who: int, name: str, now: datetime) -> Any:
        """The trusted value, else the untrusted one, with the latest (time, seq) not in the future; null is none."""
        held = [f for f in self._own(who) if name in f.data and f.time <= now]
        return max(held, key=_order).data[name] if held else None

    def members(self, account: int) -> dict[int, datetime]:
        """Who belongs to an account, and since when."""
        found: dict[int, datetime] = {}
        for f in self.scenario.facts:
            if f.kind == "group" and f.other == account:
                who = self.final(f.who)
                found[who] = min(f.time, found.get(who, f.time))
        return found

    def rows(self, who: int) -> list[Row]:
        kind = self.kinds[who]
        if (who, kind) not in self._rows:
            members = self.members(who) if kind == "account" else {}
            found = []
            for f in self.scenario.facts:
                if f.kind != "track":
                    continue
                owner = self.final(f.who)
                if owner == who or (owner in members and f.time >= members[owner]):
                    found.append(Row(f.seq, f.event, f.time, self._day(f), f.data, f.trusted))
            self._rows[who, kind] = found
        return self._rows[who, kind]

    def _day(self, fact: Fact) -> Any:
        """The local date, in the zone known when the event arrived."""
        before = Oracle(
            Scenario([f for f in self.scenario.facts if f.seq < fact.seq], self.scenario.zone), self.definitions
        )
        zone = before.zone(before.final(fact.who))
        return fact.time.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).date()

    def value(self, definition: Segment | Lifecycle, who: int, now: datetime) -> int:
        """0, 1 in the segment, or the number of the last stage that holds."""
        if self.kinds[who] != definition.of or self.final(who) != who or self.created(who) > now:
            return 0
        if isinstance(definition, Segment):
            return int((self.of_trusted if definition.trust == "server" else self).holds(definition.who, who, now))
        return max((n for n, s in enumerate(definition.stages, 1) if self.holds(s.when, who, now)), default=0)

    def holds(self, condition: ast.Condition, who: int, now: datetime) -> bool:
        clock = Clock(now, self.zone(who))
        words = self.definitions.events
        match condition:
            case ast.AllOf(items):
                return bool(items) and all(self.holds(i, who, now) for i in items)
            case ast.AnyOf(items):
                return any(self.holds(i, who, now) for i in items)
            case ast.Not(item):
                return not self.holds(item, who, now)
            case ast.Anyone():
                return True
            case ast.Trait(name, tests):
                return self._trait_passes(who, name, tests, clock)
            case ast.Did():
                return did(condition, self.rows(who), words, clock)
            case ast.Sequence():
                return sequence(condition, self.rows(who), words, clock)
            case ast.InSegment(segment, lasting):
                inside = self.value(self.definitions.segments[segment], who, now) == 1
                return inside and self._lasted(f"segment:{segment}", who, lasting, now)
            case ast.InStage(lifecycle, stage, lasting):
                model = self.definitions.lifecycles[lifecycle]
                number = [s.id for s in model.stages].index(stage) + 1
                inside = self.value(model, who, now) == number
                return inside and self._lasted(f"lifecycle:{lifecycle}", who, lasting, now)
            case ast.Account(inner):
                accounts = [a for a in self.subjects("account") if self.created(a) <= now]
                mine = [a for a in accounts if self.members(a).get(who, now + (datetime.max - now)) <= now]
                return any(self.holds(inner, a, now) for a in mine)
            case ast.Sample(salt, start, end):
                key = next(f.data["bucket_key"] for f in self.scenario.facts if f.kind == "profile" and f.who == who)
                return start <= int(md5(f"{salt}:{key}".encode()).hexdigest(), 16) / 2**128 < end

    def _trait_passes(self, who: int, name: str, tests: Any, clock: Clock) -> bool:
        if name in RHYTHM:
            definitions = self.definitions
            score = definitions.scores["rhythm"]
            found = rhythm(name, score.settings, score.figures, self.rows(who), definitions.events, clock)
            value = found.isoformat() if isinstance(found, datetime) else found
            return passes(value, tests, clock, "UTC")
        return passes(self.trait(who, name, clock.now), tests, clock, self._zone_as_known(who, name, clock.now))

    def _zone_as_known(self, who: int, name: str, now: datetime) -> str:
        """A date without an offset is read in the zone known when it arrived."""
        held = [f for f in self._own(who) if name in f.data and f.time <= now]
        if not held:
            return self.scenario.zone
        seq = max(held, key=_order).seq
        before = Oracle(
            Scenario([f for f in self.scenario.facts if f.seq <= seq], self.scenario.zone), self.definitions
        )
        return before.zone(before.final(who))

    def _lasted(self, definition: str, who: int, lasting: Any, now: datetime) -> bool:
        if not lasting:
            return True
        since = self.since.get((definition, who))
        return since is not None and since + lasting <= now


class _Trusted(Oracle):
    def _own(self, who: int) -> list[Fact]:
        return [f for f in super()._own(who) if f.trusted]

    def rows(self, who: int) -> list[Row]:
        return [row for row in super().rows(who) if row.trusted]

    def zone(self, who: int) -> str:
        # Profiles, and whose clock counts, are the same for everybody who asks.
        return Oracle(self.scenario, self.definitions).zone(who)

    def holds(self, condition: ast.Condition, who: int, now: datetime) -> bool:
        match condition:
            case ast.Account():
                return False
            case ast.InSegment(lasting=lasting) | ast.InStage(lasting=lasting) if lasting:
                # How long is known of the answers that are kept.
                kept = Oracle(self.scenario, self.definitions, self.since).holds(condition, who, now)
                return kept and super().holds(replace(condition, lasting=timedelta(0)), who, now)
            case _:
                return super().holds(condition, who, now)


def _order(fact: Fact) -> tuple[bool, datetime, int]:
    return fact.trusted, fact.time, fact.seq


__all__ = ["Oracle", "rows_of"]
