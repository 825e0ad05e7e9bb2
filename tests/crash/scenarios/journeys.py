"""Ticks with journeys that are killed at any moment: runs, ways and messages end as in one undisturbed run."""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

import workspaces
from crash.killing import start
from crash.scenario import Place, Scenario
from keepers.app.workspace.workspace import Workspace
from keepers.model.consent import Consent
from keepers.store.database import Store
from keepers.store.profiles import consents
from keepers.store.schema.core import log
from keepers.store.schema.journeys import journey_runs
from keepers.store.schema.messages import messages
from processes import Working
from stories.writing import completed

START = datetime(2026, 1, 5)
PEOPLE = 45
A_DAY = 45
DAYS = 4
"""of a round"""
PLAYBOOK: dict[str, Any] = {
    "topics": [{"id": "tips", "name": "Tips"}],
    "mails": {"hello": "tips", "nudge": "tips"},
    "segments": [{"id": "recent", "who": {"did": "Order Completed", "within": "3d"}}],
    "journeys": [
        {
            "id": "looked",
            "enter": [{"event": "Product Viewed"}],
            "reentry": "after_exit",
            "goal": {"when": {"did": "Order Completed", "since": {"ref": "run.entered_at"}}},
            "steps": [
                {"id": "hello", "message": "hello"},
                {"id": "rest", "delay": "1d"},
                {"id": "half", "split": [{"go": "nudge"}, {"go": "tell"}]},
                {"id": "nudge", "message": "nudge"},
                # Said last: a run that spoke asks on only when that was loaded, which is when the next tick is.
                {"id": "tell", "emit": {"event": "Waited", "properties": {"n": {"ref": "trigger.n"}}}},
                {"id": "mark", "update": {"traits": {"nudged": True}}},
            ],
        },
        {
            "id": "order",
            "enter": [{"event": "Order Completed"}],
            "reentry": {"per": "n"},
            "steps": [{"id": "rest", "delay": "2d"}, {"id": "done", "exit": "rested"}],
        },
        {
            "id": "gone",
            "enter": [{"segment": "recent", "on": "left"}],
            "reentry": "after_exit",
            "steps": [
                {"id": "rest", "delay": "1d"},
                {"id": "chain", "start": "order", "data": {"n": {"ref": "trigger.time"}}},
            ],
        },
        {
            "id": "waited",
            "enter": [{"event": "Waited"}],
            "reentry": {"per": "n"},
            "steps": [{"id": "quiet", "wait": {"when": {"did_not": "Product Viewed", "within": "2d"}}}],
        },
    ],
}


def _known(workspace: Workspace) -> None:
    """Everybody has an address and agreed."""
    calls = [
        {"type": "identify", "userId": f"u{n}", "messageId": f"i{n}", "traits": {"email": f"u{n}@example.com"}}
        for n in range(PEOPLE)
    ]
    workspaces.send(workspace.store, START, calls)
    with workspace.sequencing("a test") as ticker:
        ticker.tick(START)
    agreed = [
        Consent(workspace.find_profile(f"u{n}"), "email", "tips", "subscribed", START, "form", holds_for="person")
        for n in range(PEOPLE)
    ]
    with workspace.store.begin() as connection:
        consents.record(connection, agreed, START)


def _backlog(store: Store, chance: random.Random, days: range) -> None:
    for day in days:
        calls = []
        for sent in range(day * A_DAY, (day + 1) * A_DAY):
            at = START + timedelta(days=day, minutes=chance.randrange(1440))
            event = "Product Viewed" if chance.random() < 0.6 else "Order Completed"
            calls.append(
                {
                    "type": "track",
                    "event": event,
                    "messageId": f"m{sent}",
                    "timestamp": at.isoformat() + "Z",
                    "userId": f"u{chance.randrange(PEOPLE)}",
                    "properties": {"n": sent},
                }
            )
        workspaces.send(store, START + timedelta(days=day + 1), calls)


class Journeys(Scenario):
    def __init__(self, place: Place, rounds: int, chance: random.Random) -> None:
        super().__init__(place, rounds, chance)
        workspaces.make(place.folder, place.migrated, playbook=completed(PLAYBOOK), address=place.address)
        with workspaces.opened(place.folder) as workspace:
            _known(workspace)
        self._now = START

    def begin_round(self, number: int) -> None:
        days = range(number * DAYS, (number + 1) * DAYS)
        self._now = START + timedelta(days=days.stop)
        with workspaces.opened(self.place.folder) as workspace:
            _backlog(workspace.store, random.Random(number), days)

    def start(self) -> list[Working]:
        return [start(self.place.folder, "tick", "--until-idle", "--now", self._now.isoformat())]

    def outcome(self) -> tuple[Counter[Any], ...]:
        """Runs, messages, and what Keepers added to the log, by names that do not depend on the order of work."""
        with workspaces.opened(self.place.folder) as workspace, workspace.store.read() as connection:
            r, m, e = journey_runs.c, messages.c, log.c
            ran = select(
                r.journey, r.profile_id, r.status, r.reason, r.step, r.entered_at, r.since, r.wake_at, r.visits
            )
            decided = select(m.journey, m.profile_id, m.step, m.visit, m.status, m.reason, m.decided_at)
            events = select(e.event, e.profile_id, e.time, e.kind).where(e.source == "keepers", e.kind != "change")
            queries = (ran, decided, events)
            found = [Counter(tuple(row) for row in connection.execute(query).all()) for query in queries]
            keys = connection.execute(select(m.run_id, m.step, m.visit)).all()
            stuck = connection.execute(select(r.id).where(r.status == "active", r.wake_at <= self._now)).all()
        assert len(keys) == len(set(keys)), "one message per run, step and visit"
        assert not stuck, "no run waits for a moment that has passed"
        assert sum(found[0].values()) > 100 * self.rounds
        assert sum(found[1].values()) > 25 * self.rounds
        return tuple(found)


SCENARIO = Journeys
