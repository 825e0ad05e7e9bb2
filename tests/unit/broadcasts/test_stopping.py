"""Stopping and resuming a sending while others change it: nobody's change is written over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event

from conftest import ENGINES
from keepers.broadcasts import advance
from keepers.broadcasts.audiences import Audience
from keepers.model.errors import ConflictError, NotFoundError
from keepers.store.messages import broadcast_sends
from unit.broadcasts.conftest import Make
from unit.broadcasts.mailing import NOW, Shop, hours, playbook


def once(
    monkeypatch: pytest.MonkeyPatch, place: object, name: str, between: Callable[[], object], nth: int = 1
) -> None:
    """Before the nth call of a function something else happens, whole."""
    real, calls = getattr(place, name), []

    def interrupted(*arguments: Any, **named: Any) -> Any:
        calls.append(name)
        if len(calls) == nth:
            between()
        return real(*arguments, **named)

    monkeypatch.setattr(place, name, interrupted)


def stored(shop: Shop) -> broadcast_sends.BroadcastSend:
    with shop.workspace.store.read() as connection:
        return broadcast_sends.of_broadcast(connection, "b")[-1]


@pytest.fixture(params=ENGINES)
def queueing(shop: Make, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A sending of 25 whose first ten are queued."""
    one = shop({}, engine=request.param)
    one.customers(size=25)
    monkeypatch.setattr(advance, "CHUNK", 10)
    monkeypatch.setattr(advance, "PER_TICK", 10)
    one.start()
    one.tick_once()
    return one


def test_a_stop_during_a_tick_s_step_is_not_written_over(queueing: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    once(monkeypatch, Audience, "chunk", lambda: queueing.stop())
    queueing.tick_once()
    assert queueing.status().status == "stopped"
    assert (queueing.status().queued, queueing.reasons()) == (10, {"skipped(stopped)": 10})
    queueing.resume()
    queueing.send()
    assert len(set(queueing.wire.keys)) == len(queueing.wire.sent) == 25


def test_a_stop_that_a_tick_completed_does_not_end_a_sending_that_was_resumed(
    queueing: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def completed_and_resumed() -> None:
        queueing.tick_once()
        queueing.resume()
        queueing.tick_once()

    once(monkeypatch, broadcast_sends, "skip_unsent", completed_and_resumed)
    queueing.stop()
    assert queueing.status().status == "queueing"
    assert queueing.status().queued == 20
    queueing.send()
    assert len(set(queueing.wire.keys)) == len(queueing.wire.sent) == 25


def test_of_two_who_resume_one_is_refused_and_what_was_queued_since_stays(
    queueing: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    queueing.stop()

    def resumed_and_queued() -> None:
        queueing.resume()
        queueing.tick_once()

    once(monkeypatch, broadcast_sends, "requeue", resumed_and_queued)
    with pytest.raises(ConflictError, match="stopped"):
        queueing.resume()
    assert queueing.status().queued == 20
    queueing.send()
    assert queueing.status().queued == 25
    assert len(set(queueing.wire.keys)) == len(queueing.wire.sent) == 25


def test_a_second_stop_is_refused_and_the_sending_goes_on_from_where_the_first_met_it(shop: Make) -> None:
    one = shop({}, engine="postgres")
    one.customers(size=3)
    one.start()
    one.tick()
    with before_locking(one, "broadcast_sends", lambda: one.stop()), pytest.raises(NotFoundError):
        one.stop()
    assert stored(one).data["was"] == "sending"
    one.resume()
    one.send()
    assert len(one.wire.sent) == 3
    assert one.status().status == "finished"


def test_a_sending_whose_broadcast_came_back_goes_on_with_what_was_not_queued(queueing: Shop) -> None:
    queueing.apply(playbook({"id": "other"}))
    queueing.tick(NOW + hours(1))
    assert queueing.status().status == "stopped"
    queueing.apply(playbook({}))
    queueing.resume(NOW + hours(2))
    queueing.send(NOW + hours(2))
    assert len(set(queueing.wire.keys)) == len(queueing.wire.sent) == 25


@contextmanager
def before_locking(shop: Shop, table: str, between: Callable[[], object]) -> Iterator[None]:
    """Before the first statement that locks a row of a table something else happens, whole. PostgreSQL's own."""
    engine, calls = shop.workspace.store.engine, []

    def interrupt(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if "FOR UPDATE" in statement and table in statement and not calls:
            calls.append(table)
            between()

    event.listen(engine, "before_cursor_execute", interrupt)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", interrupt)
    assert calls
