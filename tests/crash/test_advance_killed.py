"""Ticks with journeys that are killed at any moment: runs, ways and messages end as in one undisturbed run."""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

import workspaces
from conftest import ENGINES, Postgres
from crash.killing import run_killed, run_whole
from keepers.app.workspace.workspace import Workspace
from keepers.model.consent import Consent
from keepers.store.database import Store
from keepers.store.profiles import consents
from keepers.store.schema.core import log
from keepers.store.schema.journeys import journey_runs
from keepers.store.schema.messages import messages
from stories.writing import completed

START = datetime(2026, 1, 5)
TICKS = (START + timedelta(days=4), START + timedelta(days=9))
PEOPLE = 45
A_DAY = 45
KILLS = 3
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


def _run(folder: Path, migrated: Path, address: str | None, longest_s: float | None) -> tuple[list[float], int]:
    """Two ticks over a backlog, killed again and again where `longest_s` is given. Returns seconds, and the dead."""
    workspaces.make(folder, migrated, playbook=completed(PLAYBOOK), address=address)
    with workspaces.opened(folder) as workspace:
        _known(workspace)
    chance = random.Random(f"advance {address is None}")
    took, died = [], 0
    for n, now in enumerate(TICKS):
        with workspaces.opened(folder) as workspace:
            _backlog(workspace.store, random.Random(n), range(n * 4, n * 4 + 4))
        command = ["tick", "--until-idle", "--now", now.isoformat()]
        if longest_s is None:
            took.append(run_whole(folder, *command))
        else:
            died += run_killed(folder, *command, chance=chance, times=KILLS, longest_s=2 * longest_s / KILLS)
    return took, died


def _outcome(folder: Path) -> tuple[Counter[Any], Counter[Any], Counter[Any]]:
    """Runs, messages, and what Keepers said, by names that do not depend on the order of work."""
    with workspaces.opened(folder) as workspace, workspace.store.read() as connection:
        r, m, e = journey_runs.c, messages.c, log.c
        ran = select(r.journey, r.profile_id, r.status, r.reason, r.step, r.entered_at, r.since, r.wake_at, r.visits)
        decided = select(m.journey, m.profile_id, m.step, m.visit, m.status, m.reason, m.decided_at)
        events = select(e.event, e.profile_id, e.time, e.kind).where(e.source == "keepers", e.kind != "change")
        found = [Counter(tuple(row) for row in connection.execute(query).all()) for query in (ran, decided, events)]
        keys = connection.execute(select(m.run_id, m.step, m.visit)).all()
        assert len(keys) == len(set(keys)), "one message per run, step and visit"
    return found[0], found[1], found[2]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_journeys_whose_ticks_are_killed_end_as_one_undisturbed_run(
    engine: str, tmp_path: Path, migrated_folder: Path, request: pytest.FixtureRequest
) -> None:
    postgres: Postgres | None = request.getfixturevalue("postgres") if engine == "postgres" else None
    addresses = [postgres.migrated() if postgres else None for _ in range(2)]
    took, _ = _run(tmp_path / "whole", migrated_folder, addresses[0], None)
    _, died = _run(tmp_path / "killed", migrated_folder, addresses[1], min(took))
    whole, killed = _outcome(tmp_path / "whole"), _outcome(tmp_path / "killed")
    for address in addresses:
        if postgres and address:
            postgres.drop(address)
    assert sum(whole[0].values()) > 200
    assert sum(whole[1].values()) > 50
    for undisturbed, disturbed in zip(whole, killed, strict=True):
        assert disturbed == undisturbed
    assert died >= KILLS // 2, "kills must fall into the work"
