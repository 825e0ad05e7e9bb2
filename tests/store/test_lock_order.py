"""The order in which rows are locked on PostgreSQL: it is checked in tests, and kept where stages meet."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, update

import workspaces
from keepers.app.workspace.workspace import Workspace
from keepers.contact.rules import parse_contact
from keepers.delivery.outcomes import Delivered, Done, lock, record
from keepers.model.message import Outcome
from keepers.store import counters
from keepers.store.database import Store
from keepers.store.journeys import runs
from keepers.store.journeys.runs import RunRow
from keepers.store.messages import claims, messages
from keepers.store.messages.messages import MessageRow
from keepers.store.schema.messages import messages as table
from lock_check import LockOrderError

NOW = datetime(2026, 3, 2, 12)
MINUTE = timedelta(minutes=1)
PATIENCE_S = 2.0
JOURNEY = {
    "id": "calling",
    "enter": [{"event": "Signed Up"}],
    "exits": [{"when": {"did": "Left"}, "reason": "left"}],
    "steps": [
        {"id": "call", "webhook": {"url": "https://shop.example/hook"}},
        {"id": "rest", "delay": "1d"},
    ],
}


def a_run(connection: Connection) -> RunRow:
    (begun,) = runs.enter(connection, [RunRow("j", 1, 1, "", NOW, NOW, "a", NOW)])
    return begun


def a_message(connection: Connection, run_id: int | None = None) -> int:
    row = MessageRow("k", 1, "m", "email", "t", "a@b.c", "h", NOW, NOW, run_id=run_id)
    return messages.queue(connection, [row])["k"]


def test_messages_after_the_log_s_counter_and_runs_after_messages_are_refused(
    new_store: Callable[[str], Store],
) -> None:
    store = new_store("postgres")

    def in_order(*steps: Callable[[Connection], object]) -> None:
        with store.begin() as connection:
            for step in steps:
                step(connection)

    with pytest.raises(LockOrderError, match="messages are locked after rows of counters"):
        in_order(lambda c: counters.reserve(c, counters.SEQ, 1), a_message)
    with pytest.raises(LockOrderError, match="journey_runs are locked after rows of messages"):
        in_order(a_message, lambda c: runs.lock(c, [1]))


def test_rows_locked_in_time_may_be_written_later_and_each_transaction_begins_anew(
    new_store: Callable[[str], Store],
) -> None:
    store = new_store("postgres")
    with store.begin() as connection:
        counters.reserve(connection, counters.PROFILE_ID, 1)
        row = a_run(connection)
        a_message(connection, row.id)
        counters.reserve(connection, counters.SEQ, 1)
    with store.begin() as connection:
        runs.lock(connection, [row.id])
        counters.reserve(connection, counters.SEQ, 1)
        runs.save(connection, [row])


@pytest.fixture
def shop(request: pytest.FixtureRequest, tmp_path: Path, migrated_folder: Path) -> Iterator[Workspace]:
    postgres = request.getfixturevalue("postgres")
    address = postgres.migrated()
    folder = workspaces.make(
        tmp_path / "shop", migrated_folder, playbook={"journeys": [JOURNEY]}, address=address, threads=None
    )
    with workspaces.opened(folder) as workspace:
        yield workspace
    postgres.drop(address)


def happened(workspace: Workspace, name: str, at: datetime) -> None:
    call = {
        "type": "track", "event": name, "userId": "ida", "messageId": name, "properties": {},
        "timestamp": f"{at.isoformat()}Z", "sentAt": f"{at.isoformat()}Z",
    }  # fmt: skip
    workspaces.send(workspace.store, at, [call])


def tick(workspace: Workspace, at: datetime) -> None:
    with workspace.sequencing("a test") as ticker:
        ticker.tick(at)


def test_recording_an_answer_and_advancing_its_run_do_not_wait_for_each_other(shop: Workspace) -> None:
    happened(shop, "Signed Up", NOW)
    tick(shop, NOW)
    with shop.store.begin() as connection:
        (row,) = messages.with_status(connection, "queued")
        connection.execute(update(table).values(status="handed_over", claimed_by="w", handed_over_at=NOW))
    happened(shop, "Left", NOW + MINUTE)
    both = threading.Barrier(2)
    waited: set[int] = set()

    def wait_for_both(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        """Each thread waits, once, after it has locked the first rows, until the other has too or cannot."""
        if "FOR UPDATE" not in statement or threading.get_ident() in waited:
            return
        waited.add(threading.get_ident())
        try:
            both.wait(PATIENCE_S)
        except threading.BrokenBarrierError:
            assert both.broken, "the other one waits for these rows"

    def record_answer() -> None:
        outcome = Outcome("sent", answer={"status": 200, "body": None})
        with shop.store.begin() as connection:
            done = [Done(row, outcome, NOW + MINUTE)]
            record(connection, parse_contact(None).breakers, done, lock(connection, done), Delivered())

    event.listen(shop.store.engine, "after_cursor_execute", wait_for_both)
    try:
        with ThreadPoolExecutor(2) as threads:
            recording = threads.submit(record_answer)
            advancing = threads.submit(tick, shop, NOW + 2 * MINUTE)
            recording.result(30)
            advancing.result(30)
    finally:
        event.remove(shop.store.engine, "after_cursor_execute", wait_for_both)
    with shop.store.read() as connection:
        assert claims.lock_messages(connection, [row.id])[row.id][:2] == ("sent", "")
        assert row.run_id is not None
        run = runs.get(connection, row.run_id)
        assert run.status == "ended"
        assert run.vars["call"]["status"] == 200
