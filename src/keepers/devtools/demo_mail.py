"""The demo's e-mail: a stable tenth of CDNOW's customers gets messages at made-up addresses, in a local mailbox."""

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

from keepers.app.workspace.sending import Sending
from keepers.app.workspace.workspace import Workspace
from keepers.delivery.worker import Deliverer
from keepers.devtools.demo_mailbox import DemoMailbox
from keepers.ingest.identify import identify
from keepers.model.consent import ALL_TOPICS, Consent
from keepers.model.moments import format_instant
from keepers.store.events import inbox
from keepers.store.events.inbox import Accepted
from keepers.store.messages import coupons
from keepers.store.profiles import consents, identities

JOURNEYS = ("welcome", "second-purchase", "win-back")
AGREED = 85
"""percent of these who agreed to be written to"""
SOURCE = "demo: made up"
WORDING = "Made up for the demo: CDNOW's history knows neither addresses nor consent."
DOMAIN = "customers.example"
CODES = 2000
SENT_AT = 10
ARRIVES = timedelta(hours=9)
MAILBOX = "mailbox"
_LOCALES = ("en", "ru", "pl", "zh", "it")
"""the languages of the made-up customers"""
_IF = re.compile(r"(?m)^(    if: )(.+)$")
ABOUT = """
[bold]E-mails[/]: {share} % of the customers ({customers:,}, always the same) get messages while the weeks go by, by
three journeys: welcome, second purchase, win-back. Their addresses and consent are [bold]made up[/], and labelled so;
the e-mails go to a mailbox on this machine and to nobody else."""
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


def is_sampled(customer: str, share: int) -> bool:
    """Whether a customer is of so many percent: always the same ones, and of a larger share too."""
    return _percent("sample", customer) < share


def is_played(customer: str, share: int) -> bool:
    """Whether a customer is of so many percent whose history is played: always the same ones."""
    return _percent("played", customer) < share


def purchases(path: Path) -> deque[Purchase]:
    """The sample's purchases by day, from the file the demo wrote."""
    with path.open(newline="", encoding="utf-8") as lines:
        rows = [
            Purchase(row["customer"], datetime.fromisoformat(row["date"]), int(row["cds"]), float(row["total"]))
            for row in csv.DictReader(lines)
        ]
    return deque(sorted(rows, key=lambda row: (row.day, row.customer)))


class Post:
    """The sample's customers (`timelapse.Mail`): their purchases are replayed, and their e-mails go to the mailbox."""

    def __init__(self, workspace: Workspace, mailbox: DemoMailbox, history: deque[Purchase], first: datetime) -> None:
        self._workspace = workspace
        self._history = history
        self._known: set[str] = set()
        self._now = first
        self.mailbox = mailbox
        self.sending = Sending(workspace, lambda: self._now)
        self._deliverer: Deliverer | None = None
        with workspace.store.begin() as connection:
            coupons.put(connection, "gift", [f"DEMO-{n:04d}" for n in range(1, CODES + 1)], first)

    def arrive(self, after: datetime, until: datetime) -> None:
        """Puts what customers did up to a moment into the inbox, day by day; new customers give consent."""
        while self._history and self._history[0].day <= until:
            day = self._history[0].day
            calls: list[dict[str, Any]] = []
            new: list[str] = []
            while self._history and self._history[0].day == day:
                self._handle_purchase(self._history.popleft(), calls, new)
            # In the morning of the day; events of the last moment are received at it.
            at = min(day + ARRIVES, until)
            with self._workspace.store.begin_inbox() as connection:
                body = msgspec.json.encode({"batch": calls})
                inbox.append(connection, [Accepted(at, "demo", "server", "/v1/batch", body)])
            identify(self._workspace.store, at)
            self._agree(new, at)

    def deliver(self, after: datetime, until: datetime) -> None:
        """Delivers what is due, every day at the same hour."""
        self.sending.refresh()
        if self._deliverer is None:
            self._deliverer = self.sending.deliverer("demo")
        at = after.replace(hour=SENT_AT, minute=0)
        while at <= until:
            if at > after:
                self._now = at
                self._deliverer.run_once(at)
            at += timedelta(days=1)
        self.sending.collect_feedback(until)

    def _handle_purchase(self, bought: Purchase, calls: list[dict[str, Any]], new: list[str]) -> None:
        who = bought.customer
        if who not in self._known:
            self._known.add(who)
            new.append(who)
            calls.append({"type": "identify", "userId": who, "traits": traits_of(who)})
        calls.append(
            {
                "type": "track",
                "event": "Order Completed",
                "userId": who,
                "messageId": f"{who}-{bought.day.date()}-{len(calls)}",
                "timestamp": format_instant(bought.day),
                "properties": {"total": bought.total, "cds": bought.cds},
            }
        )

    def _agree(self, customers: Sequence[str], at: datetime) -> None:
        """Made-up consent of new customers: most agree to be written to."""
        agreeing = [name for name in customers if _percent("consent", name) < AGREED]
        with self._workspace.store.begin() as connection:
            owners = identities.find_many(connection, [("user_id", name) for name in agreeing])
            statements = [
                Consent(profile_id, "email", ALL_TOPICS, "subscribed", at, SOURCE, wording=WORDING, holds_for="person")
                for profile_id in owners.values()
            ]
            consents.record(connection, statements, at)

    def close(self) -> None:
        if self._deliverer is not None:
            self._deliverer.close()


def traits_of(customer: str) -> dict[str, Any]:
    """Made-up traits, labelled so. One in a hundred addresses does not work, to show bounces."""
    local = f"customer{customer}"
    bad = "+unknown" if _percent("address", customer) < 1 else ""
    return {
        "email": f"{local}{bad}@{DOMAIN}",
        "locale": _LOCALES[_percent("locale", customer) % len(_LOCALES)],
        "made_up": True,
    }


def for_the_sample(text: str) -> str:
    """A starter journey's file, for customers with made-up addresses alone."""
    return _IF.sub(r"\1{all: [{trait: made_up, eq: true}, \2]}  # the demo knows no other addresses", text)


def _percent(salt: str, customer: str) -> int:
    digest = hashlib.md5(f"{salt}:{customer}".encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[:4], "big") % 100
