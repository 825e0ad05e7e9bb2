"""Dead letters queued again by hand while others do the same, or send: one message is never sent twice by it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import timedelta
from time import monotonic

from sqlalchemy import text

from keepers.store.database import Store
from keepers.store.messages import messages
from unit.delivery.posting import NOW, Post, Wire

PATIENCE_S = 20.0
MINUTE = timedelta(minutes=1)


def until_somebody_waits(store: Store, retrying: Future[int]) -> None:
    """Returns when a session of the database waits for a lock; or, where the store has one writer, at once."""
    if store.is_sqlite:
        return
    query = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    deadline = monotonic() + PATIENCE_S
    while not retrying.done():
        assert monotonic() < deadline, "nobody waits"
        with store.read() as connection:
            if connection.execute(query).scalar_one():
                return
        wait([retrying], 0.05)


def test_of_two_who_try_a_dead_letter_again_at_once_one_queues_it(store: Store) -> None:
    post = Post(store)
    ids = post.queue(post.message(1, status="failed"))
    with ThreadPoolExecutor(1) as other:
        with store.begin() as connection:
            assert messages.retry(connection, ids, NOW) == 1
            second = other.submit(post.retry, ids)
            until_somebody_waits(store, second)
        assert second.result(PATIENCE_S) == 0
    assert post.history(ids[0]) == ["queued"]


def test_what_was_tried_again_and_has_gone_out_meanwhile_is_not_queued_anew(
    new_store: Callable[[str], Store],
) -> None:
    """Somebody asks while another's retry is not committed yet; by then a worker has claimed the message."""
    store = new_store("postgres")
    post, wire = Post(store), Wire()
    ids = post.queue(post.message(1, status="failed"))
    with ThreadPoolExecutor(1) as other:
        with store.begin() as connection:
            assert messages.retry(connection, ids, NOW) == 1
            # As the worker's claim and hand-over would leave it.
            messages.set_status(connection, [(ids[0], "handed_over", "")])
            late = other.submit(post.retry, ids)
            until_somebody_waits(store, late)
        assert late.result(PATIENCE_S) == 0
    assert post.at(ids[0]).status == "handed_over"
    assert not post.deliver(wire, NOW + MINUTE).sent
    assert wire.sent == []
