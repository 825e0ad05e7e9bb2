"""An import and the ticks after it, all killed at any moment, end as if nothing had happened, on both stores."""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import workspaces
from conftest import ENGINES, Postgres
from crash.killing import log_of, run_killed, run_whole

START = datetime(2026, 1, 5)
LINES = 7_200
BAD_EVERY = 60
BAD = LINES // BAD_EVERY
KILLS = 3
PLAYBOOK: dict[str, Any] = {
    "segments": [
        {"id": "recent", "who": {"did": "Order Completed", "within": "20d"}},
        {"id": "pro", "who": {"trait": "plan", "eq": "pro"}},
    ]
}


def _orders(file: Path) -> None:
    chance = random.Random(11)
    with file.open("w") as out:
        out.write("who,at,n,total,plan\n")
        for n in range(LINES):
            who = f"u{chance.randrange(600)}" if n % BAD_EVERY else ""
            at = START + timedelta(minutes=chance.randrange(60 * 24 * 60))
            out.write(f"{who},{at.isoformat()},{n},{chance.randrange(5, 90)},{chance.choice(['pro', 'free'])}\n")


def _run(folder: Path, file: Path, migrated: Path, address: str | None, longest_s: list[float]) -> tuple[Any, int]:
    """Import and two ticks, killed again and again where times are given; returns what the last import said."""
    workspaces.make(folder, migrated, playbook=PLAYBOOK, address=address)
    options = ["--event", "Order Completed", "--profile", "who", "--time", "at", "--now", "2026-04-01"]
    options += ["--property", "n=n", "--property", "total=total", "--trait", "plan=plan"]
    commands: list[list[object]] = [["import", file, *options]]
    commands += [["tick", "--until-idle", "--now", now] for now in ("2026-03-01", "2026-03-08")]
    chance, died = random.Random(f"import {address is None}"), 0
    for n, command in enumerate(commands):
        if len(longest_s) < len(commands):
            longest_s.append(run_whole(folder, *command))
        else:
            died += run_killed(folder, *command, chance=chance, times=KILLS, longest_s=longest_s[n] / 2)
    run_whole(folder, *commands[0], "--json")
    return json.loads(log_of(folder).read_text().splitlines()[-1]), died


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_an_import_and_ticks_killed_at_random_moments_end_as_one_undisturbed_run(
    engine: str, tmp_path: Path, migrated_folder: Path, request: pytest.FixtureRequest
) -> None:
    postgres: Postgres | None = request.getfixturevalue("postgres") if engine == "postgres" else None
    file = tmp_path / "orders.csv"
    _orders(file)
    ended, longest_s, died = [], list[float](), 0
    for name in ("whole", "killed"):
        address = postgres.migrated() if postgres else None
        report, dead = _run(tmp_path / name, file, migrated_folder, address, longest_s)
        died += dead
        assert (report["loaded"], report["duplicates_skipped"], report["rejected"]) == (0, LINES - BAD, BAD)
        with workspaces.opened(tmp_path / name) as workspace:
            ended.append(workspaces.outcome(workspace))
            cursor = workspace.warehouse.cursor()
            counts = cursor.execute("SELECT count(*), count(DISTINCT n), count(DISTINCT seq) FROM order_completed")
            assert counts.fetchall() == [(LINES - BAD,) * 3]
        if postgres and address:
            postgres.drop(address)
    whole, killed = ended
    assert len(whole.tracks) == 2 * (LINES - BAD)
    assert killed.tracks == whole.tracks
    assert (killed.states, killed.changes, killed.repeated) == (whole.states, whole.changes, 0)
    assert killed.fold == whole.fold == {key: stage for key, (stage, _) in whole.states.items()}
    assert died >= KILLS // 2, "kills must fall into the work"
