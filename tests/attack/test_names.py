"""A write key sends ten thousand names: they get no table and no column, and the shop's own names get theirs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from conftest import Postgres
from keepers.app.customers.conditions import CountCondition, count_condition
from keepers.app.customers.segments import ListMembers, list_members
from keepers.app.operations.doctor import ExamineInstallation, doctor
from keepers.app.operations.playbook import ApplyPlaybook, apply_playbook
from keepers.app.tick import until_idle
from keepers.app.use_cases.actor import COMMAND_LINE
from keepers.app.workspace.workspace import Workspace
from keepers.model.identity import Trust
from keepers.warehouse.columns.registry import MAX_PUBLIC_EVENTS, MAX_PUBLIC_TRAITS
from keepers.warehouse.rebuild import rebuild
from workspaces import make, opened, send, write_playbook

NOW = datetime(2026, 3, 2, 10)
CART: dict[str, Any] = {
    "did": "Cart Viewed",
    "where": {"items": {"some": {"sku": "blue", "n": {"gte": 2}}}, "page.no": 1},
}
BUYERS = {"id": "buyers", "who": {"did": "Order Completed", "where": {"total": {"gte": 1}}}}


class Attacked:
    """A workspace that is sent to and ticked. `now` moves a minute with every tick."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.now = NOW

    def send(self, calls: list[dict[str, Any]], trust: Trust = "public") -> None:
        for first in range(0, len(calls), 500):
            send(self.workspace.store, self.now, calls[first : first + 500], trust=trust)

    def tick(self) -> None:
        self.now += timedelta(minutes=1)
        with self.workspace.sequencing("a test") as ticker:
            until_idle(ticker, self.now)

    def tables(self) -> dict[str, set[str]]:
        """Every table of the warehouse with its columns."""
        rows = self.workspace.warehouse.cursor().execute(
            "SELECT table_name, column_name FROM duckdb_columns() WHERE database_name <> 'temp'"
        )
        found: dict[str, set[str]] = {}
        for table, column in rows.fetchall():
            found.setdefault(table, set()).add(column)
        return found

    def count(self, condition: dict[str, Any]) -> int:
        return count_condition(self.workspace, COMMAND_LINE, CountCondition(condition=condition)).count

    def members(self, segment: str) -> set[str]:
        found = list_members(self.workspace, COMMAND_LINE, ListMembers(id=segment)).items
        return {name.value for row in found for name in row.identities}


@pytest.fixture(params=["sqlite", "postgres"])
def shop(request: pytest.FixtureRequest, tmp_path: Path, migrated_folder: Path) -> Iterator[Attacked]:
    database: Postgres | None = request.getfixturevalue("postgres") if request.param == "postgres" else None
    address = database.migrated() if database is not None else None
    folder = make(tmp_path / "shop", migrated_folder, playbook={"segments": [BUYERS]}, address=address)
    with opened(folder) as workspace:
        yield Attacked(workspace)
    if database is not None and address is not None:
        database.drop(address)


def track(event: str, number: int, **properties: Any) -> dict[str, Any]:
    return {
        "type": "track", "event": event, "userId": f"u{number % 40}", "messageId": f"{event} {number}",
        "timestamp": NOW.isoformat() + "Z", "properties": properties,
    }  # fmt: skip


def test_ten_thousand_names_make_no_tables_and_fill_no_limits(shop: Attacked) -> None:
    shop.send([track("Order Completed", 1, total=5, order_id="o1")], "server")
    shop.tick()
    before = shop.tables()
    calls = [track(f"noise {n}", n, **{f"p{n}": n, f"l{n}": [{f"f{n}": n}]}) for n in range(5_000)]
    calls += [track("Order Completed", n, **{f"q{n}": n, f"m{n}": [n]}) for n in range(5_000)]
    calls += [
        {"type": "identify", "userId": f"u{n % 40}", "messageId": f"i{n}", "traits": {f"t{n}-{k}": k for k in range(5)}}
        for n in range(400)
    ]
    shop.send(calls)
    shop.tick()
    assert shop.tables() == before
    registry = shop.workspace.warehouse.registry
    assert len(registry.events) == MAX_PUBLIC_EVENTS + 1
    assert len(registry.traits) == MAX_PUBLIC_TRAITS
    assert len(registry.events["Order Completed"].paths) == 2
    assert not registry.events["Order Completed"].overflow
    (rows,) = shop.workspace.warehouse.cursor().execute("SELECT count(*) FROM event_columns").fetchall()[0]
    assert rows < 10
    findings = " ".join(doctor(shop.workspace, COMMAND_LINE, ExamineInstallation()).findings)
    assert f"more than {MAX_PUBLIC_EVENTS} names" in findings
    assert f"{5_000 - MAX_PUBLIC_EVENTS} events of further names" in findings
    # The shop's own new names get theirs, and what is not listed is counted all the same.
    shop.send(
        [track("Refund", 2, amount=3, lines=[{"sku": "x"}]), track("Order Completed", 5_002, coupon="SPRING")], "server"
    )
    shop.tick()
    after = shop.tables()
    assert after.keys() - before.keys() == {"refund", "refund__lines"}
    assert after["order_completed"] - before["order_completed"] == {"coupon"}
    assert shop.count({"did": "noise 4999", "where": {"p4999": 4999, "l4999": {"some": {"f4999": 4999}}}}) == 1
    assert shop.count({"did": "Order Completed", "where": {"q77": 77, "m77": 77}}) == 1
    assert shop.members("buyers") == {"u1"}


