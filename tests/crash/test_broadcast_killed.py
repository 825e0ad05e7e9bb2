"""A broadcast whose ticks are killed at any moment is queued to everybody once."""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import func, select

import workspaces
from conftest import ENGINES, Postgres
from crash.killing import log_of
from keepers.broadcasts import advance, control
from keepers.cli.main import main
from keepers.store.schema.messages import messages
from processes import Working
from unit.broadcasts.mailing import NOW, Shop, playbook

CUSTOMERS = 600
KILLS = 3


def _ticks(folder: str) -> None:
    # Chunks far smaller than in life, so that kills fall between and into them.
    advance.CHUNK = 50
    advance.PER_TICK = 200
    sys.argv = ["keepers", "-w", folder, "tick", "--until-idle", "--now", f"{NOW.isoformat()}Z"]
    main()


@pytest.mark.parametrize("engine", ENGINES)
def test_everybody_is_queued_once(
    tmp_path: Path, migrated_folder: Path, request: pytest.FixtureRequest, engine: str
) -> None:
    postgres: Postgres | None = request.getfixturevalue("postgres") if engine == "postgres" else None
    address = postgres.migrated() if postgres is not None else None
    folder = tmp_path / "shop"
    shop = Shop(folder, migrated_folder, playbook({"test": {"variants": [{"id": "a"}, {"id": "b"}]}}), address)
    shop.customers(size=CUSTOMERS)
    shop.start()
    shop.close()
    chance = random.Random(7)
    for _ in range(KILLS):
        working = Working(_ticks, [str(folder)], log_of(folder))
        time.sleep(0.2 + chance.random() * 2)
        if not working.kill():
            break
    assert Working(_ticks, [str(folder)], log_of(folder)).wait(120) == 0
    with workspaces.opened(folder) as workspace:
        status = control.statuses(workspace.store, "b")[0]
        with workspace.store.read() as connection:
            of = func.count(messages.c.profile_id.distinct())
            number, different = connection.execute(select(func.count(), of).select_from(messages)).one()
    assert (number, different, status.taken, status.queued) == (CUSTOMERS,) * 4
    exposed = sum(one.number for one in status.messages if one.variant)
    assert exposed == len(shop.events("Experiment Viewed"))
    if postgres is not None and address is not None:
        shop.close()
        postgres.drop(address)
