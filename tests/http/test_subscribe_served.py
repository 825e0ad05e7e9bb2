"""A subscription from the form to the second yes, over everything `keepers serve` runs."""

from __future__ import annotations

import re
from email import message_from_bytes, policy
from pathlib import Path

import httpx
import pytest

from keepers.app.workspace.workspace import Workspace
from keepers.devtools.mailbox import Mailbox
from keepers.store.profiles import consents, identities
from mail_shop import mailbox_at, make_mail_shop
from serving import WRITE, serving
from waiting import wait_for
from workspaces import opened


def state(workspace: Workspace, visitor: str) -> str:
    """What the visitor said to the newsletter last."""
    with workspace.store.read() as connection:
        profile = identities.find(connection, "anonymous_id", visitor)
        assert profile is not None
        held = consents.history(connection, profile)
    newest = [c for c in held if c.topic == "newsletter"]
    return newest[-1].state if newest else ""


def last_message(mailbox: Mailbox) -> str:
    """The text of the one mail that arrived."""
    (mail,) = mailbox.messages()
    assert mail.recipient == "ida@example.com"
    assert mail.subject == "Conferma l’iscrizione"
    read = message_from_bytes(mailbox.folder.path(mail.id).read_bytes(), policy=policy.default)
    body = read.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


@pytest.mark.slow
def test_a_form_a_letter_and_a_button_subscribe(tmp_path: Path) -> None:
    with mailbox_at(tmp_path / "mailbox") as mailbox:
        folder = make_mail_shop(tmp_path / "shop", mailbox, None, "", "--journeys", "welcome")
        with serving(folder) as server, opened(folder) as workspace:
            form = {
                "email": "ida@example.com", "topic": "newsletter", "anonymousId": "visitor-1", "locale": "it",
                "wording": "Scrivetemi", "writeKey": WRITE,
            }  # fmt: skip
            answer = httpx.post(f"{server.address}/v1/subscribe", json=form)
            assert (answer.status_code, answer.json()) == (202, {"status": "pending"})
            wait_for(mailbox.messages)
            assert state(workspace, "visitor-1") == "pending"
            text = last_message(mailbox)
            assert "“Novità”" in text
            (link,) = set(re.findall(rf"{server.address}/e/[a-z]/[^\s)>]+", text))
            page = httpx.get(link, follow_redirects=True)
            assert page.status_code == 200
            assert state(workspace, "visitor-1") == "pending", "a scanner that follows the link confirms nobody"
            pressed = httpx.post(page.url, headers={"Origin": server.address})
            assert pressed.status_code == 200, pressed.text
            assert state(workspace, "visitor-1") == "subscribed"
