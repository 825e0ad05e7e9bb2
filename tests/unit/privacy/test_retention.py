"""What was kept long enough goes, each kind by its own setting; counts stay, and nothing that is still needed goes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from keepers.app.operations import upkeep
from keepers.app.operations.maintenance import RunRebuild, rebuild
from keepers.app.public import link_owner
from keepers.app.use_cases.actor import COMMAND_LINE
from keepers.app.workspace.settings import load_settings
from keepers.model.consent import address_hash
from keepers.model.errors import UserError
from keepers.store.messages import messages as stored
from keepers.store.schema.core import log
from keepers.store.schema.journeys import journey_runs, run_history
from keepers.store.schema.messages import message_copies, message_history, messages
from unit.app.test_locks import JOURNEY
from unit.broadcasts.mailing import NOW, Shop, playbook

LATER = NOW + timedelta(days=400)


@pytest.fixture
def shop(tmp_path: Path, migrated_folder: Path) -> Iterator[Shop]:
    """Two customers who ordered, went through a journey, and were written to, at NOW."""
    made = Shop(tmp_path / "shop", migrated_folder, playbook(journeys=[JOURNEY]))
    ids = made.customers(size=2)
    made.start()
    made.send()
    made.engage(ids, NOW)
    made.did("Order Completed", ["u0", "u1"], NOW)
    made.send(NOW + timedelta(days=2))
    yield made
    made.close()


def run(shop: Shop, at: Any = LATER, **days: int) -> dict[str, int]:
    """Retention with these settings and nothing else."""
    shop.workspace.close()
    written = dict.fromkeys(("recipients_days", "messages_days", "run_history_days", "events_days", "rejects_days"), 0)
    settings = "\n".join(f"{name} = {value}" for name, value in (written | days).items())
    file = shop.folder / "keepers.toml"
    file.write_text(f"{file.read_text().partition('[retention]')[0]}[retention]\n{settings}\n")
    shop.reopen()
    with shop.workspace.sequencing("a test"):
        return upkeep.run_retention(shop.workspace, at, lambda done, total: None)


def count(shop: Shop, table: Any) -> int:
    with shop.workspace.store.read() as connection:
        return len(connection.execute(select(table)).all())


def figures(shop: Shop) -> Any:
    from keepers.reports.journeys import figures as found

    with shop.workspace.store.read() as connection:
        return found(connection, "j", ["pause", "mail"]), shop.status()


def test_nothing_goes_before_its_time_and_nothing_where_it_is_off(shop: Shop) -> None:
    kinds = {"recipients": 0, "messages": 0, "run_history": 0, "audit": 0, "events": 0, "rejects": 0}
    assert run(shop) == kinds
    assert run(shop, NOW + timedelta(days=6), recipients_days=7, messages_days=60, run_history_days=30) == kinds


def test_messages_go_with_all_that_is_of_them_and_reports_add_up(shop: Shop) -> None:
    before = figures(shop)
    assert run(shop, messages_days=365)["messages"] == 4
    assert [count(shop, table) for table in (messages, message_copies, message_history)] == [0, 0, 0]
    assert figures(shop) == before


def test_a_message_that_waits_stays(shop: Shop) -> None:
    with shop.workspace.store.begin() as connection:
        connection.execute(messages.update().where(messages.c.id == 1).values(status="held"))
    assert run(shop, messages_days=365)["messages"] == 3
    assert count(shop, messages) == 1


def test_the_steps_of_ended_runs_go_and_the_runs_stay(shop: Shop) -> None:
    before = figures(shop)
    assert run(shop, run_history_days=365)["run_history"] == 2
    assert (count(shop, run_history), count(shop, journey_runs)) == (0, 2)
    with shop.workspace.store.read() as connection:
        assert {(row.vars, row.trigger) for row in connection.execute(select(journey_runs))} == {("{}", "{}")}
    assert figures(shop) == before


def test_a_plain_address_goes_and_its_hash_does_its_work(shop: Shop) -> None:
    assert run(shop, recipients_days=30)["recipients"] == 4
    secret = shop.workspace.secret
    hashes = shop.rows("address_hash")
    assert shop.rows("recipient") == [f"={one}" for one in hashes]
    assert [address_hash(secret, "email", one) for one in shop.rows("recipient")] == hashes
    assert address_hash(secret, "email", "=u0@example.com") not in hashes
    with shop.workspace.store.read() as connection:
        owner = link_owner.of_message(connection, shop.rows("key")[0])
    assert owner is not None
    # A link in an old message still leaves for the address it was sent to, and shows none.
    assert link_owner.hashes(secret, link_owner.addresses(owner, {}, "")) == [("email", hashes[0])]
    assert owner.whom == ""
    with shop.workspace.store.begin() as connection:
        connection.execute(messages.update().values(status="failed"))
        assert stored.retry(connection, [1, 2, 3, 4], LATER) == 0  # there is nobody to send it to
    assert run(shop, recipients_days=30)["recipients"] == 0


def test_the_json_of_old_events_goes_and_what_was_made_of_it_stays_also_after_a_rebuild(shop: Shop) -> None:
    tables = ("order_completed", "trait_values", "states", "profiles")
    before = {name: _rows(shop, name) for name in tables}
    assert all(before.values())
    # The tests' events were received at NOW; those of Keepers' own too.
    shop.did("Order Completed", ["u1"], LATER - timedelta(days=1))
    recent = {name: _rows(shop, name) for name in tables}
    assert run(shop, events_days=30)["events"] > 4
    kept = shop.workspace.warehouse.cursor().execute("SELECT count(*) FROM tracks WHERE raw <> '{}'").fetchall()
    assert kept[0][0] >= 1
    assert count(shop, log) < 10
    assert {name: _rows(shop, name) for name in tables} == recent
    rebuild(shop.workspace, COMMAND_LINE, RunRebuild())
    assert {name: _rows(shop, name) for name in tables} == recent
    shop.tick(LATER)


def test_files_that_nobody_looked_at_go(shop: Shop) -> None:
    rejects = shop.workspace.data_folder / "rejects"
    rejects.mkdir()
    (rejects / "orders.csv").write_text("line,reason,row\n")
    aged = shop.workspace.clock() + timedelta(days=4000)
    assert run(shop, NOW, rejects_days=30)["rejects"] == 0
    assert run(shop, aged, rejects_days=30)["rejects"] == 1
    assert list(rejects.iterdir()) == []
    last = upkeep.last_retention(shop.workspace)
    assert last is not None
    assert last["rejects"] == 1


def test_a_setting_that_would_break_delivery_is_refused(shop: Shop) -> None:
    file = shop.folder / "keepers.toml"
    file.write_text(f"{file.read_text()}[retention]\nrecipients_days = 1\n")
    with pytest.raises(UserError, match="recipients_days is 1; it must lie between 7"):
        load_settings(shop.folder, {})


def _rows(shop: Shop, table: str) -> list[Any]:
    return sorted(map(str, shop.workspace.warehouse.cursor().execute(f"SELECT * FROM {table}").fetchall()))
