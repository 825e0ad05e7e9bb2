"""Journeys move by what was answered, never by what the warehouse has loaded since: memberships do not know of it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import datetime, timedelta
from pathlib import Path

import pytest

import workspaces
from conftest import ENGINES
from keepers.app.operations.playbook import PlanPlaybook, plan_playbook
from keepers.app.use_cases.actor import COMMAND_LINE
from keepers.app.workspace.workspace import Workspace
from keepers.store.events import log
from keepers.store.events.log import SystemEvent
from keepers.store.journeys import runs
from keepers.warehouse.fixed_tables import LOADED

NOW = datetime(2026, 3, 2, 12)
MINUTE = timedelta(minutes=1)
REST = [{"id": "rest", "delay": "1d"}]
PLAYBOOK = {
    "segments": [{"id": "payers", "who": {"did": "Paid"}}, {"id": "visitors", "who": {"did": "Visit"}}],
    "journeys": [
        {"id": "paying", "enter": [{"event": "Paid"}], "if": {"in_segment": "payers"}, "steps": REST},
        {"id": "visiting", "enter": [{"segment": "visitors"}], "steps": REST},
    ],
}


@pytest.fixture(params=ENGINES)
def shop(request: pytest.FixtureRequest, tmp_path: Path, migrated_folder: Path) -> Iterator[Workspace]:
    postgres = request.getfixturevalue("postgres") if request.param == "postgres" else None
    address = postgres.migrated() if postgres is not None else None
    folder = workspaces.make(tmp_path / "shop", migrated_folder, playbook=PLAYBOOK, address=address, threads=None)
    with workspaces.opened(folder) as workspace:
        yield workspace
    if postgres is not None:
        postgres.drop(address)


def entered(workspace: Workspace, journey: str) -> list[datetime]:
    with workspace.store.read() as connection:
        return [run.entered_at for run in runs.of_journey(connection, journey)]


@pytest.mark.parametrize("is_loaded_by_another", [False, True])
def test_what_is_written_while_a_tick_evaluates_is_judged_by_the_next_one(
    shop: Workspace, is_loaded_by_another: bool
) -> None:
    with shop.sequencing("a test") as ticker:
        ticker.tick(NOW - MINUTE)
        call = {"type": "track", "event": "Visit", "userId": "ida", "messageId": "1", "timestamp": f"{NOW}Z"}
        workspaces.send(shop.store, NOW, [call])
        written: list[int] = []

        def while_evaluating(_done: int, _total: int) -> None:
            """Somebody who does not hold the sequence writes to the log, as delivery and the public pages do."""
            if not written:
                written.append(shop.find_profile("ida"))
                with shop.store.begin() as connection:
                    log.append_events(connection, [SystemEvent(written[0], "Paid", NOW, {}, trust="own")], NOW)
                if is_loaded_by_another:
                    ticker.load()

        ticker.tick(NOW, while_evaluating)
        assert written
        assert entered(shop, "paying") == [], "nobody has been asked whether they are a payer"
        ticker.tick(NOW + MINUTE)
    assert len(entered(shop, "paying")) == 1
    assert len(entered(shop, "visiting")) == 1


def test_a_plan_that_is_asked_for_during_a_tick_answers_and_loads_nothing(shop: Workspace) -> None:
    with shop.sequencing("a test") as ticker:
        ticker.tick(NOW - MINUTE)
    workspaces.send(shop.store, NOW, [{"type": "track", "event": "Visit", "userId": "ida", "messageId": "1"}])
    planning: list[Future[object]] = []
    loaded: list[int] = []

    def while_evaluating(_done: int, _total: int) -> None:
        if not planning:
            with shop.store.begin() as connection:
                log.append_events(
                    connection, [SystemEvent(shop.find_profile("ida"), "Paid", NOW, {}, trust="own")], NOW
                )
            planning.append(other.submit(plan_playbook, shop, COMMAND_LINE, PlanPlaybook()))
            wait(planning, 0.5)
            loaded.append(shop.warehouse.watermark(LOADED))

    with ThreadPoolExecutor(1) as other:
        with shop.sequencing("a test") as ticker:
            ticker.tick(NOW, while_evaluating)
        planning[0].result(30)
    with shop.store.read() as connection:
        assert loaded[0] < log.last_seq(connection)
        assert shop.warehouse.watermark(LOADED) < log.last_seq(connection), "the tick's next loads it, no plan does"
