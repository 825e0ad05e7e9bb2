"""Ticks that are killed at any moment go on where they stopped: the end is that of one undisturbed run."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import workspaces
from conftest import ENGINES, Postgres
from crash.killing import run_killed, run_whole
from keepers.store.database import Store

START = datetime(2026, 1, 5)
TICKS = (START + timedelta(days=5), START + timedelta(days=10))
PEOPLE = 40
A_DAY = 30
KILLS = 3
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


LATER: list[dict[str, Any]] = [
    {"id": "big_order", "who": {"did": "Order Completed", "max": {"of": "total", "gte": 60}}}
]
"""a segment applied before the second tick: its first answers come together with moves of the others"""


def _run(folder: Path, migrated: Path, address: str | None, longest_s: float | None) -> tuple[list[float], int]:
    """Two ticks over a backlog, killed again and again where `longest_s` is given. Returns seconds, and the dead."""
    workspaces.make(folder, migrated, playbook=PLAYBOOK, address=address)
    # Answered once while empty, so that what follows are moves and not first answers.
    assert workspaces.keepers("-w", folder, "tick", "--now", START.isoformat()).code == 0
    chance = random.Random(f"tick {address is None}")
    took, died = [], 0
    for n, now in enumerate(TICKS):
        with workspaces.opened(folder) as workspace:
            _backlog(workspace.store, random.Random(n), range(n * 5, n * 5 + 5))
        command = ["tick", "--until-idle", "--now", now.isoformat()]
        if longest_s is None:
            took.append(run_whole(folder, *command))
        else:
            # Each run gets a part of the way, so that the kills spread over all of it.
            died += run_killed(folder, *command, chance=chance, times=KILLS, longest_s=2 * longest_s / KILLS)
        workspaces.write_playbook(folder, PLAYBOOK | {"segments": PLAYBOOK["segments"] + LATER})
        assert workspaces.keepers("-w", folder, "apply").code == 0
    return took, died


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_ticks_killed_at_random_moments_end_as_one_undisturbed_run(
    engine: str, tmp_path: Path, migrated_folder: Path, request: pytest.FixtureRequest
) -> None:
    postgres: Postgres | None = request.getfixturevalue("postgres") if engine == "postgres" else None
    addresses = [postgres.migrated() if postgres else None for _ in range(2)]
    took, _ = _run(tmp_path / "whole", migrated_folder, addresses[0], None)
    _, died = _run(tmp_path / "killed", migrated_folder, addresses[1], min(took))
    with workspaces.opened(tmp_path / "whole") as workspace:
        whole = workspaces.outcome(workspace)
    with workspaces.opened(tmp_path / "killed") as workspace:
        killed = workspaces.outcome(workspace)
        cursor = workspace.warehouse.cursor()
        typed = "(SELECT seq, n FROM product_viewed UNION ALL SELECT seq, n FROM order_completed)"
        counts = cursor.execute(f"SELECT count(*), count(DISTINCT n), count(DISTINCT seq) FROM {typed}").fetchall()
    for address in addresses:
        if postgres and address:
            postgres.drop(address)
    sent = sum(row[1] == "track" for row in whole.tracks)
    assert counts == [(sent, sent, sent)]
    assert len(whole.tracks) == 10 * A_DAY
    assert killed.tracks == whole.tracks
    assert killed.repeated == 0
    assert killed.states == whole.states
    assert killed.changes == whole.changes
    assert killed.fold == whole.fold == {key: stage for key, (stage, _) in whole.states.items()}
    assert died >= KILLS // 2, "kills must fall into the work"
