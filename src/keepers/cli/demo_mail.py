"""The demo's mail: a stable tenth of CDNOW's customers is written to, at made-up addresses, into a mailbox here."""

from __future__ import annotations

import csv
import hashlib
import re
from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from keepers.channels.mailbox import Mailbox
from keepers.model.consent import ALL_TOPICS, Consent
from keepers.model.definitions import LOCALES
from keepers.model.moments import format_instant
from keepers.pipeline.deliver import Delivered, Deliverer
from keepers.running.sending import Sending
from keepers.store import consents, coupons, identities, inbox
from keepers.store.database import Store
from keepers.store.inbox import Accepted
from keepers.wire import Workspace

JOURNEYS = ("welcome", "second-purchase", "win-back")
SHARE = 10
"""percent of the customers"""
AGREED = 85
"""percent of these who agreed to be written to"""
SOURCE = "demo: made up"
WORDING = "Made up for the demo: CDNOW's history knows neither addresses nor consent."
DOMAIN = "customers.example"
CODES = 2000
MAILBOX = "mailbox"
_IF = re.compile(r"(?m)^(    if: )(.+)$")
ABOUT = """
[bold]Letters[/]: a tenth of the customers ({customers:,}, always the same) are written to while the weeks go by, by
three journeys: welcome, second purchase, win-back. Their addresses and consent are [bold]made up[/], and labelled so;
the letters go to a mailbox on this machine and to nobody else."""
SETTINGS = """
[company]
name = "CDNOW demo shop"
address = "1 Example Street, Demo City"
url = "https://shop.example"

[channels.email]
host = "127.0.0.1"
port = {port}
tls = "none"
sender = "CDNOW demo shop <hello@shop.example>"
"""


class Purchase(Struct, frozen=True):
    customer: str
    day: datetime
    cds: int
    total: float


def is_sampled(customer: str) -> bool:
    """Whether a customer is of the tenth: always the same ones."""
    return _percent("sample", customer) < SHARE


def purchases(path: Path) -> deque[Purchase]:
    """The sample's purchases by day, from the file the demo wrote."""
    with path.open(newline="", encoding="utf-8") as lines:
        rows = [
            Purchase(row["customer"], datetime.fromisoformat(row["date"]), int(row["cds"]), float(row["total"]))
            for row in csv.DictReader(lines)
        ]
    return deque(sorted(rows, key=lambda row: (row.day, row.customer)))


class Post:
    """Plays the sample's days: purchases come in as they would have, letters go out to the mailbox."""

    def __init__(self, workspace: Workspace, mailbox: Mailbox, history: deque[Purchase], first: datetime) -> None:
        self._workspace = workspace
        self._history = history
        self._known: set[str] = set()
        self._now = first
        self.mailbox = mailbox
        self.sending = Sending(workspace, lambda: self._now)
        self._deliverer: Deliverer | None = None
        self.total = Delivered()
        with workspace.store.begin() as connection:
            coupons.put(connection, "gift", [f"DEMO-{n:04d}" for n in range(1, CODES + 1)], first)

    @property
    def store(self) -> Store:
        return self._workspace.store

    def arrive(self, at: datetime) -> list[str]:
        """What customers did up to a moment, into the inbox; the customers who are new."""
        calls: list[dict[str, Any]] = []
        new: list[str] = []
        while self._history and self._history[0].day <= at:
            bought = self._history.popleft()
            if bought.customer not in self._known:
                self._known.add(bought.customer)
                new.append(bought.customer)
                calls.append({"type": "identify", "userId": bought.customer, "traits": traits_of(bought.customer)})
            calls.append(
                {
                    "type": "track",
                    "event": "Order Completed",
                    "userId": bought.customer,
                    "messageId": f"{bought.customer}-{bought.day.date()}-{len(calls)}",
                    "timestamp": format_instant(bought.day),
                    "properties": {"total": bought.total, "cds": bought.cds},
                }
            )
        if calls:
            body = msgspec.json.encode({"batch": calls})
            with self._workspace.store.begin_inbox() as connection:
                inbox.append(connection, [Accepted(at, "demo", True, "/v1/batch", body)])
        return new

    def agree(self, customers: Sequence[str], at: datetime) -> None:
        """Made-up consent of new customers: most agree to be written to."""
        agreeing = [name for name in customers if _percent("consent", name) < AGREED]
        with self._workspace.store.begin() as connection:
            owners = identities.find_many(connection, [("user_id", name) for name in agreeing])
            said = [
                Consent(profile_id, "email", ALL_TOPICS, "subscribed", at, SOURCE, WORDING)
                for profile_id in owners.values()
            ]
            consents.record(connection, said, at, is_import=True)

    def deliver(self, at: datetime) -> Delivered:
        """What is due goes out."""
        self._now = at
        self.sending.refresh()
        if self._deliverer is None:
            self._deliverer = self.sending.deliverer("demo")
        done = self._deliverer.run_once(at)
        self.sending.take_news(at + timedelta(minutes=1))
        return done

    def close(self) -> None:
        if self._deliverer is not None:
            self._deliverer.close()
        self.mailbox.stop()


def traits_of(customer: str) -> dict[str, Any]:
    """Made up, and labelled so. One in a hundred addresses does not work, to show what becomes of that."""
    local = f"customer{customer}"
    bad = "+unknown" if _percent("address", customer) < 1 else ""
    return {
        "email": f"{local}{bad}@{DOMAIN}",
        "locale": LOCALES[_percent("locale", customer) % len(LOCALES)],
        "made_up": True,
    }


def for_the_sample(text: str) -> str:
    """A starter journey's file, for customers with made-up addresses alone."""
    return _IF.sub(r"\1{all: [{trait: made_up, eq: true}, \2]}  # the demo has addresses of a tenth alone", text)


def start_mailbox(workspace: Workspace) -> Mailbox:
    """The mailbox the demo's workspace sends to, on any free ports."""
    box = Mailbox(workspace.folder / MAILBOX, smtp_port=0, http_port=0, now=lambda: datetime(2000, 1, 1))
    box.start()
    return box


def _percent(salt: str, customer: str) -> int:
    digest = hashlib.md5(f"{salt}:{customer}".encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[:4], "big") % 100
