"""Backups and restores that are killed at any moment: what was made before is whole, and the next run does the work."""

from __future__ import annotations

import random
import time
from datetime import datetime
from pathlib import Path

import pytest

import workspaces
from crash.killing import run_killed, run_whole, start
from serving import keepers

KILLS = 3
EVENTS = 3000


def _send(folder: Path, since: int) -> None:
    calls = [
        {"type": "track", "event": "Seen", "userId": f"u{n % 90}", "messageId": f"m{n}", "properties": {"n": n}}
        for n in range(since, since + EVENTS)
    ]
    with workspaces.opened(folder) as workspace:
        for n in range(0, EVENTS, 100):
            workspaces.send(workspace.store, datetime(2026, 11, 1), calls[n : n + 100])


@pytest.mark.slow
def test_killed_backups_and_restores_harm_nothing(tmp_path: Path, migrated_folder: Path) -> None:
    folder, backups, to = tmp_path / "shop", tmp_path / "backups", tmp_path / "new"
    workspaces.make(folder, migrated_folder, lifecycles=["value"])
    chance, died = random.Random(4), 0
    _send(folder, 0)
    longest_s = run_whole(folder, "backup", backups)
    _send(folder, EVENTS)
    keepers(folder, "tick")
    died += run_killed(folder, "backup", backups, chance=chance, times=KILLS, longest_s=longest_s)
    listed = keepers(folder, "backups", str(backups), "--check")["items"]
    assert len(listed) >= 2
    assert not any(one["damage"] for one in listed)
    assert {path.name for path in backups.iterdir()} == {"keepers-backups.json", "backups", "chunks", "erasures.json"}
    began = time.monotonic()
    keepers(folder, "restore", str(backups), "--to", str(tmp_path / "whole"))
    longest_s = time.monotonic() - began
    for _ in range(KILLS):
        restoring = start(folder, "restore", backups, "--to", to)
        time.sleep(chance.random() * longest_s)
        if not restoring.kill():
            break
        died += 1
        assert not to.exists() or keepers(to, "doctor")["events"] == 2 * EVENTS
    if not to.exists():
        run_whole(folder, "restore", backups, "--to", to)
    assert died, "some kills must fall among the work"
    with workspaces.opened(to) as workspace:
        numbers = "SELECT (raw->>'$.properties.n')::BIGINT AS n FROM tracks WHERE event = 'Seen' ORDER BY n"
        rows = workspace.warehouse.cursor().execute(numbers).fetchall()
    assert rows == [(n,) for n in range(2 * EVENTS)]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
