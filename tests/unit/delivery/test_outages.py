"""A store that goes away while messages are on their way: the worker outlives it, and what was not sent is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from keepers.app.workspace.gate import Gate
from keepers.delivery.claim import one_by_one
from keepers.delivery.worker import Deliverer
from keepers.model.message import Outcome, Outgoing
from keepers.server.delivery_loop import DeliveryLoop
from keepers.store.database import Store
from keepers.store.messages import claims, workers
from unit.delivery.posting import LOOSE, NOW, Post, Wire, hours, render

PATIENCE_S = 20.0


class Outage:
    """A store that answers nobody while `is_on`; that ends by itself after `most` refusals, which sets `is_over`."""

    def __init__(self, store: Store, patch: pytest.MonkeyPatch, most: int = 1_000_000) -> None:
        self.is_on = False
        self.refused = 0
        self.most = most
        self.is_over = Event()
        for name in ("begin", "read"):
            patch.setattr(store, name, self._guarded(getattr(store, name)))

    def _guarded(self, connect: Callable[[], Any]) -> Callable[[], Any]:
        @contextmanager
        def guarded() -> Iterator[Connection]:
            if self.is_on:
                self.refused += 1
                if self.refused >= self.most:
                    self.is_on = False
                    self.is_over.set()
                raise OperationalError("SELECT 1", {}, OSError("the server closed the connection"))
            with connect() as connection:
                yield connection

        return guarded


def _loop(post: Post, wire: Wire) -> DeliveryLoop:
    def made(worker_id: str, _clock: object) -> Deliverer:
        return Deliverer(post.store, post.eligibility, one_by_one(render), {"email": wire}, {}, None, worker_id)

    sending = SimpleNamespace(refresh=lambda: None, deliverer=made)
    workspace: Any = SimpleNamespace(
        clock=lambda: NOW, believed_now=lambda: NOW, warehouse_gate=Gate(), sending=sending
    )
    return DeliveryLoop(workspace, CollectorRegistry(), every_s=0.001, longest_pause_s=0.01)


def test_a_worker_closes_whether_or_not_its_store_answers(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    post, wire, outage = Post(store), Wire(), Outage(store, monkeypatch)
    with post.worker(("email", wire)) as worker:
        (first,) = post.queue(post.message(1))
        worker.run_once(NOW)
        outage.is_on = True
        worker.close()
        assert not wire.is_open
        outage.is_on = False
    # Its lock is free: the next of that name is not refused.
    (second,) = post.queue(post.message(2))
    post.deliver(wire)
    assert post.statuses([first, second]) == ["sent", "sent"]


def test_the_loop_outlives_an_outage_and_goes_on(sqlite_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    post, outage = Post(sqlite_store, LOOSE), Outage(sqlite_store, monkeypatch, most=4)
    all_sent, known = Event(), set[str]()

    def answer(outgoing: Outgoing) -> Outcome:
        known.add(outgoing.key)
        if len(known) == 40:
            all_sent.set()
        return Outcome("sent")

    wire = Wire(answer)
    ids = post.queue(*(post.message(n) for n in range(20)))
    loop = _loop(post, wire)
    outage.is_on = True
    loop.start()
    assert outage.is_over.wait(PATIENCE_S)
    ids += post.queue(*(post.message(n) for n in range(20, 40)))
    assert all_sent.wait(PATIENCE_S)
    loop.stop()
    assert set(post.statuses(ids)) == {"sent"}
    assert len(wire.sent) == 40
    assert loop.trouble == ""


def test_the_loop_ends_though_nothing_can_be_closed(sqlite_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    post, wire = Post(sqlite_store), Wire()
    loop = _loop(post, wire)
    sent, tried = Event(), Event()
    wire.answer = lambda _: sent.set() or Outcome("sent")
    post.queue(post.message(1))

    def close(_: Deliverer) -> None:
        tried.set()
        raise RuntimeError("a bug")

    monkeypatch.setattr(Deliverer, "close", close)
    loop.start()
    assert sent.wait(PATIENCE_S)
    loop.stop()
    assert tried.is_set()
    assert "delivery" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("is_closed", [False, True])
def test_what_was_not_sent_when_outcomes_could_not_be_recorded_waits_again(
    store: Store, monkeypatch: pytest.MonkeyPatch, is_closed: bool
) -> None:
    post, outage, is_over = Post(store, LOOSE), Outage(store, monkeypatch), Event()

    def answer(_: Outgoing) -> Outcome:
        outage.is_on = not is_over.is_set()
        return Outcome("sent")

    first, second = Wire(answer), Wire()
    ids = post.queue(*(post.message(n) for n in range(300)))
    with post.worker(("email", first), concurrency=1) as worker:
        with pytest.raises(OperationalError):
            worker.run_once(NOW)
        with pytest.raises(OperationalError):
            worker.run_once(NOW)
        is_over.set()
        outage.is_on = False
        if not is_closed:
            worker.run_once(NOW + hours(1))
    post.deliver(second, NOW + hours(2))
    assert set(post.statuses(ids)) == {"sent"}
    assert len(first.sent) + len(second.sent) == 300
    assert {post.at(message_id).attempts for message_id in ids} == {1}


def test_only_what_is_still_the_worker_s_is_put_back(store: Store) -> None:
    post = Post(store)
    ids = post.queue(
        post.message(1, status="handed_over", claimed_by="w", attempts=1),
        post.message(2, status="handed_over", claimed_by="another", attempts=1),
        post.message(3, status="uncertain", reason="worker_died"),
    )
    with store.begin() as connection:
        freed = claims.requeue(connection, "w", ids, NOW)
    assert post.statuses(ids) == ["queued", "handed_over", "uncertain(worker_died)"]
    assert freed == [("email", False, None)]


def test_a_stop_waits_for_so_long_and_no_longer(sqlite_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = _loop(Post(sqlite_store), Wire())
    is_stuck, is_free = Event(), Event()

    def hang(*_: object) -> None:
        is_stuck.set()
        assert is_free.wait(PATIENCE_S)
        raise RuntimeError("freed")

    monkeypatch.setattr(Deliverer, "run_once", hang)
    loop.start()
    assert is_stuck.wait(PATIENCE_S)
    loop.stop(patience_s=0.01)
    assert loop.is_alive
    is_free.set()
    loop.stop()
    assert not loop.is_alive


def test_a_lock_that_was_lost_with_its_session_is_taken_anew(new_store: Callable[[str], Store]) -> None:
    post, wire = Post(new_store("postgres"), LOOSE), Wire()

    def is_dead() -> bool:
        with post.store.begin() as connection:
            return workers.dead(connection, "another") == ["w"]

    with post.worker(("email", wire)) as worker:
        ids = post.queue(post.message(1))
        worker.run_once(NOW)
        with post.store.begin() as connection:
            # The same name as of every lock's session: see store/lock.py.
            ended = text(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name LIKE :name"
            )
            assert connection.execute(ended, {"name": "delivery worker w %"}).scalars().all() == [True]
        ids += post.queue(post.message(2, status="claimed", claimed_by="w", counted_at=NOW))
        assert is_dead()
        worker.run_once(NOW + hours(1))
        assert post.statuses(ids) == ["sent", "sent"]
        ids += post.queue(post.message(3, status="claimed", claimed_by="w", counted_at=NOW))
        assert not is_dead()
    assert is_dead()
