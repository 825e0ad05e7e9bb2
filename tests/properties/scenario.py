"""A small world as plain lists: what everybody did, was and belonged to, and the same as rows of the log."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from keepers.model.identity import Trust
from keepers.store.events.log import LogRow

T0 = datetime(2026, 3, 27)
"""Two days before the clocks go forward in Europe."""
STEP = timedelta(hours=6)
MICRO = timedelta(microseconds=1)
HISTORY = timedelta(hours=72)


def at(step: float) -> datetime:
    """An instant on the grid; all times and windows lie on it, so that edges are hit."""
    return T0 + STEP * step


@dataclass(frozen=True)
class Fact:
    """Anything that arrived. `data` is the event's properties or the traits."""

    seq: int
    kind: str
    who: int
    time: datetime
    received: datetime
    other: int | None = None
    event: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    trust: Trust = "server"

    @property
    def trusted(self) -> bool:
        return self.trust != "public"

    @property
    def known(self) -> datetime:
        """From when it is known: what comes more than 72 h late is history, known at its own time."""
        if self.kind in ("track", "identify", "group") and self.received - self.time > HISTORY:
            return self.time
        return self.received

    def row(self) -> LogRow:
        match self.kind:
            case "profile":
                body = self.data
            case "track":
                body = {"type": "track", "event": self.event, "properties": self.data}
            case "identify" | "group":
                body = {"type": self.kind, "traits": self.data}
            case _:
                body = {}
        event = self.event if self.kind == "track" else self.kind
        encoded = json.dumps(body).encode()
        return LogRow(
            self.seq,
            self.kind,
            self.who,
            self.other,
            event,
            self.time,
            self.received,
            self.known,
            "test",
            encoded,
            0,
            self.trust,
        )


@dataclass
class Scenario:
    """Facts in the order of seq. People are 1…99, accounts 101…."""

    facts: list[Fact] = field(default_factory=list)
    zone: str = "UTC"

    def add(self, kind: str, who: int, time: datetime, received: datetime | None = None, **more: Any) -> Fact:
        fact = Fact(len(self.facts) + 1, kind, who, time, received or time, **more)
        self.facts.append(fact)
        return fact

    def track(self, who: int, event: str, time: datetime, received: datetime | None = None, **data: Any) -> Fact:
        return self.add("track", who, time, received, event=event, data=data)

    def person(self, who: int, time: datetime) -> Fact:
        return self.add("profile", who, time, data={"kind": "person", "bucket_key": f"user_id:{who}"})

    def account(self, who: int, time: datetime) -> Fact:
        return self.add("profile", who, time, data={"kind": "account", "bucket_key": f"group_id:{who}"})

    def sorted_by_arrival(self) -> Scenario:
        """The same facts numbered in the order in which they arrived."""
        ordered = sorted(self.facts, key=lambda f: (f.received, f.seq))
        return Scenario([renumbered(f, n) for n, f in enumerate(ordered, start=1)], self.zone)

    def received_by(self, now: datetime) -> Scenario:
        return Scenario([f for f in self.facts if f.received <= now], self.zone)

    def known_by(self, now: datetime) -> Scenario:
        """What an answer as of `now` may look at."""
        return Scenario([f for f in self.facts if f.known <= now], self.zone)

    def rows(self) -> list[LogRow]:
        return [f.row() for f in self.facts]


def renumbered(fact: Fact, seq: int) -> Fact:
    return replace(fact, seq=seq)


def instants_of(scenarios: Iterable[Scenario], spans: Iterable[timedelta]) -> list[datetime]:
    """Every instant at which anything could change: all times, all times plus a span, and a microsecond around."""
    times = {t for w in scenarios for f in w.facts for t in (f.time, f.received)}
    found = times | {t + s for t in times for s in spans}
    return sorted({i + d for i in found for d in (-MICRO, timedelta(0), MICRO)})
