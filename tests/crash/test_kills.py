"""Processes are killed at random moments, on both stores: nothing acknowledged is lost or doubled, nobody gets
marketing twice, nothing transactional is lost, no run stays where it is.

`make test` has 40 kills, `make crash` 500: CRASH_KILLS says how many, CRASH_SEED repeats the moments of a former run.
"""

from __future__ import annotations

import os
import pkgutil
import random
from importlib import import_module
from pathlib import Path
from secrets import randbelow

import pytest

from conftest import ENGINES, Postgres
from crash import scenarios
from crash.scenario import Place, Scenario, rounds_of, run
from postgres_programs import on_path

SCENARIOS: dict[str, type[Scenario]] = {
    module.name: import_module(f"crash.scenarios.{module.name}").SCENARIO
    for module in pkgutil.iter_modules(scenarios.__path__)
}
KILLS = int(os.environ.get("CRASH_KILLS", "40"))
CELLS = [(name, engine) for name in sorted(SCENARIOS) for engine in ENGINES]


def _kills(name: str, engine: str) -> int:
    """The cell's share of all kills."""
    whole, rest = divmod(KILLS, len(CELLS))
    return whole + (CELLS.index((name, engine)) < rest)


@pytest.mark.slow
@pytest.mark.timeout(900 + 60 * KILLS)
@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_what_is_killed_at_random_moments_ends_as_if_it_never_had_been(
    name: str, tmp_path: Path, migrated_folder: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_path(monkeypatch)
    kind = SCENARIOS[name]
    seed = os.environ.get("CRASH_SEED") or str(randbelow(10**9))
    rounds = rounds_of(max(_kills(name, engine) for engine in ENGINES))
    killed: list[object] = []
    for engine in ENGINES:
        address = postgres.migrated() if engine == "postgres" else None
        scenario = kind(Place(tmp_path / engine, migrated_folder, address), rounds, random.Random(f"{seed} {engine}"))
        kills = _kills(name, engine)
        died = run(scenario, kills)
        print(f"{name} on {engine}: {died} of {kills} kills at work in {rounds} rounds, CRASH_SEED={seed}")
        killed.append(scenario.outcome())
        if remark := scenario.remark():
            print(f"{name} on {engine}: {remark}")
        if address is not None:
            postgres.drop(address)
        assert died >= kills // 2, "kills must fall into the work"
    if killed[0] is None:
        return
    # One undisturbed world for both: it is the same on either store.
    whole = kind(Place(tmp_path / "whole", migrated_folder, None), rounds, random.Random(seed))
    assert run(whole, 0) == 0
    expected = whole.outcome()
    for engine, outcome in zip(ENGINES, killed, strict=True):
        assert outcome == expected, engine
