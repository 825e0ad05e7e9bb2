"""A tick far ahead is taken back: what follows is as if it had never been, and what left stays sent, once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select

import workspaces
from conftest import ENGINES
from keepers.app.operations.maintenance import RunRewind, RunTick, rewind, tick
from keepers.app.use_cases.actor import COMMAND_LINE
from keepers.app.use_cases.progress import no_progress
from keepers.app.workspace.workspace import Workspace
from keepers.devtools.mailbox import Mailbox
from keepers.model.consent import Consent
from keepers.model.errors import ConflictError
from keepers.orchestration.rewind.messages import lock_messages
from keepers.orchestration.rewind.runs import lock_runs
from keepers.store.database import Store
from keepers.store.journeys import runs
from keepers.store.messages import claims
from keepers.store.messages.messages import MessageRow, columns, message_of
from keepers.store.profiles import consents
from keepers.store.schema.core import log
from keepers.store.schema.journeys import journey_runs, run_history
from keepers.store.schema.messages import messages
from stories.story_sending import mailbox_for
from stories.writing import completed
from waiting import wait_for

BEGIN = datetime(2026, 3, 2, 10)
DAY = timedelta(days=1)
PRESENT = BEGIN + 2 * DAY
AHEAD = PRESENT + 365 * DAY
PEOPLE = 6
PLAYBOOK: dict[str, Any] = {
    "topics": [{"id": "tips", "name": "Tips"}],
    "mails": {"hello": "tips", "later": "tips", "back": "tips"},
    "segments": [
        {"id": "buyers", "who": {"did": "Order Completed", "within": "10d"}},
        {"id": "quiet", "who": {"all": [{"did": "Order Completed"}, {"did_not": "Order Completed", "within": "20d"}]}},
    ],
    "journeys": [
        {
            "id": "thanks",
            "enter": [{"event": "Order Completed"}],
            "reentry": "after_exit",
            "steps": [
                {"id": "soon", "delay": "1d"},
                {"id": "hello", "message": "hello"},
                {"id": "week", "delay": "7d"},
                {"id": "tell", "emit": {"event": "Waited", "properties": {"n": {"ref": "trigger.n"}}}},
                {"id": "mark", "update": {"traits": {"waited": True}}},
                {"id": "half", "split": [{"go": "later"}, {"go": "rest"}]},
                {"id": "later", "message": "later"},
                {"id": "rest", "delay": "30d"},
            ],
        },
        {"id": "lost", "enter": [{"segment": "quiet"}], "steps": [{"id": "back", "message": "back"}]},
        {
            "id": "born",
            "enter": [{"date": "birthday", "at": "09:00", "yearly": True}],
            "steps": [{"id": "wait", "delay": "2d"}],
        },
    ],
}


def orders(workspace: Workspace, at: datetime, people: range, number: int) -> None:
    calls: list[dict[str, Any]] = []
    for n in people:
        traits = {"email": f"u{n}@example.com", "birthday": f"1990-03-{n + 10}"}
        calls.append({"type": "identify", "userId": f"u{n}", "messageId": f"i{n}.{number}", "traits": traits})
        calls.append(
            {
                "type": "track",
                "event": "Order Completed",
                "userId": f"u{n}",
                "messageId": f"o{n}.{number}",
                "properties": {"n": number, "total": n},
            }
        )
    workspaces.send(workspace.store, at, calls)


def ticked(workspace: Workspace, at: datetime) -> None:
    workspace.machine_clock = lambda: at
    workspace.clock = workspace.steady_clock
    tick(workspace, COMMAND_LINE, RunTick(until_idle=True, allow_jump=True), no_progress)


def agree(workspace: Workspace) -> None:
    """Everybody agrees, at the beginning."""
    people = [workspace.find_profile(f"u{n}") for n in range(PEOPLE)]
    stated = [Consent(one, "email", "tips", "subscribed", BEGIN, "form", holds_for="person") for one in people]
    with workspace.store.begin() as connection:
        consents.record(connection, stated, BEGIN)


def delivered(workspace: Workspace, at: datetime) -> None:
    with workspace.sending.deliverer("a test") as worker:
        while worker.run_once(at).sent:
            pass


def mails(box: Mailbox) -> list[tuple[str, str]]:
    """(recipient, subject) of every mail that went out."""
    return sorted((mail.recipient, mail.subject) for mail in box.messages(limit=1000))


def came_to(workspace: Workspace) -> dict[str, Any]:
    """All that a workspace came to, without numbers that only count."""
    found = workspaces.outcome(workspace)
    with workspace.store.read() as connection:
        runs = connection.execute(
            select(
                journey_runs.c.journey,
                journey_runs.c.profile_id,
                journey_runs.c.entered_at,
                journey_runs.c.step,
                journey_runs.c.since,
                journey_runs.c.wake_at,
                journey_runs.c.status,
                journey_runs.c.visits,
            )
        ).all()
        lines = connection.execute(
            select(
                journey_runs.c.journey,
                journey_runs.c.profile_id,
                run_history.c.at,
                run_history.c.step,
                run_history.c.what,
            ).join(journey_runs, journey_runs.c.id == run_history.c.run_id)
        ).all()
        queued = connection.execute(
            select(messages.c.message, messages.c.profile_id, messages.c.decided_at, messages.c.status)
        ).all()
        rows = connection.execute(select(log.c.kind, log.c.event, log.c.profile_id, log.c.time)).all()
    return {
        "states": found.states, "fold": found.fold, "changes": sorted(found.changes), "repeated": found.repeated,
        "runs": sorted(map(tuple, runs)), "lines": sorted(map(tuple, lines)),
        "messages": sorted(map(tuple, queued)), "log": sorted(map(tuple, rows)),
    }  # fmt: skip


@pytest.fixture
def boxes() -> Iterator[dict[str, Mailbox]]:
    """Where the mail of each workspace goes."""
    found: dict[str, Mailbox] = {}
    yield found
    for box in found.values():
        box.stop()


@pytest.fixture(params=ENGINES)
def made(
    request: pytest.FixtureRequest, tmp_path: Path, migrated_folder: Path, boxes: dict[str, Mailbox]
) -> Iterator[Callable[[str], Workspace]]:
    """Makes workspaces whose people ordered at the beginning, ticked up to a day before the present."""
    opened: list[Workspace] = []
    addresses: list[str] = []

    def make(name: str) -> Workspace:
        address = None
        if request.param == "postgres":
            address = request.getfixturevalue("postgres").migrated()
            addresses.append(address)
        folder = workspaces.make(tmp_path / name, migrated_folder, playbook=completed(PLAYBOOK), address=address)
        boxes[name] = mailbox_for(folder, BEGIN)
        workspace = Workspace.open(folder)
        opened.append(workspace)
        orders(workspace, BEGIN, range(PEOPLE), 1)
        ticked(workspace, BEGIN)
        agree(workspace)
        orders(workspace, BEGIN + DAY, range(PEOPLE // 2), 2)
        ticked(workspace, BEGIN + DAY)
        ticked(workspace, PRESENT)
        return workspace

    yield make
    for workspace in opened:
        workspace.close()
    for address in addresses:
        request.getfixturevalue("postgres").drop(address)


def go_on(workspace: Workspace) -> None:
    """Orders and ticks of the six weeks after the present."""
    for days in (9, 40):
        orders(workspace, PRESENT + days * DAY, range(days % PEOPLE), days)
        ticked(workspace, PRESENT + days * DAY)


def taken_back(workspace: Workspace, at: datetime) -> Any:
    workspace.machine_clock = lambda: at
    return rewind(workspace, COMMAND_LINE, RunRewind(), no_progress)


def test_what_follows_is_as_if_the_tick_ahead_had_never_been(made: Callable[[str], Workspace]) -> None:
    undisturbed, disturbed = made("undisturbed"), made("disturbed")
    assert came_to(disturbed) == came_to(undisturbed)
    ticked(disturbed, AHEAD)
    assert came_to(disturbed) != came_to(undisturbed)
    disturbed.machine_clock = lambda: PRESENT + DAY
    with pytest.raises(ConflictError, match="keepers rewind"):
        disturbed.believed_now()
    done = taken_back(disturbed, PRESENT)
    assert min(done.runs, done.messages, done.changes, done.events) > 0
    for workspace in (undisturbed, disturbed):
        go_on(workspace)
    wanted, found = came_to(undisturbed), came_to(disturbed)
    for part, value in wanted.items():
        assert found[part] == value, part


def test_what_arrived_while_the_clock_was_ahead_counts_from_the_present(made: Callable[[str], Workspace]) -> None:
    undisturbed, disturbed = made("undisturbed"), made("disturbed")
    orders(undisturbed, PRESENT, range(PEOPLE), 3)
    orders(disturbed, AHEAD, range(PEOPLE), 3)
    ticked(disturbed, AHEAD)
    taken_back(disturbed, PRESENT)
    for workspace in (undisturbed, disturbed):
        go_on(workspace)
    wanted, found = workspaces.outcome(undisturbed), workspaces.outcome(disturbed)
    assert [row[:6] for row in found.tracks if row[2] == "Order Completed"] == [
        row[:6] for row in wanted.tracks if row[2] == "Order Completed"
    ]
    assert (found.states, found.fold) == (wanted.states, wanted.fold)


def test_what_has_left_is_not_sent_again(made: Callable[[str], Workspace], boxes: dict[str, Mailbox]) -> None:
    workspace = made("shop")
    # Mails of the second orders were decided on at the present and have left when the clock turns out to be wrong.
    delivered(workspace, PRESENT)
    sent = mails(boxes["shop"])
    assert len(sent) > PEOPLE // 2
    half_a_day_before = PRESENT - DAY / 2
    taken_back(workspace, half_a_day_before)
    for hours in (0, 12, 24):
        ticked(workspace, half_a_day_before + timedelta(hours=hours))
        delivered(workspace, half_a_day_before + timedelta(hours=hours))
    assert mails(boxes["shop"]) == sent


@pytest.mark.parametrize("made", ["postgres"], indirect=True)
def test_a_message_that_is_taken_while_ticks_are_taken_back_stays_with_its_run(
    made: Callable[[str], Workspace],
) -> None:
    workspace = made("shop")
    delivered(workspace, PRESENT)
    ticked(workspace, AHEAD)
    store = workspace.store
    with ThreadPoolExecutor(1) as thread:
        with store.begin() as delivering:
            taken = next(m for m in due(delivering) if m.message == "back")
            claims.claim(delivering, "a worker", [taken], AHEAD)
            taking_back = thread.submit(taken_back, workspace, PRESENT)
            wait_for(lambda: is_somebody_waiting(store))
        assert taking_back.result(60).messages > 0
    with store.read() as connection:
        assert claims.lock_messages(connection, [taken.id])[taken.id][::2] == ("claimed", "a worker")
        assert taken.run_id is not None
        assert runs.get(connection, taken.run_id).entered_at == PRESENT


@pytest.mark.parametrize("made", ["postgres"], indirect=True)
def test_delivery_passes_over_what_is_being_taken_back(made: Callable[[str], Workspace]) -> None:
    workspace = made("shop")
    delivered(workspace, PRESENT)
    ticked(workspace, AHEAD)
    with workspace.store.begin() as rewinding:
        locked = lock_messages(rewinding, PRESENT, lock_runs(rewinding, PRESENT))
        with workspace.store.read() as connection:
            waiting = [m.id for m in map(message_of, connection.execute(columns)) if m.decided_at > PRESENT]
        assert waiting
        assert locked.issuperset(waiting)
        with workspace.store.begin() as delivering:
            assert not {m.id for m in due(delivering)} & locked
    with workspace.store.begin() as delivering:
        assert {m.id for m in due(delivering)} & locked


def due(connection: Connection) -> list[MessageRow]:
    """What delivery takes, locked until the transaction ends."""
    return claims.due(connection, AHEAD + DAY, 1000, claims.slots(connection), {})


def is_somebody_waiting(store: Store) -> bool:
    """Whether a connection waits for rows that another has locked."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with store.read() as connection:
        return connection.exec_driver_sql(waiting).scalar_one() > 0


def test_there_must_be_something_to_take_back(made: Callable[[str], Workspace]) -> None:
    workspace = made("shop")
    with pytest.raises(ConflictError, match="nothing to take back"):
        taken_back(workspace, PRESENT + DAY)
