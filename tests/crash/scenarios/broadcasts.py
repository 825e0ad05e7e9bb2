"""A broadcast whose ticks are killed at any moment is queued to everybody once."""

from __future__ import annotations

import random
import sys

from sqlalchemy import func, select

import workspaces
from crash.killing import log_of
from crash.scenario import Place, Scenario
from keepers.broadcasts import advance, control
from keepers.cli.main import main
from keepers.store.schema.messages import messages
from processes import Working
from unit.broadcasts.mailing import LOOSE, NOW, Shop, playbook

CUSTOMERS = 300


def _ticks(folder: str) -> None:
    # Chunks far smaller than in life, so that kills fall between and into them.
    advance.CHUNK = 50
    advance.PER_TICK = 200
    sys.argv = ["keepers", "-w", folder, "tick", "--until-idle", "--now", f"{NOW.isoformat()}Z"]
    main()


class Broadcasts(Scenario):
    def __init__(self, place: Place, rounds: int, chance: random.Random) -> None:
        super().__init__(place, rounds, chance)
        tested = {"test": {"variants": [{"id": "a"}, {"id": "b"}]}}
        written = playbook(*({"id": f"b{n}", **tested} for n in range(rounds)), contact=LOOSE)
        self._shop = Shop(place.folder, place.migrated, written, place.address)
        self._shop.customers(size=CUSTOMERS)
        self._shop.workspace.close()

    def begin_round(self, number: int) -> None:
        self._shop.reopen()
        self._shop.start(f"b{number}")
        self._shop.workspace.close()

    def start(self) -> list[Working]:
        return [Working(_ticks, [str(self.place.folder)], log_of(self.place.folder))]

    def outcome(self) -> None:
        """Everybody is queued once for each broadcast, and counted as exposed to the variant they get."""
        m = messages.c
        with workspaces.opened(self.place.folder) as workspace:
            statuses = [control.statuses(workspace.store, f"b{n}")[0] for n in range(self.rounds)]
            with workspace.store.read() as connection:
                query = select(m.broadcast, func.count(), func.count(m.profile_id.distinct())).group_by(m.broadcast)
                queued = {tuple(row) for row in connection.execute(query)}
        assert queued == {(f"b{n}", CUSTOMERS, CUSTOMERS) for n in range(self.rounds)}
        assert {(status.taken, status.queued) for status in statuses} == {(CUSTOMERS, CUSTOMERS)}
        exposed = sum(one.number for status in statuses for one in status.messages if one.variant)
        self._shop.reopen()
        assert exposed == len(self._shop.events("Experiment Viewed"))
        self._shop.workspace.close()


SCENARIO = Broadcasts
