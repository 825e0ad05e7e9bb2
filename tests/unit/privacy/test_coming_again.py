"""Somebody erased comes again: in exports and by a browser dropped and counted, with an order served as anybody's."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from keepers.app.customers.erasure import EraseProfile, erase_profile
from keepers.app.operations.imports import ImportFile, import_file
from keepers.app.use_cases.actor import COMMAND_LINE
from keepers.ingest.imports.mapping import ImportReport, Mapping
from keepers.model.errors import NotFoundError
from keepers.model.identity import Trust
from keepers.store.privacy import removed_counts
from unit.broadcasts.mailing import Shop, playbook
from unit.privacy.conftest import Shops
from workspaces import send

JOURNEYS = [
    {"id": kind, "name": kind, "enter": [{"event": "Order Completed"}], "steps": [{"id": "mail", "message": kind}]}
    for kind in ("receipt", "offer")
]
MESSAGES = [
    {"id": kind, "channel": "email", "topic": topic, "content": {"en": {"subject": kind, "body": "<mj-section/>"}}}
    for kind, topic in (("receipt", "orders"), ("offer", "news"))
]


@pytest.fixture
def shop(shops: Shops) -> Shop:
    """u0 was erased a moment ago; u1 was not."""
    written = playbook(journeys=JOURNEYS)
    written["messages"] += MESSAGES
    written["topics"].append({"id": "orders", "name": "Orders", "kind": "transactional"})
    made = shops.make(written)
    made.customers(size=2, at=made.workspace.clock())
    erase_profile(made.workspace, COMMAND_LINE, EraseProfile(id="u0"))
    return made


def arrive(shop: Shop, trust: Trust, at: datetime, *calls: dict[str, Any], path: str = "/v1/batch") -> None:
    numbered = [{"messageId": f"{at}{path}{n}", **call} for n, call in enumerate(calls)]
    send(shop.workspace.store, at, numbered, path, trust)
    shop.tick(at)


def is_known(shop: Shop, name: str) -> bool:
    try:
        shop.workspace.find_profile(name)
    except NotFoundError:
        return False
    return True


def dropped(shop: Shop) -> int:
    with shop.workspace.store.read() as connection:
        return sum(row.number for row in removed_counts.read(connection, "dropped"))


def imported(shop: Shop, file: Path, rows: str) -> ImportReport:
    file.write_text(f"customer,when,total\n{rows}")
    mapping = Mapping(profile="customer", event="Order Completed", time="when", properties={"total": "total"})
    return import_file(shop.workspace, COMMAND_LINE, ImportFile(path=str(file), mapping=mapping))


def test_an_export_that_still_has_them_is_imported_without_them(shop: Shop, tmp_path: Path) -> None:
    done = imported(shop, tmp_path / "a.csv", "u0,2026-01-01,5\nu1,2026-01-01,6\nu0,2026-01-02,7\n")
    assert (done.rows, done.loaded, done.erased, done.rejected) == (3, 1, 2, 0)
    assert not is_known(shop, "u0")
    events = shop.workspace.warehouse.cursor().execute("SELECT total FROM order_completed").fetchall()
    assert events == [(6.0,)]


def test_history_over_the_api_is_dropped_too(shop: Shop) -> None:
    at = shop.workspace.clock() + timedelta(minutes=1)
    old = {"type": "track", "userId": "u0", "event": "Order Completed", "timestamp": "2026-01-01T00:00:00Z"}
    arrive(shop, "server", at, old, {**old, "userId": "u1"}, path="/v1/import")
    arrive(shop, "server", at, old)  # more than 72 hours late
    assert not is_known(shop, "u0")
    assert dropped(shop) == 2


def test_a_browser_that_still_knows_them_brings_nobody_back(shop: Shop) -> None:
    at = shop.workspace.clock() + timedelta(minutes=1)
    arrive(shop, "public", at, {"type": "identify", "userId": "u0", "traits": {"email": "u0@example.com"}},
           {"type": "page", "userId": "u1", "name": "Home"})  # fmt: skip
    assert not is_known(shop, "u0")
    assert dropped(shop) == 1


def test_a_new_order_of_theirs_is_served_as_anybodys_and_without_marketing(shop: Shop) -> None:
    at = shop.workspace.clock() + timedelta(minutes=1)
    arrive(shop, "server", at,
           {"type": "identify", "userId": "u0", "traits": {"email": "u0@example.com"}},
           {"type": "track", "userId": "u0", "event": "Order Completed", "properties": {"total": 5}})  # fmt: skip
    shop.send(at + timedelta(minutes=1))
    assert {(m, s, r) for m, s, r in shop.rows("message", "status", "reason")} == {
        ("receipt", "sent", ""),
        ("offer", "skipped", "suppressed.erased"),
    }
    # From here on a browser may say what they do: they are known again.
    arrive(shop, "public", at + timedelta(hours=1), {"type": "page", "userId": "u0", "name": "Home"})
    assert dropped(shop) == 0


def test_their_old_life_stays_out_also_when_they_are_known_again(shop: Shop, tmp_path: Path) -> None:
    at = shop.workspace.clock() + timedelta(minutes=1)
    arrive(
        shop, "server", at, {"type": "track", "userId": "u0", "event": "Order Completed", "properties": {"total": 5}}
    )
    done = imported(shop, tmp_path / "a.csv", f"u0,2026-01-01,5\nu0,{(at + timedelta(days=1)).isoformat()}Z,7\n")
    assert (done.loaded, done.erased) == (1, 1)


def test_a_device_that_somebody_else_uses_now_counts_again(shop: Shop) -> None:
    at = shop.workspace.clock() + timedelta(minutes=1)
    arrive(shop, "server", at, {"type": "identify", "anonymousId": "phone", "userId": "u2"})
    erase_profile(shop.workspace, COMMAND_LINE, EraseProfile(id="u2"))
    arrive(shop, "public", at + timedelta(hours=1), {"type": "page", "anonymousId": "phone", "name": "Home"})
    assert (is_known(shop, "phone"), dropped(shop)) == (False, 1)
    arrive(shop, "public", at + timedelta(hours=2), {"type": "identify", "anonymousId": "phone", "userId": "u3"})
    arrive(shop, "public", at + timedelta(hours=3), {"type": "page", "anonymousId": "phone", "name": "Home"})
    assert (is_known(shop, "phone"), dropped(shop)) == (True, 1)
