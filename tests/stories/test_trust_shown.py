"""Before a playbook is applied, check and plan say whom trust would stop."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import workspaces
from keepers.app.operations.playbook import (
    CheckPlaybook,
    PlanPlaybook,
    PlaybookFinding,
    check_playbook,
    plan_playbook,
)
from keepers.app.use_cases.actor import COMMAND_LINE
from keepers.model.identity import Trust
from stories.writing import completed

AT = datetime(2026, 3, 2, 12)
PLAYBOOK: dict[str, Any] = {
    "topics": [{"id": "orders", "name": "Orders", "kind": "transactional"}],
    "mails": {"receipt": "orders"},
    "journeys": [
        {"id": "receipts", "enter": [{"event": "Order Completed"}], "steps": [{"id": "send", "message": "receipt"}]}
    ],
}


def _orders(folder: Path, trust: Trust, number: int) -> None:
    with workspaces.opened(folder) as workspace:
        calls = [
            {"type": "track", "event": "Order Completed", "userId": f"{trust}{n}", "messageId": f"{trust}{n}"}
            for n in range(number)
        ]
        workspaces.send(workspace.store, AT, calls, trust=trust)
        with workspace.sequencing("a test") as ticker:
            ticker.tick(AT + timedelta(minutes=1))


def _warnings(folder: Path, locale: str = "en") -> list[PlaybookFinding]:
    """What plan warns about; check warns about it too."""
    with workspaces.opened(folder) as workspace:
        warnings = plan_playbook(workspace, COMMAND_LINE, PlanPlaybook(locale=locale)).warnings
        checked = check_playbook(workspace, COMMAND_LINE, CheckPlaybook(locale=locale))
        assert [found for found in checked.findings if found in warnings] == warnings
        return warnings


@pytest.fixture
def shop(tmp_path: Path, migrated_folder: Path) -> Path:
    """Three orders came from browsers, and nothing with a server key."""
    folder = workspaces.make(tmp_path / "shop", migrated_folder)
    _orders(folder, "public", 3)
    workspaces.write_playbook(folder, completed(PLAYBOOK) or {})
    return folder


def test_a_shop_whose_orders_come_from_browsers_learns_it_before_applying(shop: Path) -> None:
    (english,) = _warnings(shop)
    (polish,) = _warnings(shop, "pl")
    shown = workspaces.keepers("plan", "--workspace", shop)
    assert (english.code, english.field) == ("waits_for_server", "journey/receipts.enter[0]")
    assert "Order Completed" in english.message
    assert "3" in english.message
    assert polish.message != english.message
    assert "Order Completed" in polish.message
    assert english.message in " ".join(shown.out.split())
    assert shown.code == 0


def test_one_order_by_a_server_key_is_enough(shop: Path) -> None:
    _orders(shop, "server", 1)
    assert _warnings(shop) == []
