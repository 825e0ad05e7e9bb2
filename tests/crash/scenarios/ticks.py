"""Ticks that are killed at any moment go on where they stopped: the end is that of one undisturbed run."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import workspaces
from crash.killing import start
from crash.scenario import Place, Scenario
from keepers.store.database import Store
from processes import Working

START = datetime(2026, 1, 5)
PEOPLE = 40
A_DAY = 30
DAYS = 5
"""of a round"""
PLAYBOOK: dict[str, Any] = {
    "segments": [
        {"id": "recent", "who": {"did": "Order Completed", "within": "3d"}},
        {"id": "spender", "who": {"did": "Order Completed", "sum": {"of": "total", "gte": 100}, "within": "6d"}},
        {"id": "fallen", "who": {"all": [{"did": "Order Completed"}, {"not": {"in_segment": "recent"}}]}},
        {"id": "faithful", "who": {"in_segment": "recent", "for": "2d"}},
    ],
    "lifecycles": [
        {
            "id": "shop",
            "stages": [
                {"id": "known", "when": "anyone"},
                {"id": "looking", "when": {"did": "Product Viewed", "within": "2d"}},
                {"id": "buyer", "when": {"in_segment": "recent"}},
                {"id": "pro", "when": {"trait": "plan", "eq": "pro"}},
            ],
        }
    ],
}

LATER: list[dict[str, Any]] = [
    {"id": "big_order", "who": {"did": "Order Completed", "max": {"of": "total", "gte": 60}}}
]
"""a segment applied before the second round"""


def _backlog(store: Store, chance: random.Random, days: range) -> None:
    """Visits, orders, sign-ins that merge, and plans, as they would have arrived day by day."""
    for day in days:
        calls = []
        for sent in range(day * A_DAY, (day + 1) * A_DAY):
            who, at = chance.randrange(PEOPLE), START + timedelta(days=day, minutes=chance.randrange(1440))
            kind = chance.random()
            call: dict[str, Any] = {
                "messageId": f"m{sent}",
                "timestamp": at.isoformat() + "Z",
                "anonymousId": f"v{who}",
            }
            if kind < 0.4:
                call |= {"type": "track", "event": "Product Viewed", "properties": {"n": sent}}
            elif kind < 0.8:
                total = chance.randrange(10, 90)
                call |= {"type": "track", "event": "Order Completed", "properties": {"n": sent, "total": total}}
                call |= {"userId": f"u{who}"}
            elif kind < 0.9:
                call |= {"type": "identify", "userId": f"u{who}", "traits": {"plan": chance.choice(["pro", "free"])}}
            else:
                call |= {"type": "track", "event": "Product Viewed", "properties": {"n": sent}, "userId": f"u{who}"}
                call |= {"anonymousId": f"other{who}"}
            calls.append(call)
        # Each day's batch comes in the following night, so all of it a little late.
        workspaces.send(store, START + timedelta(days=day + 1), calls)


class Ticks(Scenario):
    def __init__(self, place: Place, rounds: int, chance: random.Random) -> None:
        super().__init__(place, rounds, chance)
        workspaces.make(place.folder, place.migrated, playbook=PLAYBOOK, address=place.address)
        # Answered once while empty, so that what follows are moves and not first answers.
        assert workspaces.keepers("-w", place.folder, "tick", "--now", START.isoformat()).code == 0
        self._now = START

    def begin_round(self, number: int) -> None:
        days = range(number * DAYS, (number + 1) * DAYS)
        self._now = START + timedelta(days=days.stop)
        with workspaces.applied(self.place.folder) as workspace:
            _backlog(workspace.store, random.Random(number), days)
        # The later segment gets its first answers together with moves of the others.
        workspaces.write_playbook(self.place.folder, PLAYBOOK | {"segments": PLAYBOOK["segments"] + LATER})

    def start(self) -> list[Working]:
        return [start(self.place.folder, "tick", "--until-idle", "--now", self._now.isoformat())]

    def outcome(self) -> tuple[Any, ...]:
        with workspaces.opened(self.place.folder) as workspace:
            found = workspaces.outcome(workspace)
            cursor = workspace.warehouse.cursor()
            typed = "(SELECT seq, n FROM product_viewed UNION ALL SELECT seq, n FROM order_completed)"
            counts = cursor.execute(f"SELECT count(*), count(DISTINCT n), count(DISTINCT seq) FROM {typed}").fetchall()
        tracked = sum(row[1] == "track" for row in found.tracks)
        assert counts == [(tracked,) * 3]
        assert len(found.tracks) == self.rounds * DAYS * A_DAY
        assert found.repeated == 0
        assert found.fold == {key: stage for key, (stage, _) in found.states.items()}
        return found.tracks, found.states, found.changes


SCENARIO = Ticks
