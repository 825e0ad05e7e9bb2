"""An import that is killed at any moment goes on and ends as if it had never been."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from keepers.store.database import Store
from keepers.store.migrate import upgrade
from keepers.warehouse.database import Warehouse

LINES = 30_000
BAD_EVERY = 100
SCRIPT = Path(__file__).with_name("importing_process.py")


def _start(data: Path, file: Path) -> subprocess.Popen[bytes]:
    source = str(Path(__file__).resolve().parents[2] / "src")
    paths = os.pathsep.join(p for p in (source, os.environ.get("PYTHONPATH", "")) if p)
    command = [sys.executable, str(SCRIPT), str(data), str(file), "2000"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": paths})


@pytest.mark.slow
def test_an_import_killed_at_random_moments_ends_with_exact_counts(tmp_path: Path) -> None:
    data, file = tmp_path / "data", tmp_path / "orders.csv"
    store = Store.open(data)
    upgrade(store)
    store.close()
    with file.open("w") as out:
        out.write("who,at,n,plan\n")
        for n in range(LINES):
            out.write(f"u{n % 5000 if n % BAD_EVERY else ''},2026-01-01,{n},pro\n".replace("u,", ","))
    chance = random.Random(7)
    for _ in range(5):
        process = _start(data, file)
        assert process.stdout is not None
        # Past the start-up, so that the kill falls among the chunks.
        process.stdout.readline()
        time.sleep(chance.random() * 0.7)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    last = _start(data, file)
    output, _ = last.communicate(timeout=120)
    bad = LINES // BAD_EVERY
    assert output.splitlines()[-1].split() == [b"done", str(LINES - bad).encode(), str(bad).encode()]

    warehouse = Warehouse.open(data / "warehouse.duckdb")
    cursor = warehouse.cursor()
    counts = cursor.execute(
        "SELECT count(*), count(DISTINCT n), count(DISTINCT seq), count(DISTINCT profile_id) FROM order_completed"
    ).fetchall()
    good = [n for n in range(LINES) if n % BAD_EVERY]
    people = len({n % 5000 for n in good})
    assert counts == [(LINES - bad, LINES - bad, LINES - bad, people)]
    assert cursor.execute("SELECT count(*) FROM tracks").fetchall() == [(2 * (LINES - bad),)]
    assert cursor.execute("SELECT count(*), count(DISTINCT bucket_key) FROM profiles").fetchall() == [(people, people)]
    assert cursor.execute("SELECT count(*) FROM trait_values").fetchall() == [(LINES - bad,)]
    warehouse.close()
    rejects = next((data / "rejects").iterdir()).read_text().splitlines()
    assert len(rejects) == bad + 1
    assert len(set(rejects)) == bad + 1
