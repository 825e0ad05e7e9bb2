"""Playbooks of stories, with what every one would repeat filled in: `mails: {ID: TOPIC or {…}}` for plain e-mails."""

from __future__ import annotations

import json
from typing import Any

from stories.answering import Answers

HOOK = "http://hook/"
"""in a story's playbook: the server that answers its webhooks"""
_TEXT = "<mj-text>Hello <a href='{{ links.unsubscribe }}'>stop</a></mj-text>"
_BODY = f"<mj-section><mj-column>{_TEXT}</mj-column></mj-section>"


def completed(playbook: dict[str, Any] | None, answers: Answers | None = None) -> dict[str, Any] | None:
    """The playbook as it is written to a file. A mail's subject is its id unless told."""
    if playbook is None:
        return None
    written = {name: section for name, section in playbook.items() if name != "mails"}
    mails = playbook.get("mails", {})
    if mails:
        written["messages"] = [
            *written.get("messages", ()),
            *(_mail(name, fields_of) for name, fields_of in mails.items()),
        ]
    if answers is None:
        return written
    found: dict[str, Any] = json.loads(json.dumps(written, default=str).replace(HOOK, answers.url))
    return found


def _mail(name: str, fields_of: str | dict[str, Any]) -> dict[str, Any]:
    fields = {"topic": fields_of} if isinstance(fields_of, str) else dict(fields_of)
    subject = fields.pop("subject", name)
    return {
        "id": name,
        "channel": "email",
        "expires": "30d",
        "content": {"en": {"subject": subject, "body": _BODY}},
        **fields,
    }
