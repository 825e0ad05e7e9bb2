"""A shop of two customers who sign up, with a mailbox, asked by its commands alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import workspaces
from keepers.app.workspace.clock import clock
from keepers.devtools.mailbox import Mailbox
from stories.story_sending import mailbox_for
from workspaces import keepers

TEXT = "Hello <a href='{{ links.unsubscribe }}'>stop</a>"
BODY = f"<mj-section><mj-column><mj-text>{TEXT}</mj-text></mj-column></mj-section>"
PLAYBOOK: dict[str, Any] = {
    "topics": [{"id": "tips", "name": {"en": "Tips", "ru": "Советы"}}],
    "coupons": [{"id": "gift", "low": 2}],
    "contact": {"quiet": {}},
    "segments": [{"id": "readers", "who": {"trait": "plan", "eq": "pro"}}],
    "messages": [
        {"id": "hello", "channel": "email", "topic": "tips", "expires": "30d",
         "content": {"en": {"subject": "Welcome, {{ customer.name }}", "body": BODY}}},
    ],
    "journeys": [
        {
            "id": "welcome",
            "name": {"en": "Welcome"},
            "enter": [{"event": "Signed Up"}],
            "goal": {"when": {"did": "Order Completed", "since": {"ref": "run.entered_at"}}},
            "steps": [
                {"id": "hello", "message": "hello"},
                {"id": "rest", "wait": {"event": "Order Shipped"}, "timeout": "3d"},
            ],
        }
    ],
}  # fmt: skip


class Shop:
    """A workspace with a mailbox, asked by its commands alone."""

    def __init__(self, folder: Path, mailbox: Mailbox) -> None:
        self.folder = folder
        self.mailbox = mailbox

    def json_of(self, *arguments: object) -> Any:
        ran = keepers("-w", self.folder, *arguments, "--json")
        assert ran.code == 0, ran
        return ran.json

    def shown(self, *arguments: object) -> str:
        ran = keepers("-w", self.folder, *arguments)
        assert ran.code == 0, ran
        return ran.out

    def refused(self, *arguments: object) -> str:
        return self.refused_with(2, *arguments)

    def refused_with(self, code: int, *arguments: object) -> str:
        ran = keepers("-w", self.folder, *arguments, "--json")
        assert ran.code == code, ran
        return str(ran.json["error"]["message"])

    def mail(self) -> list[str]:
        return [f"{mail.recipient}: {mail.subject}" for mail in reversed(self.mailbox.messages(limit=100))]


@contextmanager
def signed_up(folder: Path, migrated: Path, address: str | None) -> Iterator[Shop]:
    """Ann, who has agreed, and Bob, who has not, sign up."""
    workspaces.make(folder, migrated, playbook=PLAYBOOK, address=address)
    mailbox = mailbox_for(folder, clock())
    at = clock() - timedelta(hours=1)
    try:
        with workspaces.opened(folder) as workspace:
            people = [
                {
                    "type": "identify",
                    "userId": who,
                    "traits": {"email": f"{who}@example.com", "name": who, "plan": "pro"},
                }
                for who in ("ann", "bob")
            ]
            workspaces.send(workspace.store, at, people)
        opened = Shop(folder, mailbox)
        opened.json_of("tick")
        opened.json_of("consent", "set", "ann", "email", "tips", "subscribed", "--source", "checkout")
        with workspaces.opened(folder) as workspace:
            ups = [{"type": "track", "userId": who, "event": "Signed Up"} for who in ("ann", "bob")]
            workspaces.send(workspace.store, clock(), ups)
        opened.json_of("tick", "--until-idle")
        yield opened
    finally:
        mailbox.stop()
