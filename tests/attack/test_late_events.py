"""What a public key sends with a time of its own: it is known when it arrives, is no history, and lies not ahead."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from unit.broadcasts.mailing import MIDNIGHT, Shop, playbook
from workspaces import send

AT = MIDNIGHT + timedelta(hours=2)
"""of the orders"""
QUIET = AT + timedelta(days=20)
"""when a buyer falls quiet, if no other order comes"""
MOMENT = timedelta(seconds=1)
ORDER = "Order Completed"
JOURNEYS: dict[str, dict[str, str]] = {
    "receipt": {"event": ORDER},
    "buying": {"segment": "buyers"},
    "loyal": {"stage": "value.loyal"},
    "lost": {"segment": "quiet"},
    "last": {"stage": "value.quiet"},
}


def written(trust: dict[str, str]) -> dict[str, Any]:
    """Journeys with transactional messages, entered by an event, segments, stages and by time alone."""
    made = playbook()
    message = made["messages"][0]
    order = {"did": ORDER}
    quiet = {"all": [order, {"did_not": ORDER, "within": "20d"}]}
    made |= {
        "broadcasts": [],
        "segments": [{"id": "buyers", "who": order, **trust}, {"id": "quiet", "who": quiet, **trust}],
        "lifecycles": [
            {
                "id": "value",
                "stages": [
                    {"id": "known", "when": "anyone"},
                    {"id": "loyal", "when": order},
                    {"id": "quiet", "when": quiet},
                ],
            }
        ],
        "messages": [*made["messages"], *({**message, "id": name, "topic": "orders"} for name in JOURNEYS)],
        "journeys": [
            {"id": name, "enter": [entry], "steps": [{"id": "s", "message": name}]} for name, entry in JOURNEYS.items()
        ],
    }
    made["topics"].append({"id": "orders", "name": "Orders", "kind": "transactional", "basis": "contract"})
    return made


def public(shop: Shop, at: datetime, *calls: dict[str, Any], path: str = "/v1/batch") -> None:
    """Calls by a write key, each of ten days before it arrives unless it has a time of its own."""
    then = f"{at - timedelta(days=10)}Z"
    numbered = [{"messageId": f"{path}{at}{n}", "timestamp": then, **call} for n, call in enumerate(calls)]
    send(shop.workspace.store, at, numbered, path, "public")


def attack(shop: Shop, at: datetime) -> None:
    """Each customer but u0 is attacked in a way of their own."""
    device, looked, order = f"d{at}", {"type": "track", "event": "Looked"}, {"type": "track", "event": ORDER}
    public(
        shop, at,
        {**looked, "userId": "u1"},
        {**order, "userId": "u2"},
        {"type": "identify", "userId": "u3", "traits": {"vip": True}},
        {"type": "group", "userId": "u3", "groupId": "g", "traits": {"size": 1}},
        {**looked, "anonymousId": device},
        {**order, "anonymousId": device},
        {"type": "identify", "userId": "u4", "anonymousId": device},
    )  # fmt: skip
    # As one that was in the inbox when this began to be refused.
    public(shop, at, {**looked, "userId": "u5"}, path="/v1/import")


@pytest.mark.parametrize("trust", [{}, {"trust": "server"}], ids=["any", "server"])
def test_an_old_time_by_a_public_key_ends_no_entry(
    tmp_path: Path, migrated_folder: Path, trust: dict[str, str]
) -> None:
    """One late event in the tick of an order, or of a change by time, made it an import's, which enters nobody."""
    shop = Shop(tmp_path / "shop", migrated_folder, written(trust))
    shop.customers(size=6, at=MIDNIGHT)
    send(shop.workspace.store, AT, [{"type": "track", "event": ORDER, "userId": f"u{n}"} for n in range(6)])
    attack(shop, AT + MOMENT)
    shop.send(AT + 5 * MOMENT)
    shop.send(QUIET - MOMENT)
    attack(shop, QUIET + MOMENT)
    shop.send(QUIET + 5 * MOMENT)
    sent: dict[str, list[str]] = {}
    for message, recipient in sorted(shop.rows("message", "recipient", status="sent")):
        sent.setdefault(recipient, []).append(message)
    assert sent == {f"u{n}@example.com": sorted(JOURNEYS) for n in range(6)}
    assert shop.workspace.warehouse.cursor().execute("SELECT * FROM imported").fetchall() == []
    shop.close()


def test_an_old_time_by_a_public_key_moves_no_first_sight(tmp_path: Path, migrated_folder: Path) -> None:
    """An event of 1970 moved a customer's `created_at` there, and with it all answers of the years between."""
    shop = Shop(tmp_path / "shop", migrated_folder, playbook())
    shop.customers(size=1, at=MIDNIGHT)
    cursor = shop.workspace.warehouse.cursor()

    def created() -> list[tuple[datetime]]:
        return cursor.execute("SELECT created_at FROM profiles ORDER BY profile_id").fetchall()

    before = created()
    old = {"type": "track", "event": "Looked", "timestamp": "1970-01-02T00:00:00Z"}
    at = MIDNIGHT + timedelta(hours=1)
    public(shop, at, {**old, "userId": "u0"}, {**old, "anonymousId": "a"}, {**old, "userId": "new"})
    public(shop, at + MOMENT, {"type": "identify", "anonymousId": "a", "userId": "u0", **old})
    shop.tick(at + MOMENT)
    assert created() == [*before, (at,), (at,)]
    assert cursor.execute("SELECT count(*) FROM tracks WHERE NOT trusted AND known_at <> received_at").fetchall() == [
        (0,)
    ]
    assert cursor.execute('SELECT "at" FROM canon').fetchall() == [(at + MOMENT,)]
    # What the shop's own server says of the past counts.
    send(shop.workspace.store, at + 2 * MOMENT, [{**old, "userId": "u0"}])
    shop.tick(at + 2 * MOMENT)
    assert created()[0] == (datetime(1970, 1, 2),)
    shop.close()


def test_nothing_of_a_public_key_lies_ahead(tmp_path: Path, migrated_folder: Path) -> None:
    """Each event of the future, and each that came to the present, had all queries of its name compiled anew."""
    shop = Shop(tmp_path / "shop", migrated_folder, playbook())
    shop.customers(size=1, at=MIDNIGHT)
    ahead = {"type": "track", "event": "Looked", "userId": "u0"}
    warehouse = shop.workspace.warehouse
    times = []
    for n, after in enumerate((timedelta(), timedelta(hours=1), timedelta(days=20_000)), start=1):
        at = MIDNIGHT + n * MOMENT
        public(shop, at, {**ahead, "timestamp": f"{at + after}Z"})
        shop.tick(at)
        times.append(at)
        assert not warehouse.schema(at).events["Looked"].has_future
    assert warehouse.cursor().execute("SELECT time FROM tracks WHERE event = 'Looked' ORDER BY seq").fetchall() == [
        (at,) for at in times
    ]
    # What the shop's server sends ahead counts when its time comes.
    send(shop.workspace.store, at + MOMENT, [{**ahead, "timestamp": f"{at + timedelta(hours=1)}Z"}])
    shop.tick(at + MOMENT)
    assert warehouse.schema(at + MOMENT).events["Looked"].has_future
    assert not warehouse.schema(at + timedelta(hours=2)).events["Looked"].has_future
    shop.close()
