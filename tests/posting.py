"""A message, a mailbox it goes to, and the channel between: for the tests of e-mail."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Any

from keepers.channels.email.channel import EmailChannel, EmailSettings
from keepers.channels.email.verp import Verp
from keepers.devtools.mailbox import Mailbox
from keepers.model.message import Content, Outcome, Outgoing

NOW = datetime(2026, 6, 1, 12)
SECRET = b"s" * 32
VERP = Verp(SECRET, "bounce.shop.example")
KEY = "0f" * 16
CONTENT = Content(subject="Добро пожаловать", html="<p>Привет, Анна</p>", text="Привет, Анна")


def message(number: int = 1, **changes: Any) -> Outgoing:
    """A marketing message for anna@example.com."""
    fields: dict[str, Any] = {
        "id": number,
        "key": f"{number:032x}",
        "channel": "email",
        "recipient": "anna@example.com",
        "profile_id": 1,
        "content": CONTENT,
        "topic": "newsletter",
        "campaign": "welcome",
        "unsubscribe_url": "https://shop.example/u/opaque-part",
    }
    return Outgoing(**(fields | changes))


def dsn(
    status: str = "5.1.1", action: str = "failed", diagnostic: str = "smtp; 550 5.1.1 User unknown", to: str = ""
) -> bytes:
    """A notification as RFC 3464 section 6 shows them."""
    return f"""\
From: Mail Delivery System <MAILER-DAEMON@mx.example>
To: {to or VERP.return_path(VERP.token(KEY))}
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

I'm sorry to have to inform you that your message could not be delivered.

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example

Original-Recipient: rfc822;anna@example.com
Final-Recipient: rfc822; anna@forwarded.example
Action: {action}
Status: {status}
Diagnostic-Code: {diagnostic}

--b
Content-Type: text/rfc822-headers

From: Shop <hello@shop.example>
Message-ID: <1234@shop.example>
X-Keepers-Message: {VERP.token(KEY)}

--b--
""".replace("\n", "\r\n").encode()


class Post:
    """A running mailbox and channels that lead to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mailboxes: list[Mailbox] = []

    def mailbox(self, **options: Any) -> Mailbox:
        options = {"smtp_port": 0, "http_port": None, "now": lambda: NOW} | options
        made = Mailbox(self.folder / f"mailbox{len(self.mailboxes)}", **options)
        made.start()
        self.mailboxes.append(made)
        return made

    def settings(self, mailbox: Mailbox, **changes: Any) -> EmailSettings:
        fields = {"port": mailbox.smtp_port, "tls": "none", "sender": "Shop <hello@shop.example>", "timeout": 10.0}
        return EmailSettings(**(fields | changes))

    def send(self, settings: EmailSettings, *messages: Outgoing) -> list[Outcome]:
        """Sends one after the other over one opened channel."""

        async def run() -> list[Outcome]:
            channel = EmailChannel(settings, lambda: NOW, SECRET)
            await channel.open()
            try:
                async with asyncio.timeout(30):
                    return [await channel.send(one) for one in messages]
            finally:
                await channel.close()

        return asyncio.run(run())
