"""An upkeep that did not end is carried on: what retention removed leaves the files, and is counted once."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from keepers.app.operations import upkeep
from keepers.app.operations.doctor import ExamineInstallation, doctor
from keepers.app.operations.health import readiness_notes
from keepers.app.operations.upkeep import CompactFiles, compact
from keepers.app.use_cases.actor import COMMAND_LINE
from keepers.server.upkeep_loop import UpkeepLoop
from keepers.store.database import MAIN_FILE
from keepers.store.schema.core import log
from keepers.warehouse.privacy import retention as warehouse_retention
from unit.app.test_locks import JOURNEY
from unit.broadcasts.mailing import NOW, Shop, playbook
from unit.privacy.conftest import Shops

ADDRESS = b"u0@example.com"
NIGHT = NOW + timedelta(days=40)


@pytest.fixture
def shop(shops: Shops) -> Shop:
    """Two customers who were written to at NOW, on a night when the addresses of those messages are to go."""
    made = shops.make(playbook(journeys=[JOURNEY]))
    made.customers(size=2)
    made.start()
    made.send()
    made.workspace.clock = lambda: NOW
    assert UpkeepLoop(made.workspace).attempt() == 60
    at(made, NIGHT)
    return made


def at(shop: Shop, now: datetime) -> None:
    shop.tick(now)
    shop.workspace.clock = lambda: now


def in_main(shop: Shop) -> int:
    """How often the address is in the bytes of the main store and its journal."""
    folder = shop.workspace.store.folder
    assert folder is not None
    return sum(one.read_bytes().count(ADDRESS) for one in folder.glob(f"{MAIN_FILE}*"))


def settle(shop: Shop, **days: int) -> None:
    """Retention with these settings; the clock shows NIGHT."""
    written = "\n".join(f"{name} = {value}" for name, value in days.items())
    file = shop.folder / "keepers.toml"
    file.write_text(f"{file.read_text()}\n[retention]\n{written}\n")
    shop.reopen()
    at(shop, NIGHT)


def test_what_was_removed_leaves_the_files_after_the_upkeep_yielded(shop: Shop) -> None:
    workspace, loop = shop.workspace, UpkeepLoop(shop.workspace)
    with workspace.warehouse.keeping_file():
        assert loop.attempt() == 600
    first = upkeep.last_retention(workspace)
    assert first is not None
    assert first["recipients"] == 2
    at(shop, NIGHT + timedelta(minutes=10))
    held = in_main(shop)
    assert loop.attempt() == 60
    assert upkeep.compacted_at(workspace) == NIGHT + timedelta(minutes=10)
    assert in_main(shop) < held
    assert upkeep.to_compact_since(workspace) is None
    second = upkeep.last_retention(workspace)
    assert second is not None
    assert (second["recipients"], second["at"]) == (2, "2026-04-11T12:10:00Z")


def test_the_next_day_counts_anew_and_rewrites_nothing_without_need(shop: Shop) -> None:
    workspace, loop = shop.workspace, UpkeepLoop(shop.workspace)
    assert loop.attempt() == 60
    assert upkeep.compacted_at(workspace) == NIGHT
    at(shop, NIGHT + timedelta(days=1))
    assert loop.attempt() == 60
    assert upkeep.compacted_at(workspace) == NIGHT
    last = upkeep.last_retention(workspace)
    assert last is not None
    assert last["recipients"] == 0


@pytest.mark.parametrize("where", ["store", "warehouse", "end"])
def test_what_was_removed_leaves_the_files_after_a_kill(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    class KilledError(BaseException):
        pass

    def killed(*_: Any) -> None:
        raise KilledError

    settle(shop, recipients_days=7, events_days=30)
    places = {
        "store": (upkeep, "_remove_files"),
        "warehouse": (warehouse_retention, "forget_raw"),
        "end": (upkeep, "run_compaction"),
    }
    with monkeypatch.context() as broken:
        broken.setattr(*places[where], killed)
        with pytest.raises(KilledError):
            UpkeepLoop(shop.workspace).run_if_due()
    shop.reopen()
    assert upkeep.to_compact_since(shop.workspace) == NIGHT
    at(shop, NIGHT + timedelta(minutes=10))
    assert UpkeepLoop(shop.workspace).run_if_due()
    assert upkeep.compacted_at(shop.workspace) == NIGHT + timedelta(minutes=10)
    last = upkeep.last_retention(shop.workspace)
    assert last is not None
    assert last["recipients"] == 2
    assert last["events"] > 2


def test_the_json_of_events_that_are_in_no_log_is_reason_enough(shop: Shop) -> None:
    """Such as imported ones: nothing of the store is removed with them."""
    settle(shop, recipients_days=0, events_days=30)
    with shop.workspace.store.begin() as connection:
        connection.execute(log.delete())
    assert UpkeepLoop(shop.workspace).attempt() == 60
    last = upkeep.last_retention(shop.workspace)
    assert last is not None
    assert last["events"] > 2
    assert sum(value for name, value in last.items() if name not in ("at", "events")) == 0
    assert upkeep.compacted_at(shop.workspace) == NIGHT


def test_compacting_by_hand_is_enough(shop: Shop) -> None:
    workspace, loop = shop.workspace, UpkeepLoop(shop.workspace)
    with workspace.warehouse.keeping_file():
        assert loop.attempt() == 600
    assert upkeep.to_compact_since(workspace) == NIGHT
    compact(workspace, COMMAND_LINE, CompactFiles())
    assert upkeep.to_compact_since(workspace) is None


def test_a_night_that_is_put_off_for_over_a_day_is_reported_until_it_ends(shop: Shop) -> None:
    workspace, loop = shop.workspace, UpkeepLoop(shop.workspace)

    def found() -> list[str]:
        return [one for one in doctor(workspace, COMMAND_LINE, ExamineInstallation()).findings if "put off" in one]

    stray = workspace.warehouse._connect()
    assert loop.attempt() == 600
    at(shop, NIGHT + timedelta(days=1))
    assert loop.attempt() == 600
    assert "upkeep" not in readiness_notes(workspace)
    assert found() == []
    at(shop, NIGHT + timedelta(days=1, minutes=10))
    assert loop.attempt() == 600
    assert readiness_notes(workspace)["upkeep"] == (
        "the daily upkeep has been put off since 2026-04-11T12:00:00Z: see keepers doctor"
    )
    assert len(found()) == 1
    assert "since 2026-04-11T12:00:00Z" in found()[0]
    stray.close()
    assert loop.attempt() == 60
    assert "upkeep" not in readiness_notes(workspace)
    assert found() == []
