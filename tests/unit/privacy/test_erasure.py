"""After an erasure nothing of the person can be read in any table, and everything of others as before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from keepers.app.customers import erasing
from keepers.app.customers.addresses import owner_of
from keepers.app.customers.erasure import EraseProfile, erase_profile
from keepers.app.customers.export import ExportProfile, export_profile
from keepers.app.use_cases.actor import COMMAND_LINE
from keepers.broadcasts.progress import SendingStatus
from keepers.model.errors import NotFoundError
from keepers.reports.journeys import JourneyFigures, figures
from keepers.store.events import log
from keepers.store.events.log import SystemEvent
from keepers.store.messages import broadcast_sends
from keepers.store.messages.broadcast_sends import Result
from keepers.store.privacy import erasures
from keepers.store.schema.core import merges
from keepers.store.schema.journeys import run_history
from unit.broadcasts.mailing import NOW, Shop
from unit.privacy import somebody
from unit.privacy.conftest import Shops
from unit.privacy.somebody import DEVICES, USER, VALUES


@pytest.fixture
def shop(shops: Shops) -> Shop:
    return shops.with_somebody()


@pytest.fixture(params=["sqlite", "postgres"])
def either(request: pytest.FixtureRequest, shops: Shops) -> Shop:
    """The shop on either store."""
    return shops.with_somebody(request.param)


def test_nothing_of_the_person_can_be_read_in_any_table(either: Shop) -> None:
    shop = either
    workspace = shop.workspace
    assert somebody.held(workspace).keys() == set(VALUES)
    numbers = {number for (number,) in _profiles(shop)}
    erase_profile(workspace, COMMAND_LINE, EraseProfile(id=USER))
    # What another customer did with a device that both used is hers.
    left = somebody.held(workspace)
    assert left == {DEVICES[2]: {"log.body", "tracks.raw"}}
    assert _whose(shop, DEVICES[2]) <= set(owner_of(workspace, workspace.find_profile("u0")).profile_ids)
    gone = numbers - {number for (number,) in _profiles(shop)}
    assert len(gone) == 4  # the user, two before her, a device
    with pytest.raises(NotFoundError):
        export_profile(workspace, COMMAND_LINE, ExportProfile(id=USER))


def test_what_is_of_others_stays_as_it_was(shop: Shop) -> None:
    with shop.workspace.sequencing("a test") as ticker:
        ticker.take_in(shop.workspace.clock())
    before = _everything_of(shop, "u0")
    erase_profile(shop.workspace, COMMAND_LINE, EraseProfile(id=USER))
    assert _everything_of(shop, "u0") == before
    shop.tick(shop.workspace.clock() + timedelta(days=2))
    assert [row.what for row in _history(shop)][-1:] == ["ended"]  # her journey goes on


def test_files_beside_the_stores_lose_what_names_the_person_and_keep_the_rest(shop: Shop) -> None:
    data = shop.workspace.data_folder
    done = erase_profile(shop.workspace, COMMAND_LINE, EraseProfile(id=USER))
    (rejects,) = (data / "rejects").glob("*.csv")
    assert [line.partition(",")[0] for line in rejects.read_text().splitlines()] == ["line", "5"]
    assert len(list((data / "mail-set-aside").iterdir())) == 1
    lines = (data / "errors.log").read_text().splitlines()
    assert (lines[0], lines[1], lines[-1]) == ("Traceback", '  File "keepers.py", line 12', "Another line")
    assert (done.rejects, done.set_aside_mails, done.error_lines) == (1, 1, 1)
    left = somebody.in_files(data / "rejects") | somebody.in_files(data / "mail-set-aside")
    assert left == {}
    assert somebody.ADDRESS not in (data / "errors.log").read_text().lower()


def test_reports_of_the_past_still_add_up(shop: Shop) -> None:
    shop.send(shop.workspace.clock() + timedelta(days=2))
    before = _figures(shop)
    assert before[0].totals.entered == 2
    assert before[0].steps[1].messages
    erase_profile(shop.workspace, COMMAND_LINE, EraseProfile(id=USER))
    assert _figures(shop) == before


def test_a_run_under_way_counts_as_ended_and_a_message_that_waits_as_skipped(shop: Shop) -> None:
    erase_profile(shop.workspace, COMMAND_LINE, EraseProfile(id=USER))
    (journey, _, _) = _figures(shop)
    assert (journey.totals.entered, journey.totals.active) == (2, 1)
    assert journey.totals.ended == {"erased": 1}


def test_an_erasure_that_is_killed_again_and_again_is_finished_by_the_next_tick(either: Shop) -> None:
    """Each time a few transactions further, in a process that knows nothing of the one before."""
    shop = either
    allowed = 1
    with shop.workspace.sequencing("a test") as ticker:
        ticker.take_in(shop.workspace.clock())
    number = shop.workspace.find_profile(USER)
    while True:
        with _killed_after(shop, allowed) as killed, shop.workspace.sequencing("a test") as ticker:
            if allowed == 1:
                ticker.take_in(shop.workspace.clock())
                erasing.erase_person(shop.workspace, number, shop.workspace.clock())
            else:
                erasing.carry_on(shop.workspace, shop.workspace.clock())
        if not killed:
            break
        shop.reopen()
        allowed += 1
    assert allowed > 5
    shop.reopen()
    assert somebody.held(shop.workspace).keys() == {DEVICES[2]}
    with shop.workspace.store.read() as connection:
        assert erasures.waiting(connection).unfinished == 0
        assert number in erasures.profile_ids(connection, [number])


def test_a_tick_finishes_what_was_begun(shop: Shop) -> None:
    with shop.workspace.store.begin() as connection:
        erasures.begin(connection, owner_of(shop.workspace, shop.workspace.find_profile(USER)).profile_ids, NOW)
    shop.tick()
    assert somebody.held(shop.workspace).keys() == {DEVICES[2]}


def test_what_others_were_writing_meanwhile_is_dropped_too(shop: Shop) -> None:
    number = shop.workspace.find_profile(USER)
    erase_profile(shop.workspace, COMMAND_LINE, EraseProfile(id=USER))
    with shop.workspace.store.begin() as connection:
        log.append_events(
            connection, [SystemEvent(number, "Email Sent", NOW, {"to": somebody.ADDRESS}, trust="own")], NOW
        )
    shop.tick()
    assert somebody.held(shop.workspace).keys() == {DEVICES[2]}
    assert (number,) not in _profiles(shop)


def test_a_ledger_erases_whom_an_older_copy_still_knows(shop: Shop, shops: Shops) -> None:
    """As `restore` does with a backup of before the erasure."""
    older = shops.copy(shop.folder)
    erase_profile(shop.workspace, COMMAND_LINE, EraseProfile(id=USER))
    ledger = erasing.read_ledger(shop.workspace)
    assert len(ledger.identifiers) == 6
    with older.workspace.sequencing("a test"):
        assert erasing.apply_ledger(older.workspace, ledger, NOW) == 1
        assert erasing.apply_ledger(older.workspace, ledger, NOW) == 0
    assert erasing.read_ledger(older.workspace).identifiers == ledger.identifiers
    left = somebody.held(older.workspace)
    assert left.keys() - {"zq-late"} == {DEVICES[2], somebody.FORMER_ADDRESS, USER}
    assert {place.partition(".")[0] for places in left.values() for place in places} <= {
        "inbox",
        "reports",
        "log",
        "tracks",
    }


def test_merges_of_others_forget_the_identifiers(shop: Shop) -> None:
    erase_profile(shop.workspace, COMMAND_LINE, EraseProfile(id=USER))
    with shop.workspace.store.read() as connection:
        assert DEVICES[2] not in str(connection.execute(select(merges)).all())


@contextmanager
def _killed_after(shop: Shop, transactions: int) -> Iterator[list[bool]]:
    """Ends the block at a commit, and says so in the list."""
    store, left = shop.workspace.store, [transactions]
    begin = store.begin
    killed: list[bool] = []

    @contextmanager
    def counted() -> Iterator[Any]:
        left[0] -= 1
        if left[0] < 0:
            raise Killed
        with begin() as connection:
            yield connection

    store.begin = counted  # type: ignore[method-assign]
    try:
        yield killed
    except Killed:
        killed.append(True)
    finally:
        store.begin = begin  # type: ignore[method-assign]


class Killed(BaseException):
    """As kill -9: nothing is caught, nothing tidied up."""


def _everything_of(shop: Shop, name: str) -> list[tuple[str, dict[str, Any]]]:
    page = export_profile(shop.workspace, COMMAND_LINE, ExportProfile(id=name, limit=1000))
    return [
        (row.section, {k: v for k, v in row.data.items() if k != "as_of"})
        for row in page.items
        if row.section != "merges"
    ]


def _figures(shop: Shop) -> tuple[JourneyFigures, SendingStatus, dict[str, Result]]:
    with shop.workspace.store.read() as connection:
        (send,) = broadcast_sends.of_broadcast(connection, "b")
        results = broadcast_sends.results(connection, send)
        found = figures(connection, "j", ["pause", "mail"])
    return found, shop.status(), results


def _history(shop: Shop) -> list[Any]:
    with shop.workspace.store.read() as connection:
        return list(connection.execute(select(run_history).order_by(run_history.c.id)))


def _whose(shop: Shop, text: str) -> set[int]:
    rows = shop.workspace.warehouse.cursor().execute(f"SELECT profile_id FROM tracks WHERE contains(raw, '{text}')")
    return {row[0] for row in rows.fetchall()}


def _profiles(shop: Shop) -> list[tuple[int]]:
    return shop.workspace.warehouse.cursor().execute("SELECT profile_id FROM profiles").fetchall()
