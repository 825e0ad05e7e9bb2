"""The commands about broadcasts: who would get one, starting, stopping, going on, and what became of it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import workspaces
from keepers.app.workspace.clock import clock
from workspaces import keepers

TEXT = "Hello <a href='{{ links.unsubscribe }}'>stop</a>"
BODY = f"<mj-section><mj-column><mj-text>{TEXT}</mj-text></mj-column></mj-section>"
PLAYBOOK: dict[str, Any] = {
    "topics": [{"id": "tips", "name": "Tips"}],
    "contact": {"quiet": {}},
    "messages": [
        {"id": "spring", "channel": "email", "topic": "tips", "content": {"en": {"subject": "Spring", "body": BODY}}},
    ],
    "broadcasts": [{"id": "news", "message": "spring"}],
}  # fmt: skip


@pytest.fixture
def shop(tmp_path: Path, migrated_folder: Path) -> Path:
    """Ann has agreed to be written to, Bob has not."""
    folder = workspaces.make(tmp_path / "shop", migrated_folder, playbook=PLAYBOOK)
    with workspaces.opened(folder) as workspace:
        people = [
            {"type": "identify", "userId": who, "traits": {"email": f"{who}@example.com", "plan": "pro"}}
            for who in ("ann", "bob")
        ]
        workspaces.send(workspace.store, clock() - timedelta(hours=1), people)
    json_of(folder, "tick")
    json_of(folder, "consent", "set", "ann", "email", "tips", "subscribed", "--source", "checkout")
    return folder


def json_of(folder: Path, *arguments: object) -> Any:
    ran = keepers("-w", folder, *arguments, "--json")
    assert ran.code == 0, ran
    return ran.json


def test_a_broadcast_is_previewed_started_stopped_and_goes_on(shop: Path) -> None:
    (draft,) = json_of(shop, "broadcast", "list")["items"]
    assert (draft["id"], draft["status"], draft["started_at"]) == ("news", "draft", None)
    counted = json_of(shop, "broadcast", "preview", "news")
    assert (counted["audience"], counted["would_get"], counted["skipped"]) == (2, 1, {"no_consent": 1})
    assert "1 of 2 customers would get it" in keepers("-w", shop, "broadcast", "preview", "news").out
    assert json_of(shop, "broadcast", "status", "news")["items"] == []
    started = json_of(shop, "broadcast", "start", "news")
    assert (started["status"], started["of"]) == ("scheduled", None)
    json_of(shop, "tick", "--until-idle")
    stopped = json_of(shop, "broadcast", "stop", "news")
    assert (stopped["status"], stopped["stopped"], stopped["waiting"]) == ("stopped", 1, 0)
    resumed = json_of(shop, "broadcast", "resume", "news")
    assert (resumed["queued_again"], resumed["waiting"]) == (1, 1)
    (sending,) = json_of(shop, "broadcast", "status", "news")["items"]
    assert {(m["status"], m["reason"], m["number"]) for m in sending["messages"]} == {
        ("queued", "", 1),
        ("skipped", "no_consent", 1),
    }
    assert "Sending 1 to its audience" in keepers("-w", shop, "broadcast", "status", "news").out


def test_a_broadcast_that_cannot_be_sent_is_refused(shop: Path) -> None:
    for verb in ("preview", "start", "stop", "status", "resend"):
        assert keepers("-w", shop, "broadcast", verb, "newz", "--json").code == 2, verb
    assert keepers("-w", shop, "broadcast", "resume", "news", "--json").code == 2
    json_of(shop, "broadcast", "start", "news")
    assert "is being sent" in keepers("-w", shop, "broadcast", "start", "news", "--json").json["error"]["message"]
