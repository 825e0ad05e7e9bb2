"""An import and the ticks after it, all killed at any moment, end as if nothing had happened, on both stores."""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import workspaces
from crash.killing import log_of, start, start_all
from crash.scenario import Place, Scenario
from processes import Working

START = datetime(2026, 1, 5)
FIRST_TICK = datetime(2026, 3, 1)
LINES = 2_400
BAD_EVERY = 60
BAD = LINES // BAD_EVERY
PLAYBOOK: dict[str, Any] = {
    "segments": [
        {"id": "recent", "who": {"did": "Order Completed", "within": "20d"}},
        {"id": "pro", "who": {"trait": "plan", "eq": "pro"}},
    ]
}


def _orders(file: Path, number: int) -> None:
    """A file of lines that no other round has; some name nobody, and are rejected."""
    chance = random.Random(number)
    with file.open("w") as out:
        out.write("who,at,n,total,plan\n")
        for n in range(number * LINES, (number + 1) * LINES):
            who = f"u{chance.randrange(600)}" if n % BAD_EVERY else ""
            at = START + timedelta(minutes=chance.randrange(60 * 24 * 60))
            out.write(f"{who},{at.isoformat()},{n},{chance.randrange(5, 90)},{chance.choice(['pro', 'free'])}\n")


class Imports(Scenario):
    """An import and the tick after it, in one process."""

    def __init__(self, place: Place, rounds: int, chance: random.Random) -> None:
        super().__init__(place, rounds, chance)
        workspaces.make(place.folder, place.migrated, playbook=PLAYBOOK, address=place.address)
        self._import: list[object] = []
        self._tick: list[object] = []

    def begin_round(self, number: int) -> None:
        file = self.place.folder.with_name(f"{self.place.folder.name}-orders{number}.csv")
        _orders(file, number)
        options = ["--event", "Order Completed", "--profile", "who", "--time", "at", "--now", "2026-04-01"]
        options += ["--property", "n=n", "--property", "total=total", "--trait", "plan=plan"]
        self._import = ["import", file, *options]
        self._tick = ["tick", "--until-idle", "--now", (FIRST_TICK + timedelta(days=number)).isoformat()]

    def start(self) -> list[Working]:
        return [start_all(self.place.folder, self._import, self._tick)]

    def end_round(self) -> None:
        super().end_round()
        # The same file once more: all of it is known.
        assert start(self.place.folder, *self._import, "--json").wait(120) == 0
        report = json.loads(log_of(self.place.folder).read_text().splitlines()[-1])
        counted = {name: report[name] for name in ("loaded", "duplicates_skipped", "rejected")}
        assert counted == {"loaded": 0, "duplicates_skipped": LINES - BAD, "rejected": BAD}, counted

    def outcome(self) -> tuple[Any, ...]:
        good = self.rounds * (LINES - BAD)
        with workspaces.opened(self.place.folder) as workspace:
            found = workspaces.outcome(workspace)
            cursor = workspace.warehouse.cursor()
            counts = cursor.execute("SELECT count(*), count(DISTINCT n), count(DISTINCT seq) FROM order_completed")
            assert counts.fetchall() == [(good,) * 3]
            assert cursor.execute("SELECT count(*) FROM trait_values").fetchall() == [(good,)]
        assert len(found.tracks) == 2 * good
        assert found.repeated == 0
        assert found.fold == {key: stage for key, (stage, _) in found.states.items()}
        return found.tracks, found.states, found.changes


SCENARIO = Imports
