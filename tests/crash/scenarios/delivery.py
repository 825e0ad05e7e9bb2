"""Delivery workers that are killed at any moment: no marketing twice, nothing transactional lost, doubt is shown."""

from __future__ import annotations

import random
import shutil
import time
from collections import Counter
from datetime import datetime

import msgspec

from crash.delivering_process import NOON, deliver, statuses
from crash.killing import log_of
from crash.scenario import Place, Scenario
from keepers.model.consent import Consent, address_hash
from keepers.store.database import Store
from keepers.store.events import log
from keepers.store.messages import messages
from keepers.store.messages.messages import MessageRow, key_of
from keepers.store.profiles import consents
from keepers.store.secret import workspace_secret
from processes import Working

MESSAGES = 1_600
"""of a round"""
MANY = 10
MOST_SENT_BYTES = 20_000
"""some 300 messages"""
EVERY_TRANSACTIONAL = 4


def _queue(store: Store, first: int, now: datetime) -> dict[str, bool]:
    """Messages to as many customers; key → whether it is transactional."""
    secret = workspace_secret(store)
    made: list[MessageRow] = []
    for n in range(first, first + MESSAGES):
        is_transactional = n % EVERY_TRANSACTIONAL == 0
        recipient = f"customer{n}@example.com"
        made.append(
            MessageRow(
                key_of("test", n),
                n,
                "hello",
                "email",
                "orders" if is_transactional else "news",
                recipient,
                address_hash(secret, "email", recipient),
                now,
                now,
                is_transactional=is_transactional,
            )
        )
    with store.begin() as connection:
        agreed = [Consent(m.profile_id, "email", "news", "subscribed", now, "form", holds_for="person") for m in made]
        messages.queue(connection, made)
        consents.record(connection, agreed, now, is_import=True)
    return {m.key: m.is_transactional for m in made}


class Delivery(Scenario):
    """Workers, on PostgreSQL two at a time, killed in turns at a random moment and while messages go out."""

    span_s = 0.8

    def __init__(self, place: Place, rounds: int, chance: random.Random) -> None:
        super().__init__(place, rounds, chance)
        place.folder.mkdir()
        if place.address is None:
            shutil.copytree(place.migrated, place.folder / "data")
        self._place = place.address or str(place.folder / "data")
        self._sink = place.folder / "sink"
        self._sink.touch()
        self._is_transactional: dict[str, bool] = {}
        self._started = self._kills = 0
        self._remark = ""

    def begin_round(self, number: int) -> None:
        store = Store.open(self._place)
        self._is_transactional |= _queue(store, number * MESSAGES, NOON)
        store.close()

    def start(self) -> list[Working]:
        self._started += 1
        self._before = self._sink.stat().st_size
        names = [f"worker {self._started}.{n}" for n in range(1 if self.place.address is None else 2)]
        log = log_of(self.place.folder)
        return [Working(deliver, (self._place, str(self._sink), name), log) for name in names]

    def wait(self, working: Working, span_s: float) -> None:
        self._kills += 1
        if self._kills % 2:
            super().wait(working, span_s)
            return
        # However long a worker takes to begin: until so many bytes have gone out, or it ends.
        grown = self._before + self.chance.randrange(1, MOST_SENT_BYTES)
        while self._sink.stat().st_size < grown and working.exit_code() is None:
            time.sleep(0.001)

    def end_round(self) -> None:
        assert Working(deliver, (self._place, str(self._sink), "the last"), log_of(self.place.folder)).wait(200) == 0

    def outcome(self) -> None:
        lines = [line.split() for line in self._sink.read_text().splitlines()]
        times = Counter(key for key, _ in lines)
        store = Store.open(self._place)
        with store.read() as connection:
            rows = messages.by_keys(connection, list(self._is_transactional))
            events = [row for row in log.read(connection, 0, 1_000_000) if row.event == "Email Sent"]
        marketing = [key for key, is_one in self._is_transactional.items() if not is_one]
        transactional = [key for key, is_one in self._is_transactional.items() if is_one]
        assert all(times[key] <= 1 for key in marketing)
        assert all(times[key] >= 1 for key in transactional)
        assert {rows[key].status for key in transactional} == {"sent"}
        assert {rows[key].status for key in marketing} <= {"sent", "uncertain"}
        # What is not known to have gone out is shown as such, and what is known has.
        assert all(times[key] == 1 for key in marketing if rows[key].status == "sent")
        lost = [key for key in marketing if rows[key].status == "uncertain"]
        assert all("uncertain" in listed for listed in statuses(store, [rows[key].id for key in lost]).values())
        store.close()
        message_ids: dict[str, set[str]] = {}
        for key, message_id in lines:
            message_ids.setdefault(key, set()).add(message_id)
        assert all(len(ids) == 1 for ids in message_ids.values())
        assert len(events) == sum(row.status == "sent" for row in rows.values())
        keys = Counter(msgspec.json.decode(row.body)["properties"]["message_key"] for row in events)
        assert max(keys.values()) == 1
        assert lost or self._kills < MANY, "of so many kills some fall between hand-over and outcome"
        unsent = sum(times[key] == 0 for key in lost)
        self._remark = f"{len(lost)} of {len(marketing)} marketing messages uncertain, {unsent} had not gone out"

    def remark(self) -> str:
        return self._remark


SCENARIO = Delivery