def test_a_playbook_that_names_what_only_browsers_send_counts_it_exactly(shop: Attacked) -> None:
    """Every fourth of 40 people looked at two blue ones, and of these eight on the first page."""
    looked = [
        track(
            "Cart Viewed", n, page={"no": 1 if n % 5 else 2}, items=[{"sku": "blue", "n": 2 if n % 4 == 0 else 1}, "x"]
        )
        for n in range(40)
    ]
    by_hand = {f"u{n}" for n in range(40) if n % 4 == 0 and n % 5}
    assert len(by_hand) == 8
    shop.send(looked)
    shop.tick()
    assert "cart_viewed" not in shop.tables()
    assert shop.count(CART) == 8
    playbook = {"segments": [BUYERS, {"id": "carts", "who": CART}]}
    write_playbook(shop.workspace.folder, playbook)
    apply_playbook(shop.workspace, COMMAND_LINE, ApplyPlaybook())
    assert shop.count(CART) == 8
    shop.tick()
    assert shop.tables()["cart_viewed__items"] == {"seq", "profile_id", "position", "sku", "n"}
    assert shop.members("carts") == by_hand
    # What browsers and servers send from now on goes the same way.
    shop.send([track("Cart Viewed", 101, page={"no": 1}, items=[{"sku": "blue", "n": 3}], other=1)])
    shop.send([track("Cart Viewed", 102, page={"no": 1}, items=[{"sku": "blue", "n": 9}], own="yes")], "server")
    shop.tick()
    by_hand |= {"u21", "u22"}
    assert shop.members("carts") == by_hand
    assert shop.count(CART) == len(by_hand)
    assert shop.count({"did": "Cart Viewed", "where": {"other": 1}}) == 1
    with shop.workspace.sequencing("a test"):
        rebuild(shop.workspace.warehouse)
    assert shop.count(CART) == len(by_hand)


def test_an_event_of_browsers_gets_its_table_with_the_first_of_a_server(shop: Attacked) -> None:
    shop.send([track("Parcel Seen", n, weight=n, colour="red") for n in range(30)])
    shop.tick()
    assert "parcel_seen" not in shop.tables()
    heavy = {"did": "Parcel Seen", "where": {"weight": {"gte": 10}}}
    assert shop.count(heavy) == 20
    shop.send([track("Parcel Seen", 35, weight=35)], "server")
    shop.tick()
    assert {"weight"} <= shop.tables()["parcel_seen"]
    assert "colour" not in shop.tables()["parcel_seen"]
    assert shop.count(heavy) == 21
    assert shop.count({"did": "Parcel Seen", "where": {"colour": "red"}}) == 30


def test_what_browsers_sent_before_a_server_holds_nobody_up(shop: Attacked, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tick writes some pieces again, the next ones the rest; answers are right all along."""
    monkeypatch.setattr("keepers.warehouse.rebuild.PIECE", 5)
    shop.send([track("Order Completed", 1, total=5)], "server")
    shop.send([track("Order Completed", n, coupon="SPRING") for n in range(2, 38)])
    shop.tick()
    spring = {"did": "Order Completed", "where": {"coupon": "SPRING"}}
    filled = "SELECT count(*) FROM order_completed WHERE coupon IS NOT NULL"
    shop.send([track("Order Completed", 38, coupon="SPRING")], "server")
    numbers = []
    for _ in range(3):
        shop.now += timedelta(minutes=1)
        with shop.workspace.sequencing("a test") as ticker:
            ticker.tick(shop.now)
        numbers += shop.workspace.warehouse.cursor().execute(filled).fetchall()[0]
        assert shop.count(spring) == 37
    assert numbers == [26, 37, 37]
    assert shop.workspace.warehouse.schema(shop.now).events["Order Completed"].columns.keys() == {"total", "coupon"}
