"""Delivery workers that are killed at any moment: no marketing twice, nothing transactional lost, doubt is shown."""

from __future__ import annotations

import random
import time
from collections import Counter
from datetime import datetime
from pathlib import Path

import msgspec
import pytest

from conftest import ENGINES
from crash.delivering_process import NOON, deliver, statuses
from keepers.model.consent import Consent, address_hash
from keepers.store.database import Store
from keepers.store.events import log
from keepers.store.messages import messages
from keepers.store.messages.messages import MessageRow, key_of
from keepers.store.profiles import consents
from keepers.store.secret import workspace_secret
from processes import Working

MESSAGES = 6_000
KILLS = 8
LONGEST_S = 0.8
MOST_SENT_BYTES = 20_000
"""some 300 messages"""
EVERY_TRANSACTIONAL = 4


def _queue(store: Store, now: datetime) -> dict[str, bool]:
    """Messages to as many customers; key → whether it is transactional."""
    secret = workspace_secret(store)
    made: list[MessageRow] = []
    for n in range(MESSAGES):
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


def _kill_again_and_again(store: Store, address: str, sink: Path, chance: random.Random) -> int:
    """Workers (on PostgreSQL two at a time) killed in turns at a random moment and while messages go out; then one
    that ends by itself."""
    died = 0
    at_once = 1 if store.is_sqlite else 2
    for n in range(KILLS // at_once):
        before = sink.stat().st_size
        crew = [
            Working(deliver, (address, str(sink), f"worker {n}.{k}"), sink.with_suffix(".log")) for k in range(at_once)
        ]
        if n % 2:
            _wait_for_growth(sink, before, chance.randrange(1, MOST_SENT_BYTES), crew[0])
        for working in crew:
            if not n % 2:
                time.sleep(chance.random() * LONGEST_S / at_once)
            died += working.kill()
    Working(deliver, (address, str(sink), "the last"), sink.with_suffix(".log")).wait(200)
    return died


def _wait_for_growth(sink: Path, before: int, grown: int, working: Working) -> None:
    """Waits until so many bytes have gone out, however long the worker takes to begin; or until it ends."""
    while sink.stat().st_size < before + grown and working.exit_code() is None:
        time.sleep(0.001)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_workers_killed_at_random_moments_send_no_marketing_twice_and_lose_nothing_else(
    engine: str, new_store, tmp_path: Path
) -> None:
    store: Store = new_store(engine)
    address = store.place if store.is_sqlite else store.engine.url.set(drivername="postgresql").render_as_string(False)
    is_transactional = _queue(store, NOON)
    sink = tmp_path / "sink"
    sink.touch()
    died = _kill_again_and_again(store, address, sink, random.Random(f"deliver {engine}"))
    lines = [line.split() for line in sink.read_text().splitlines()]
    times = Counter(key for key, _ in lines)
    with store.read() as connection:
        rows = messages.by_keys(connection, list(is_transactional))
        events = [row for row in log.read(connection, 0, 100_000) if row.event == "Email Sent"]
    marketing = [key for key, is_one in is_transactional.items() if not is_one]
    transactional = [key for key, is_one in is_transactional.items() if is_one]
    assert all(times[key] <= 1 for key in marketing)
    assert all(times[key] >= 1 for key in transactional)
    assert {rows[key].status for key in transactional} == {"sent"}
    assert {rows[key].status for key in marketing} <= {"sent", "uncertain"}
    # What is not known to have gone out is shown as such, and what is known has.
    assert all(times[key] == 1 for key in marketing if rows[key].status == "sent")
    lost = [rows[key].id for key in marketing if rows[key].status == "uncertain"]
    assert all("uncertain" in listed for listed in statuses(store, lost).values())
    message_ids: dict[str, set[str]] = {}
    for key, message_id in lines:
        message_ids.setdefault(key, set()).add(message_id)
    assert all(len(ids) == 1 for ids in message_ids.values())
    assert len(events) == sum(row.status == "sent" for row in rows.values())
    keys = Counter(msgspec.json.decode(row.body)["properties"]["message_key"] for row in events)
    assert max(keys.values()) == 1
    assert died >= KILLS // 3, "kills must fall into the work"
    assert lost, "of so many kills some fall between hand-over and outcome"
