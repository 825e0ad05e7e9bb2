"""What is done to runs from outside is written down whole, and may be done again when it stopped half-way."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest

from keepers.model.errors import ConflictError
from keepers.orchestration import run_control
from keepers.playbook.active_playbook import ActivePlaybook, load_active_playbook
from keepers.store import definitions
from keepers.store.database import Store
from keepers.store.journeys import journey_states, runs
from keepers.store.journeys.runs import RunRow

NOW = datetime(2026, 3, 1, 12)
DAY = timedelta(days=1)
UTC = ZoneInfo("UTC")
ENTRY = {"id": "welcome", "enter": [{"event": "Signed Up"}]}


def apply(store: Store, *steps: dict[str, object]) -> ActivePlaybook:
    with store.begin() as connection:
        body = msgspec.json.encode({**ENTRY, "steps": steps}).decode()
        definitions.apply(connection, "journey", "welcome", body, NOW)
        return load_active_playbook(connection, UTC)


def enter(store: Store, number: int = 1) -> None:
    with store.begin() as connection:
        rows = [RunRow("welcome", 1, n, "", NOW, NOW, "rest", NOW + 3 * DAY, visits={"rest": 1}) for n in range(number)]
        runs.enter(connection, rows)


def all_runs(store: Store) -> list[RunRow]:
    with store.read() as connection:
        return runs.of_journey(connection, "welcome")


def paused(store: Store) -> list[float]:
    return [run.state.get("_paused_s", 0.0) for run in all_runs(store)]


def test_a_run_whose_step_became_another_kind_is_kept_as_one_that_starts_it(store: Store) -> None:
    apply(store, {"id": "rest", "delay": "3d"})
    enter(store)
    live = apply(store, {"id": "rest", "webhook": {"url": "https://shop.example/x"}})
    assert run_control.publish(store, live, UTC, "welcome", "move", NOW + DAY) == 1
    (run,) = all_runs(store)
    assert (run.version, run.visits, run.since, run.wake_at) == (2, {"rest": 2}, NOW + DAY, NOW + DAY)


def test_a_resume_that_stopped_half_way_counts_the_pause_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    live = apply(store, {"id": "rest", "delay": "3d"})
    enter(store, 3)
    run_control.pause(store, live, "welcome", NOW + DAY)
    monkeypatch.setattr(run_control, "CHUNK", 1)
    save = runs.save
    saved: list[int] = []

    def stops(connection, changed) -> None:
        if len(saved) == 2:
            raise RuntimeError("killed")
        saved.append(len(changed))
        save(connection, changed)

    with monkeypatch.context() as killed:
        killed.setattr(runs, "save", stops)
        with pytest.raises(RuntimeError):
            run_control.resume(store, live, "welcome", NOW + 2 * DAY)
    assert paused(store) == [86400.0, 86400.0, 0.0]
    assert run_control.resume(store, live, "welcome", NOW + 2 * DAY) == 1
    assert paused(store) == [86400.0] * 3
    run_control.pause(store, live, "welcome", NOW + 3 * DAY)
    run_control.resume(store, live, "welcome", NOW + 4 * DAY)
    assert paused(store) == [2 * 86400.0] * 3


def test_a_resume_reads_again_what_somebody_else_changed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    live = apply(store, {"id": "rest", "delay": "3d"})
    enter(store, 2)
    run_control.pause(store, live, "welcome", NOW)
    save, tries = runs.save, []

    def refused_once(connection, changed) -> None:
        tries.append(len(changed))
        if len(tries) == 1:
            raise ConflictError("changed", code="stale")
        save(connection, changed)

    monkeypatch.setattr(runs, "save", refused_once)
    assert run_control.resume(store, live, "welcome", NOW + DAY) == 2
    assert tries == [2, 2]
    assert paused(store) == [86400.0] * 2
    with store.read() as connection:
        assert not journey_states.paused(connection)
