"""An import that is killed at any moment goes on and ends as if it had never been."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from crash.importing_process import importing
from keepers.store.database import Store
from keepers.store.migrate import upgrade
from keepers.warehouse.database import Warehouse
from processes import Working

LINES = 30_000
BAD_EVERY = 100


def _started(data: Path, file: Path, log: Path) -> Working:
    """An import that has written its first chunk, so that a kill falls among the others."""
    working = Working(importing, [data, file, 2000], log)
    deadline = time.monotonic() + 60
    while not log.read_text():
        assert time.monotonic() < deadline, "the import did not begin within 60 seconds"
        time.sleep(0.005)
    return working


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
    for n in range(5):
        working = _started(data, file, tmp_path / f"import{n}.log")
        time.sleep(chance.random() * 0.7)
        working.kill()
    last = tmp_path / "last.log"
    _started(data, file, last).wait(120)
    bad = LINES // BAD_EVERY
    assert last.read_text().splitlines()[-1].split() == ["done", str(LINES - bad), str(bad)]

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
