"""The shell around journeys: what is looked ahead for, the order of locks, and history that comes in one go."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

import workspaces
from keepers.app.workspace.workspace import Workspace
from keepers.broadcasts.context import BroadcastContext
from keepers.ingest.imports.run import Mapping, run_import
from keepers.journeys.broadcast import Broadcast
from keepers.orchestration import advance
from keepers.store.events import log
from keepers.store.journeys import runs
from keepers.store.schema.messages import messages
from stories.writing import completed

NOW = datetime(2026, 3, 2, 8, 30)
MINUTE = timedelta(minutes=1)
JOURNEYS = [
    {
        "id": "born",
        "enter": [{"date": "birthday", "at": "09:00", "yearly": True}],
        "steps": [{"id": "rest", "delay": "1d"}],
    },
    {
        "id": "signed",
        "enter": [{"event": "Signed Up"}],
        "max_age": "3650d",
        "steps": [{"id": "tell", "emit": {"event": "Told"}}, {"id": "rest", "delay": "1d"}],
    },
]


@pytest.fixture
def shop(tmp_path: Path, migrated_folder: Path) -> Iterator[Workspace]:
    folder = workspaces.make(tmp_path / "shop", migrated_folder, playbook={"journeys": JOURNEYS})
    with workspaces.opened(folder) as workspace:
        yield workspace


def tick(workspace: Workspace, at: datetime) -> None:
    with workspace.sequencing("a test") as ticker:
        ticker.tick(at)


def signed_up(workspace: Workspace, number: int, at: datetime, happened: datetime) -> None:
    calls: list[dict[str, Any]] = [
        {
            "type": "track", "event": "Signed Up", "userId": f"u{n}", "messageId": f"{n}{at}", "properties": {},
            "timestamp": f"{happened.isoformat()}Z", "sentAt": f"{at.isoformat()}Z",
        }
        for n in range(number)
    ]  # fmt: skip
    workspaces.send(workspace.store, at, calls)


def test_a_date_that_is_imported_within_the_hour_looked_ahead_is_not_missed(shop: Workspace, tmp_path: Path) -> None:
    tick(shop, NOW - MINUTE)
    tick(shop, NOW)
    file = tmp_path / "people.csv"
    file.write_text("who,at,birthday\nida,2026-01-01T00:00:00Z,1990-03-02\n")
    mapping = Mapping(event=None, profile="who", time="at", properties={}, traits={"birthday": "birthday"})
    with shop.sequencing("a test"):
        assert run_import(shop.store, shop.warehouse, file, mapping, NOW + 10 * MINUTE).loaded == 1
    tick(shop, NOW + 20 * MINUTE)
    tick(shop, NOW + 40 * MINUTE)
    with shop.store.read() as connection:
        assert [run.entered_at for run in runs.of_journey(connection, "born")] == [datetime(2026, 3, 2, 9)]


def test_runs_are_locked_before_the_counter_of_the_log(shop: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    for place, name in ((runs, "lock"), (log, "append_events"), (runs, "save")):
        real = getattr(place, name)

        def noting(connection: Any, rows: Any, *rest: Any, name: str = name, real: Any = real) -> None:
            if rows:
                order.append(name)
            real(connection, rows, *rest)

        monkeypatch.setattr(place, name, noting)
    signed_up(shop, 3, NOW, NOW)
    tick(shop, NOW)
    assert order[:4] == ["append_events", "lock", "append_events", "save"], "an entry, then the events of the step"


def test_late_history_of_more_than_a_batch_enters_everybody(shop: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shop.advancer, "batch", 5)
    tick(shop, NOW)
    # All of them long before the last tick: no row of the batch reaches the instant that was come to.
    signed_up(shop, 23, NOW + MINUTE, NOW - timedelta(days=3))
    tick(shop, NOW + MINUTE)
    with shop.store.read() as connection:
        assert len(runs.of_journey(connection, "signed")) == 23
    assert advance.BATCH > 5


def test_the_order_of_priorities_is_the_playbook_s(tmp_path: Path, migrated_folder: Path) -> None:
    written = completed(
        {
            "topics": [{"id": "tips", "name": "Tips"}],
            "mails": {"hello": {"topic": "tips", "priority": "newsletter"}},
            "contact": {"priorities": ["newsletter", "lifecycle", "cart", "service"]},
            "journeys": [{"id": "w", "enter": [{"event": "Signed Up"}], "steps": [{"id": "m", "message": "hello"}]}],
        }
    )
    folder = workspaces.make(tmp_path / "ordered", migrated_folder, playbook=written)
    with workspaces.opened(folder) as workspace:
        signed_up(workspace, 1, NOW, NOW)
        tick(workspace, NOW)
        with workspace.store.read() as connection:
            assert connection.execute(select(messages.c.priority)).scalars().all() == [0]
        playbook = workspace.active_playbook().playbook
        sheet = BroadcastContext(
            Broadcast("b", "hello"), 1, playbook.messages, {}, playbook.topics, playbook.contact, {}
        )
        assert sheet.priority == 0
