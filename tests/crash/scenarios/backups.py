"""Backups and restores that are killed: what was made before is whole, and the next run does the work."""

from __future__ import annotations

import random
import shutil
from datetime import datetime

import workspaces
from crash.killing import start
from crash.scenario import Place, Scenario
from processes import Working
from serving import keepers

EVENTS = 1500
LAYOUT = {"keepers-backups.json", "backups", "chunks", "erasures.json", "lock"}


class Backups(Scenario):
    """Backups of what each round adds; on SQLite, restores in turns with them, which need no database of their own."""

    def __init__(self, place: Place, rounds: int, chance: random.Random) -> None:
        super().__init__(place, rounds, chance)
        self._backups = place.folder.with_name(f"{place.folder.name}-backups")
        self._to = place.folder.with_name(f"{place.folder.name}-restored")
        self._kept: set[str] = set()
        self._sent = 0
        workspaces.make(place.folder, place.migrated, address=place.address)

    def begin_round(self, number: int) -> None:
        calls = [
            {"type": "track", "event": "Seen", "userId": f"u{n % 90}", "messageId": f"m{n}", "properties": {"n": n}}
            for n in range(self._sent, self._sent + EVENTS)
        ]
        with workspaces.opened(self.place.folder) as workspace:
            for n in range(0, EVENTS, 100):
                workspaces.send(workspace.store, datetime(2026, 1, 5), calls[n : n + 100])
        self._sent += EVENTS
        # The warehouse changes in some rounds only, so that pieces of it are shared between backups.
        if number % 2:
            keepers(self.place.folder, "tick", "--now", "2026-01-06")
        self._restores = number > 0 and self.place.address is None and number % 2 == 0

    def start(self) -> list[Working]:
        if not self._restores:
            return [start(self.place.folder, "backup", self._backups)]
        shutil.rmtree(self._to, ignore_errors=True)
        return [start(self.place.folder, "restore", self._backups, "--to", self._to)]

    def end_round(self) -> None:
        if self._restores and self._to.exists():
            # It is renamed at its end: what is there is whole, whenever the process died.
            keepers(self._to, "doctor")
        super().end_round()
        listed = keepers(self.place.folder, "backups", str(self._backups), "--check")["items"]
        assert not any(one["damage"] for one in listed)
        ids = {one["id"] for one in listed}
        assert self._kept <= ids, "backups that were made before are gone"
        self._kept = ids

    def outcome(self) -> None:
        self._restores = False
        super().end_round()
        assert {path.name for path in self._backups.iterdir()} == LAYOUT
        folder = self.place.folder
        assert not [p.name for p in folder.parent.iterdir() if p.name.startswith(".") and folder.name in p.name]
        if self.place.address is not None:
            return
        shutil.rmtree(self._to, ignore_errors=True)
        keepers(folder, "restore", str(self._backups), "--to", str(self._to))
        with workspaces.opened(self._to) as workspace:
            numbers = "SELECT (raw->>'$.properties.n')::BIGINT AS n FROM tracks WHERE event = 'Seen' ORDER BY n"
            rows = workspace.warehouse.cursor().execute(numbers).fetchall()
        assert rows == [(n,) for n in range(self._sent)]


SCENARIO = Backups
