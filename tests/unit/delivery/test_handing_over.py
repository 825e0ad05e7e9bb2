"""How many messages are handed over: those being sent, and beside them at most about half a second's worth."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from keepers.delivery.rates import LONGEST_S, MOST, Attempt, HandOverWindow
from keepers.model.message import Outcome, Outgoing
from keepers.store.database import Store
from keepers.store.schema.messages import messages
from unit.delivery.posting import LOOSE, NOW, Post, Wire


def _send(window: HandOverWindow, per_second: float, began_s: float, rounds: int = 40) -> float:
    """Rounds of a channel of this speed that always has more to send; returns when they end."""
    now_s = began_s
    for _ in range(rounds):
        handed_over_s, now_s = now_s, now_s + window.ahead / per_second
        window.adjust([Attempt("email", handed_over_s, now_s)], now_s, is_limiting=True)
    return now_s


@pytest.mark.parametrize("per_second", [0.5, 3, 50, 400, 10_000])
def test_half_a_second_s_worth_is_handed_over_ahead_whatever_the_channel_s_speed(per_second: float) -> None:
    window = HandOverWindow()
    assert window.ahead == 0
    _send(window, per_second, 0.0)
    assert window.ahead <= max(per_second * LONGEST_S, 1)
    assert window.ahead >= min(per_second * LONGEST_S / 3, MOST) - 1


def test_a_channel_that_becomes_slow_gets_less_and_one_that_becomes_quick_more() -> None:
    window = HandOverWindow()
    now_s = _send(window, 400, 0.0)
    now_s = _send(window, 4, now_s)
    assert window.ahead <= 2
    _send(window, 400, now_s)
    assert window.ahead >= 64


def test_one_report_of_what_was_handed_over_before_a_change_changes_nothing_more() -> None:
    window = HandOverWindow()
    for now_s in (1.0, 2.0, 3.0, 4.0):
        window.adjust([Attempt("email", now_s, now_s)], now_s, is_limiting=True)
    assert window.ahead == 8
    window.adjust([Attempt("email", 3.5, 9.0)], 9.0, is_limiting=True)
    assert window.ahead == 8


def _numbers(store: Store) -> dict[str, int]:
    with store.read() as connection:
        rows = connection.execute(select(messages.c.status, func.count()).group_by(messages.c.status)).all()
    return {row[0]: int(row[1]) for row in rows}


def test_when_the_first_messages_go_out_no_others_are_handed_over(store: Store) -> None:
    post = Post(store, LOOSE)
    post.queue(*(post.message(n) for n in range(100)))
    seen: list[dict[str, int]] = []

    def answer(_: Outgoing) -> Outcome:
        seen.append(_numbers(store))
        return Outcome("sent")

    post.deliver(Wire(answer), concurrency=4)
    assert seen[0]["handed_over"] == 4
    assert seen[0]["claimed"] > 4
    assert _numbers(store) == {"sent": 100}


def test_each_channel_hands_over_as_many_as_it_has_connections(sqlite_store: Store) -> None:
    post = Post(sqlite_store, LOOSE)
    post.queue(*(post.message(n) for n in range(20)))
    post.queue(*(post.message(n, "text", channel="sms", recipient=f"+4812345{n:04}") for n in range(20)))
    email, sms = Wire(), Wire()
    with post.worker(("email", email), ("sms", sms), concurrency=5, connections={"email": 2}) as worker:
        assert worker.run_once(NOW).sent == 40
    assert (email.most_at_once, sms.most_at_once) == (2, 5)
