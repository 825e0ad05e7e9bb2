"""After a compaction no byte of an erased person is left in any file of the workspace, and all else is as before."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select

from keepers.app.customers.erasure import EraseProfile, erase_profile
from keepers.app.operations import upkeep
from keepers.app.operations.backups import BackUp, back_up
from keepers.app.operations.doctor import ExamineInstallation, doctor
from keepers.app.operations.health import readiness_notes
from keepers.app.operations.upkeep import CompactFiles, compact
from keepers.app.use_cases.actor import COMMAND_LINE
from keepers.app.workspace.gate import Gate
from keepers.backups.warehouse_snapshot import snapshot
from keepers.model.errors import ConflictError
from keepers.model.moments import format_instant
from keepers.server.upkeep_loop import UpkeepLoop
from keepers.store.schema.messages import messages
from keepers.warehouse import files
from keepers.warehouse.privacy import compaction
from unit.broadcasts.mailing import NOW, Shop
from unit.privacy import somebody
from unit.privacy.conftest import Shops
from unit.privacy.somebody import DEVICES, USER


@pytest.fixture(scope="module")
def erased(tmp_path_factory: pytest.TempPathFactory, with_somebody: Path) -> Path:
    """A workspace whose customer was erased."""
    shop = somebody.copied(with_somebody, tmp_path_factory.mktemp("erased") / "shop")
    erase_profile(shop.workspace, COMMAND_LINE, EraseProfile(id=USER))
    shop.close()
    return shop.folder


@pytest.fixture
def shop(shops: Shops, erased: Path) -> Shop:
    return shops.copy(erased)


def test_no_byte_is_left_in_any_file(shop: Shop) -> None:
    assert len(somebody.in_files(shop.folder)) > 10  # the reason for all of this
    before = sorted(map(str, somebody.cells(shop.workspace)))
    done = compact(shop.workspace, COMMAND_LINE, CompactFiles())
    assert (done.store, done.warehouse, done.erasures) == (True, True, 1)
    left = somebody.in_files(shop.folder)
    assert left.keys() == {DEVICES[2]}  # in the record of another customer, who used it too
    after = sorted(map(str, somebody.cells(shop.workspace)))
    ours = ("meta.", "audit_log.", "erasures.")
    assert [cell for cell in after if not any(name in cell for name in ours)] == [
        cell for cell in before if not any(name in cell for name in ours)
    ]
    assert compact(shop.workspace, COMMAND_LINE, CompactFiles()).erasures == 0


def test_a_damaged_log_that_was_set_aside_goes_with_it(shop: Shop) -> None:
    file = shop.workspace.warehouse.path
    assert file is not None
    files.aside(file, NOW).write_text(f"damaged, {USER} in it")
    compact(shop.workspace, COMMAND_LINE, CompactFiles())
    assert USER not in somebody.in_files(shop.folder)
    assert files.set_aside(file) == []


def test_what_an_interrupted_replacement_left_is_removed(shop: Shop) -> None:
    file = shop.workspace.warehouse.path
    assert file is not None
    for left in (files.before(file), files.fresh(file)):
        left.write_bytes(b"")
        files.log_of(left).write_bytes(b"")
    compaction.remove_left(file)
    assert [one for one in file.parent.iterdir() if ".before" in one.name or ".compacting" in one.name] == []
    moved = file.with_name("moved.duckdb")
    files.before(moved).write_bytes(b"all there is")
    compaction.remove_left(moved)
    assert files.before(moved).exists()


def test_it_goes_on_with_the_new_file(shop: Shop) -> None:
    compact(shop.workspace, COMMAND_LINE, CompactFiles())
    shop.did("Order Completed", ["u0"], shop.workspace.clock())
    shop.reopen()
    events = shop.workspace.warehouse.cursor().execute("SELECT count(*) FROM order_completed").fetchall()
    assert events == [(3,)]
    assert sorted(one.name for one in shop.workspace.data_folder.glob("warehouse*")) == ["warehouse.duckdb"]


def test_readers_are_waited_for_and_new_ones_wait(shop: Shop) -> None:
    """A thread with a query under way keeps the file from being replaced, and its cursor works to the end."""
    reading, may_end = Event(), Event()
    seen = []

    def read() -> None:
        with shop.workspace.warehouse_gate.inside():
            cursor = shop.workspace.warehouse.cursor()
            reading.set()
            may_end.wait(60)
            seen.append(cursor.execute("SELECT count(*) FROM tracks").fetchall())

    reader = Thread(target=read)
    reader.start()
    assert reading.wait(60)
    with shop.workspace.sequencing("a test"), pytest.raises(ConflictError, match="being read"):
        compaction.compact(shop.workspace.warehouse, shop.workspace.warehouse_gate.alone(0.01))
    may_end.set()
    reader.join(60)
    assert len(seen) == 1
    compact(shop.workspace, COMMAND_LINE, CompactFiles())


def test_the_file_that_a_backup_copies_is_not_rewritten(shop: Shop) -> None:
    warehouse = shop.workspace.warehouse
    assert warehouse.path is not None
    before = warehouse.path.stat().st_ino
    with warehouse.keeping_file(), snapshot(warehouse, lambda: None) as held:
        with pytest.raises(ConflictError, match="being copied by a backup"):
            compact(shop.workspace, COMMAND_LINE, CompactFiles())
        assert sum(len(piece) for piece in held.pieces()) == held.size
    assert warehouse.path.stat().st_ino == before
    compact(shop.workspace, COMMAND_LINE, CompactFiles())
    assert warehouse.path.stat().st_ino != before


def test_a_backup_waits_for_the_rewriting_and_does_not_hold_it_up(shop: Shop, tmp_path: Path) -> None:
    workspace = shop.workspace
    keeping, waiting, replaced = Event(), Event(), Event()

    def rewrite() -> None:
        with workspace.warehouse.keeping_file():
            keeping.set()
            assert waiting.wait(60)
            with workspace.warehouse_gate.alone(60):
                replaced.set()

    other = Thread(target=rewrite)
    other.start()
    assert keeping.wait(60)
    done = back_up(workspace, COMMAND_LINE, BackUp(folder=str(tmp_path / "backups")), lambda done, total: waiting.set())
    other.join(60)
    assert replaced.is_set()
    assert done.files
    compact(workspace, COMMAND_LINE, CompactFiles())


def test_the_daily_upkeep_yields_to_a_backup(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    workspace, loop = shop.workspace, UpkeepLoop(shop.workspace)
    caplog.set_level("INFO", "keepers")
    now = workspace.clock()
    shop.tick(now)
    assert loop.attempt() == 60
    workspace.clock = lambda: now + timedelta(days=1)
    with workspace.warehouse.keeping_file():
        assert loop.attempt() == 600
    (row,) = [one for one in caplog.records if "daily upkeep" in one.message]
    assert (row.levelname, "goes on in 10 minutes: The warehouse's file is being copied" in row.message) == (
        "INFO", True,
    )  # fmt: skip
    assert upkeep.compacted_at(workspace) is None
    assert loop.attempt() == 60
    assert upkeep.compacted_at(workspace) is not None


def test_one_alone_lets_nobody_in() -> None:
    gate, entered = Gate(), Event()

    def enter() -> None:
        with gate.inside():
            entered.set()

    with gate.alone(1), gate.inside():
        other = Thread(target=enter)
        other.start()
        assert not entered.wait(0.01)
    other.join(60)
    assert entered.is_set()


def test_a_connection_that_nobody_knew_of_keeps_the_old_file(shop: Shop) -> None:
    """DuckDB would go on with the old file, unseen, and what was written would be lost with it."""
    warehouse = shop.workspace.warehouse
    stray = warehouse._connect()
    before = stray.execute("SELECT count(*) FROM tracks").fetchall()
    with shop.workspace.sequencing("a test"), pytest.raises(Exception, match="still in use"):
        compaction.compact(shop.workspace.warehouse, shop.workspace.warehouse_gate.alone(1))
    stray.close()
    shop.did("Order Completed", ["u0"], shop.workspace.clock())
    shop.reopen()
    assert shop.workspace.warehouse.cursor().execute("SELECT count(*) FROM tracks").fetchall() > before


def test_an_interrupted_one_leaves_everything_as_it_was(shop: Shop) -> None:
    class StoppedError(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done:
            raise StoppedError

    before = sorted(map(str, somebody.cells(shop.workspace)))
    with shop.workspace.sequencing("a test"), pytest.raises(StoppedError):
        upkeep.run_compaction(shop.workspace, shop.workspace.clock(), stop)
    assert upkeep.compacted_at(shop.workspace) is None
    ours = ("meta.",)
    after = sorted(map(str, somebody.cells(shop.workspace)))
    assert [one for one in after if ours[0] not in one] == [one for one in before if ours[0] not in one]


def test_it_is_due_once_a_day_at_its_hour(shop: Shop) -> None:
    workspace = shop.workspace
    now = workspace.clock().replace(hour=12, minute=0, second=0, microsecond=0)
    loop = UpkeepLoop(workspace)

    def runs_at(at: datetime) -> bool:
        workspace.clock = lambda: at
        shop.tick(at)
        return loop.run_if_due()

    assert not runs_at(now)  # the first time: the hour of today has passed
    assert not runs_at(now.replace(hour=23))
    night = (now + timedelta(days=1)).replace(hour=3, minute=40)
    assert not runs_at(night - timedelta(seconds=1))
    assert upkeep.compacted_at(workspace) is None
    assert runs_at(night)
    assert not runs_at(night)
    assert runs_at(night + timedelta(days=3))


def test_it_removes_nothing_by_a_clock_that_is_not_believed(shop: Shop) -> None:
    workspace, loop = shop.workspace, UpkeepLoop(shop.workspace)
    now = workspace.clock()
    shop.tick(now)
    assert not loop.run_if_due()
    with workspace.store.read() as connection:
        before = connection.execute(select(func.count()).select_from(messages)).scalar_one()
    assert before
    workspace.clock = lambda: now + timedelta(days=4 * 365)
    with pytest.raises(ConflictError, match="not believed"):
        loop.run_if_due()
    with workspace.store.read() as connection:
        assert connection.execute(select(func.count()).select_from(messages)).scalar_one() == before


def test_that_it_failed_is_told_until_it_succeeds(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace, loop = shop.workspace, UpkeepLoop(shop.workspace)
    at = workspace.clock().replace(hour=12)
    shop.tick(at)
    workspace.clock = lambda: at
    assert loop.attempt() == 60
    at += timedelta(days=1)
    shop.tick(at)

    def fails(*_: Any) -> None:
        raise OSError("No space left on device\n[parameters: ann@example.com]")

    with monkeypatch.context() as broken:
        broken.setattr(upkeep, "run_retention", fails)
        assert loop.attempt() == 600
    assert (
        readiness_notes(workspace)["upkeep"] == f"the daily upkeep failed at {format_instant(at)}: see keepers doctor"
    )
    found = [one for one in doctor(workspace, COMMAND_LINE, ExamineInstallation()).findings if "upkeep failed" in one]
    assert len(found) == 1
    assert "OSError: No space left on device." in found[0]
    assert "tries again" in found[0]
    assert "ann@" not in found[0]
    assert loop.attempt() == 60
    assert "upkeep" not in readiness_notes(workspace)
    assert not [
        one for one in doctor(workspace, COMMAND_LINE, ExamineInstallation()).findings if "upkeep failed" in one
    ]


def test_a_failure_that_cannot_be_recorded_is_logged(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: Any) -> None:
        raise OSError("read-only")

    monkeypatch.setattr(upkeep, "last_run", fails)
    monkeypatch.setattr(upkeep, "note_failure", fails)
    assert UpkeepLoop(shop.workspace).attempt() == 600
    assert [one.getMessage() for one in caplog.records] == [
        "The daily upkeep failed: read-only",
        "That the daily upkeep failed cannot be recorded",
    ]


def test_it_runs_again_after_a_clock_that_was_ahead(shop: Shop) -> None:
    hour, zone = time(3, 40), ZoneInfo("Europe/Warsaw")
    noon = datetime(2026, 3, 29, 10)
    assert not upkeep.is_due(noon - timedelta(hours=1), noon, hour, zone)
    assert upkeep.is_due(noon + timedelta(days=400), noon, hour, zone)
    assert upkeep.last_hour(noon, hour, zone) == datetime(2026, 3, 29, 1, 40)
