"""A mail server over loopback: the mailbox that comes with Keepers, in its moods."""

from __future__ import annotations

import socket
from datetime import datetime
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import msgspec

from channel_trials import ChannelTrial, Mood
from keepers.devtools.mailbox import Mailbox, MailboxReply
from keepers.model.message import Outgoing

_ANSWERS = {
    "accepts": None,
    "busy": MailboxReply("450 4.3.2 Come again later"),
    "refuses": MailboxReply("550 5.1.1 User unknown"),
    "silent": MailboxReply(wait=60),
}


class Trial(ChannelTrial):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.mailbox: Mailbox | None = None

    def start(self, mood: Mood) -> dict[str, Any]:
        if mood == "absent":
            with socket.socket() as closed:
                closed.bind(("127.0.0.1", 0))
                port = closed.getsockname()[1]
        else:
            answer = _ANSWERS[mood]
            self.mailbox = Mailbox(
                self.folder / "mailbox",
                smtp_port=0,
                http_port=None,
                now=lambda: datetime(2026, 6, 1),
                behave=lambda stage, recipient: answer if stage == "recipient" else None,
            )
            self.mailbox.start()
            port = self.mailbox.smtp_port
        timeout = 0.3 if mood == "silent" else 10
        return {"port": port, "tls": "none", "sender": "Shop <hello@shop.example>", "timeout": timeout}

    def received(self) -> list[str]:
        if self.mailbox is None:
            return []
        texts = []
        for mail in reversed(self.mailbox.messages()):
            part = message_from_bytes(self.mailbox.raw(mail.id), policy=policy.default).get_body(("plain",))
            texts.append(str(part.get_content()) if part else "")
        return texts

    def stop(self) -> None:
        if self.mailbox:
            self.mailbox.stop()

    def message(self, number: int = 1) -> Outgoing:
        return msgspec.structs.replace(super().message(number), channel="email", recipient=f"anna{number}@example.com")
