"""A workspace's delivery for tests: messages made in a line, and a channel that answers as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import msgspec

from keepers.contact.eligibility import Contact
from keepers.contact.rules import ContactRules, parse_contact
from keepers.delivery.worker import Deliverer, Options, one_by_one
from keepers.model.consent import Consent, Topic
from keepers.model.message import Content, Outcome, Outgoing
from keepers.store.database import Store
from keepers.store.events import log
from keepers.store.messages import message_history, messages
from keepers.store.messages.contact_history import StoredEligibility
from keepers.store.messages.messages import MessageRow, key_of
from keepers.store.profiles import consents
from keepers.store.secret import workspace_secret

NOW = datetime(2026, 3, 2, 12)
"""a Monday at noon: quiet nowhere in Europe"""
TOPICS = {
    "news": Topic("news"),
    "orders": Topic("orders", kind="transactional", basis="contract"),
    "hints": Topic("hints", basis="legitimate_interest"),
}
LOOSE: dict[str, Any] = {"caps": {"email": {}, "sms": {}, "push": {}, "all": {}}}
"""contact rules without caps"""


class Wire:
    """A channel: keeps what it is given, and answers by `answer`."""

    def __init__(self, answer: Callable[[Outgoing], Outcome] = lambda _: Outcome("sent", provider_id="p")) -> None:
        self.sent: list[Outgoing] = []
        self.answer = answer
        self.is_open = False
        self.at_once = self.most_at_once = 0

    async def open(self) -> None:
        self.is_open = True

    async def send(self, message: Outgoing) -> Outcome:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        self.sent.append(message)
        return self.answer(message)

    async def close(self) -> None:
        self.is_open = False

    @property
    def keys(self) -> list[str]:
        return [outgoing.key for outgoing in self.sent]


def render(row: MessageRow) -> Outgoing:
    content = Content(
        f"To {row.profile_id}", "<p>Hello</p>", str(row.data.get("offer", {}).get("code", "")), locale="en"
    )
    return Outgoing(
        row.id, row.key, row.channel, row.recipient, row.profile_id, content, f"<{row.key}@shop.example>", row.topic,
        row.is_transactional,
    )  # fmt: skip


class Post:
    """One workspace: its rules, and what came of its messages."""

    def __init__(self, store: Store, rules: Mapping[str, Any] | None = None, contact: Contact | None = None) -> None:
        self.store = store
        self.rules: ContactRules = parse_contact(dict(rules) if rules is not None else None)
        self.secret = workspace_secret(store)
        people = None if contact is None else lambda ids: dict.fromkeys(ids, contact)
        self.eligibility = StoredEligibility(self.rules, TOPICS, self.secret, people)

    def message(self, profile_id: int, name: str = "m", **changes: Any) -> MessageRow:
        """A message due at noon to an address of the profile's own; `key` is made of name and profile."""
        channel = changes.get("channel", "email")
        recipient = changes.pop("recipient", f"p{profile_id}@example.com")
        made = MessageRow(
            f"{name}{profile_id}", profile_id, name, channel, "news", recipient,
            self.eligibility.hash(channel, recipient), NOW, NOW,
        )  # fmt: skip
        return msgspec.structs.replace(made, **changes)

    def queue(self, *new: MessageRow, consenting: bool = True) -> list[int]:
        """Queues messages; their customers agree first, unless they should not."""
        with self.store.begin() as connection:
            ids = messages.queue(connection, new)
            if consenting:
                agreed = [
                    Consent(m.profile_id, m.channel, m.topic, "subscribed", NOW, "form", holds_for="person")
                    for m in new
                ]
                consents.record(connection, agreed, NOW, is_import=True)
        return [ids[m.key] for m in new if m.key in ids]

    @contextmanager
    def worker(self, *wires: tuple[str, Wire], name: str = "w", **options: Any) -> Iterator[Deliverer]:
        rates, clock = options.pop("rates", {}), options.pop("clock", None)
        renderer = options.pop("render", one_by_one(render))
        with Deliverer(
            self.store, self.eligibility, renderer, dict(wires), rates, clock, name, Options(**options)
        ) as deliverer:
            yield deliverer

    def deliver(self, wire: Wire, at: datetime = NOW, **options: Any) -> Any:
        """One call of a worker for e-mail."""
        with self.worker(("email", wire), **options) as worker:
            return worker.run_once(at)

    def retry(self, ids: Sequence[int], at: datetime = NOW) -> int:
        with self.store.begin() as connection:
            return messages.retry(connection, ids, at)

    def at(self, message_id: int) -> MessageRow:
        with self.store.read() as connection:
            return messages.get(connection, message_id)

    def statuses(self, ids: Sequence[int]) -> list[str]:
        return [f"{m.status}({m.reason})" if m.reason else m.status for m in map(self.at, ids)]

    def history(self, message_id: int) -> list[str]:
        with self.store.read() as connection:
            return [row.status for row in message_history.of_messages(connection, [message_id]).get(message_id, [])]

    def events(self) -> list[tuple[str, dict[str, Any]]]:
        """What the log says beside traits, as (event, properties)."""
        with self.store.read() as connection:
            rows = log.read(connection, 0, 100_000)
        return [(r.event, msgspec.json.decode(r.body)["properties"]) for r in rows if r.kind == "track"]


def hours(number: float) -> timedelta:
    return timedelta(hours=number)


def key(*parts: Any) -> str:
    return key_of(*parts)
