"""A delivery worker as a process that can be killed; its channel notes each message in a file as it goes out."""

from __future__ import annotations

import asyncio
import os
from datetime import datetime, timedelta

from keepers.contact.rules import ContactRules
from keepers.delivery.worker import Deliverer, one_by_one
from keepers.model.consent import Topic
from keepers.model.message import Content, Outcome, Outgoing
from keepers.store.database import Store
from keepers.store.messages import message_history, workers
from keepers.store.messages.contact_history import StoredEligibility
from keepers.store.messages.messages import MessageRow
from keepers.store.secret import workspace_secret

NOON = datetime(2026, 3, 2, 12)
TOPICS = {"news": Topic("news"), "orders": Topic("orders", kind="transactional", basis="contract")}
MOST_ROUNDS = 200


class Sink:
    """What reaches it has gone out, whatever becomes of the process: one write per message, appended whole."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = -1

    async def open(self) -> None:
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def send(self, message: Outgoing) -> Outcome:
        await asyncio.sleep(0)
        os.write(self._file, f"{message.key} {message.message_id}\n".encode())
        await asyncio.sleep(0)
        return Outcome("sent", provider_id=message.key)

    async def close(self) -> None:
        os.close(self._file)


def _render(row: MessageRow) -> Outgoing:
    # Made anew at every attempt, so that only what was kept can be the same.
    message_id = f"<{row.key}.{row.attempts}@shop.example>"
    content = Content("Hello", "<p>Hello</p>", "Hello", locale="en")
    return Outgoing(row.id, row.key, row.channel, row.recipient, row.profile_id, content, message_id, row.topic)


def deliver(place: str, sink: str, worker_id: str) -> None:
    """Works, a minute further each time, until nothing is left to send nor in a dead worker's hands."""
    store = Store.open(place)
    eligibility = StoredEligibility(ContactRules(), TOPICS, workspace_secret(store))
    with Deliverer(store, eligibility, one_by_one(_render), {"email": Sink(sink)}, {}, None, worker_id) as worker:
        for n in range(MOST_ROUNDS):
            done = worker.run_once(NOON + timedelta(minutes=n), limit=500)
            if not done.did_something and not _orphans(store, worker_id):
                break
    store.close()


def _orphans(store: Store, worker_id: str) -> list[str]:
    with store.begin() as connection:
        return workers.dead(connection, worker_id)


def statuses(store: Store, ids: list[int]) -> dict[int, list[str]]:
    """The history of messages as statuses."""
    with store.read() as connection:
        found = message_history.of_messages(connection, ids)
    return {message_id: [row.status for row in listed] for message_id, listed in found.items()}
