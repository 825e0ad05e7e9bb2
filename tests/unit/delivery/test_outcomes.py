"""What comes of an attempt: sent, tried again, given up, uncertain; and that nothing is sent twice."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from keepers.channels.base import backoff
from keepers.delivery import send
from keepers.delivery.rates import Rates
from keepers.model.errors import UserError
from keepers.model.message import Content, Outcome, Outgoing
from keepers.store.database import Store
from keepers.store.journeys import runs
from keepers.store.journeys.runs import RunRow
from keepers.store.messages import claims, coupons, message_copies, messages, sending_switches
from keepers.store.profiles import suppressions
from unit.delivery.posting import LOOSE, NOW, Post, Wire, hours, render


def test_a_sent_message_is_told_kept_and_not_sent_again(store: Store) -> None:
    post, wire = Post(store), Wire()
    (message_id,) = post.queue(post.message(1, journey="welcome", step="hello"))
    assert post.deliver(wire).sent == 1
    assert not post.deliver(wire, NOW + hours(1)).did_something
    sent = post.at(message_id)
    assert (sent.status, sent.sent_at, sent.attempts, sent.provider_id, sent.locale) == ("sent", NOW, 1, "p", "en")
    assert sent.message_id == "<m1@shop.example>"
    assert sent.counted_at == NOW
    properties = {
        "message": "m",
        "message_key": "m1",
        "journey": "welcome",
        "step": "hello",
        "channel": "email",
        "topic": "news",
    }
    assert post.events() == [("Email Sent", properties)]
    assert post.history(message_id) == ["sent"]
    with store.read() as connection:
        kept = message_copies.get(connection, message_id, NOW)
    assert kept is not None
    assert kept.content.html == "<p>Hello</p>"
    assert not wire.is_open


def test_every_channel_has_its_event(store: Store) -> None:
    post, wire = Post(store, LOOSE), Wire()
    channels = ("email", "sms", "chat", "push", "in_app", "webhook")
    post.queue(*(post.message(n, channel=channel, recipient=f"+4812{n}") for n, channel in enumerate(channels)))
    with post.worker(*((channel, wire) for channel in channels)) as worker:
        assert worker.run_once(NOW).sent == 6
    names = ["Email Sent", "SMS Sent", "Chat Sent", "Push Sent", "In-App Sent", "Webhook Called"]
    assert sorted(event for event, _ in post.events()) == sorted(names)


def test_later_means_tried_again_with_growing_pauses_and_the_same_message_id(store: Store) -> None:
    post = Post(store)
    wire = Wire(lambda _: Outcome("deferred", "busy", "451"))
    (message_id,) = post.queue(post.message(1, expires_at=NOW + hours(1)))
    at, seen = NOW, []
    while post.at(message_id).status == "queued":
        post.deliver(wire, at)
        at = post.at(message_id).send_after
        seen.append(at)
    pauses = [backoff(n, "m1") for n in (1, 2, 3)]
    assert seen[:3] == [NOW + pauses[0], NOW + pauses[0] + pauses[1], NOW + pauses[0] + pauses[1] + pauses[2]]
    assert post.statuses([message_id]) == ["skipped(expired)"]
    assert post.history(message_id) == ["deferred", "deferred", "deferred", "skipped"]
    assert {outgoing.message_id for outgoing in wire.sent} == {"<m1@shop.example>"}
    assert post.at(message_id).counted_at is None
    assert post.events() == []


def test_the_other_side_s_own_pause_is_kept_and_a_rest_is_no_attempt(store: Store) -> None:
    post = Post(store)
    rest = timedelta(minutes=7)
    (message_id,) = post.queue(post.message(1))
    for n in range(20):
        post.deliver(Wire(lambda _: Outcome("deferred", "resting", retry_after=rest)), NOW + n * rest)
    assert post.at(message_id).send_after == NOW + 20 * rest
    assert post.at(message_id).attempts == 0
    post.deliver(Wire(lambda _: Outcome("deferred", "slow down", "429", retry_after=rest)), NOW + 20 * rest)
    assert (post.at(message_id).attempts, post.at(message_id).send_after) == (1, NOW + 21 * rest)


def test_without_an_expiry_trying_ends_as_a_dead_letter_that_can_be_tried_again(store: Store) -> None:
    post = Post(store)
    (message_id,) = post.queue(post.message(1, topic="orders", is_transactional=True))
    at = NOW
    for _ in range(9):
        post.deliver(Wire(lambda _: Outcome("deferred", "no", "451")), at)
        at = post.at(message_id).send_after
    assert post.statuses([message_id]) == ["failed(451)"]
    wire = Wire()
    assert post.retry([message_id], at) == 1
    assert post.deliver(wire, at).sent == 1
    assert post.statuses([message_id]) == ["sent"]


def test_what_cannot_be_rendered_or_has_no_channel_is_a_dead_letter_and_stops_nobody_else(store: Store) -> None:
    post, wire = Post(store), Wire()
    ids = post.queue(post.message(1, "broken"), post.message(2), post.message(3, channel="sms", recipient="+481"))

    def many(rows, _now):
        error = UserError("No subject in ru.", code="render")
        return [error if row.message == "broken" else render(row) for row in rows]

    done = post.deliver(wire, render=many)
    assert post.statuses(ids) == ["failed(render)", "sent", "failed(no_channel)"]
    assert (done.sent, done.failed) == (1, 2)
    assert post.at(ids[0]).counted_at is None


def test_a_refused_message_is_a_dead_letter_and_a_channel_s_own_fault_leaves_it_uncertain(store: Store) -> None:
    post = Post(store)
    ids = post.queue(post.message(1), post.message(2, topic="orders", is_transactional=True))
    post.deliver(Wire(lambda _: Outcome("failed", "policy", "550 5.7.1")))
    assert post.statuses(ids) == ["failed(550 5.7.1)"] * 2

    def break_down(_: Outgoing) -> Outcome:
        raise RuntimeError("a bug")

    with store.begin() as connection:
        messages.retry(connection, ids, NOW)
    post.deliver(Wire(break_down))
    assert post.statuses(ids) == ["uncertain(connection_broke)", "queued(deferred)"]


def test_a_hard_bounce_suppresses_at_once_and_soft_ones_after_five(store: Store) -> None:
    post = Post(store, LOOSE)
    (hard,) = post.queue(post.message(1))
    post.deliver(Wire(lambda _: Outcome("bounced", "no such user", "5.1.1", is_hard=True)))
    assert post.statuses([hard]) == ["bounced(hard)"]
    post.queue(*(post.message(2, f"m{n}", send_after=NOW + timedelta(days=n)) for n in range(5)))
    for n in range(5):
        with store.read() as connection:
            assert len(list(suppressions.everything(connection))) == 1, n
        post.deliver(Wire(lambda _: Outcome("bounced", "full", "5.2.2")), NOW + timedelta(days=n))
    with store.read() as connection:
        found = {s.hash: s.reason for s in suppressions.everything(connection)}
    assert found[post.eligibility.hash("email", "p1@example.com")] == "hard_bounce"
    assert [e for e, _ in post.events()] == ["Email Bounced"] * 6
    assert post.events()[0][1]["hard"] is True


@pytest.mark.parametrize(("hard", "is_stopped"), [(19, False), (20, True)])
def test_too_many_hard_bounces_stop_the_stream_and_nothing_else(store: Store, hard: int, is_stopped: bool) -> None:
    post = Post(store, LOOSE)
    post.queue(*(post.message(n) for n in range(hard)))
    post.deliver(Wire(lambda _: Outcome("bounced", "gone", "5.1.1", is_hard=True)))
    ids = post.queue(post.message(100), post.message(101, topic="orders", is_transactional=True))
    post.deliver(Wire(), NOW + hours(1))
    assert post.statuses(ids) == ["skipped(brake.hard_bounces)" if is_stopped else "sent", "sent"]
    with store.begin() as connection:
        sending_switches.set_breaker(connection, "email.marketing", False, "list cleaned", NOW + hours(2))
    again = post.queue(post.message(200))
    wire = Wire(lambda _: Outcome("bounced", "gone", "5.1.1", is_hard=True))
    post.deliver(wire, NOW + hours(3))
    with store.read() as connection:
        assert sending_switches.open_breakers(sending_switches.everything(connection)) == frozenset()
    assert post.statuses(again) == ["bounced(hard)"]


def test_a_webhook_s_answer_is_put_into_the_run_and_wakes_it(store: Store) -> None:
    post = Post(store)
    with store.begin() as connection:
        first, second = runs.enter(
            connection, [RunRow("w", 1, n, "", NOW, NOW, "call", NOW + hours(9), vars={"a": {"x": 1}}) for n in (1, 2)]
        )
    answers = {
        first.id: Outcome("sent", code="200", answer={"status": 200, "body": {"score": 7}}),
        second.id: Outcome("failed", "refused", code="refused"),
    }
    made = [
        post.message(
            n,
            channel="webhook",
            recipient="https://x.example",
            run_id=run.id,
            step="call",
            visit=2,
            is_transactional=True,
        )
        for n, run in ((1, first), (2, second))
    ]
    post.queue(*made)
    wire = Wire(lambda outgoing: answers[{1: first.id, 2: second.id}[outgoing.profile_id]])
    with post.worker(("webhook", wire)) as worker:
        worker.run_once(NOW)
    with store.read() as connection:
        found = runs.get_many(connection, [first.id, second.id])
    assert found[first.id].vars == {"a": {"x": 1}, "call": {"status": 200, "body": {"score": 7}, "visit": 2}}
    assert found[second.id].vars["call"] == {"status": None, "body": None, "visit": 2}
    assert {run.wake_at for run in found.values()} == {NOW}


def test_codes_are_taken_when_a_message_goes_out_and_not_before(store: Store) -> None:
    post, wire = Post(store, LOOSE, None), Wire()
    with store.begin() as connection:
        coupons.put(connection, "ten", ["CODE"], NOW)
    ids = post.queue(
        post.message(1, data={"coupon": "ten"}, run_id=1),
        post.message(2, data={"coupon": "ten"}, run_id=2, send_after=NOW + hours(1)),
    )
    post.deliver(Wire(lambda _: Outcome("deferred", "busy", "451", retry_after=hours(2))))
    post.deliver(wire, NOW + hours(1))
    post.deliver(wire, NOW + hours(2))
    assert post.statuses(ids) == ["sent", "skipped(no_coupon)"]
    assert [outgoing.content.text for outgoing in wire.sent] == ["CODE"]


def test_a_message_stopped_between_claim_and_hand_over_does_not_go(store: Store) -> None:
    post, wire = Post(store), Wire()
    ids = post.queue(post.message(1, broadcast="b"), post.message(2))

    def many(rows, _now):
        with store.begin() as connection:
            messages.skip_unfinished(connection, "stopped", NOW, broadcast="b")
        return [render(row) for row in rows]

    post.deliver(wire, render=many)
    assert post.statuses(ids) == ["skipped(stopped)", "sent"]
    assert wire.keys == ["m2"]


def test_a_message_that_was_stopped_and_cannot_be_rendered_stays_stopped(store: Store) -> None:
    post = Post(store)
    ids = post.queue(post.message(1, broadcast="b"), post.message(2))

    def many(rows, _now):
        with store.begin() as connection:
            messages.skip_unfinished(connection, "stopped", NOW, broadcast="b")
        return [UserError("No subject in ru.", code="render") for _ in rows]

    done = post.deliver(Wire(), render=many)
    assert post.statuses(ids) == ["skipped(stopped)", "failed(render)"]
    assert (done.skipped, done.failed) == (1, 1)


def test_what_was_stopped_on_its_way_is_not_tried_again(store: Store) -> None:
    post = Post(store, LOOSE)
    with store.begin() as connection:
        runs.enter(connection, [RunRow("w", 1, n, "", NOW, NOW, "s", None) for n in range(1, 5)])
    orders = {"topic": "orders", "is_transactional": True}
    ids = post.queue(
        *(post.message(n, run_id=n) for n in (1, 2)), *(post.message(n, run_id=n, **orders) for n in (3, 4))
    )

    def answer(outgoing: Outgoing) -> Outcome:
        with store.begin() as connection:
            assert messages.skip_unfinished(connection, "exited", NOW, run_ids=[outgoing.profile_id]) == 0
        if outgoing.profile_id == 4:
            raise RuntimeError("a bug")
        return Outcome("sent") if outgoing.profile_id == 2 else Outcome("deferred", "busy", "451")

    done = post.deliver(Wire(answer))
    assert post.statuses(ids) == ["skipped(exited)", "sent", "skipped(exited)", "uncertain(connection_broke)"]
    assert (done.skipped, done.sent, done.uncertain) == (2, 1, 1)
    assert post.at(ids[0]).counted_at is None
    wire = Wire()
    post.deliver(wire, NOW + hours(9))
    assert wire.sent == []


def test_what_was_stopped_in_a_worker_s_hands_is_not_put_back(store: Store) -> None:
    post, wire = Post(store, LOOSE), Wire()
    claimed = {"status": "handed_over", "message_id": "<kept@x>", "topic": "orders", "is_transactional": True}
    ids = post.queue(
        post.message(1, run_id=1, claimed_by="dead", **claimed), post.message(2, run_id=1, claimed_by="w", **claimed)
    )
    with store.begin() as connection:
        messages.skip_unfinished(connection, "exited", NOW, run_ids=[1])
        claims.requeue(connection, "w", [ids[1]], NOW)
    post.deliver(wire)
    assert (post.statuses(ids), wire.sent) == (["uncertain(worker_died)", "skipped(exited)"], [])
    assert post.history(ids[1]) == ["skipped"]


def test_the_kill_switch_works_on_what_is_claimed_too(store: Store) -> None:
    post, wire = Post(store), Wire()
    ids = post.queue(post.message(1))

    def many(rows, _now):
        with store.begin() as connection:
            sending_switches.put(connection, sending_switches.SENDING, False, "a wrong price", NOW)
        return [render(row) for row in rows]

    post.deliver(wire, render=many)
    assert (post.statuses(ids), wire.keys) == (["queued"], [])
    assert post.at(ids[0]).counted_at is None
    with store.begin() as connection:
        sending_switches.put(connection, sending_switches.SENDING, True, "put right", NOW)
    post.deliver(wire, NOW + hours(1))
    assert post.statuses(ids) == ["sent"]


def test_news_that_comes_faster_than_the_outcome_stays(store: Store) -> None:
    post = Post(store)
    (message_id,) = post.queue(post.message(1))

    def deliver(outgoing: Outgoing) -> Outcome:
        with store.begin() as connection:
            messages.put_status(connection, [(outgoing.id, "delivered", "")], NOW)
        return Outcome("sent", provider_id="x")

    post.deliver(Wire(deliver))
    assert post.statuses([message_id]) == ["delivered"]
    assert post.at(message_id).sent_at == NOW


def test_what_a_stopped_worker_has_not_sent_waits_again(store: Store) -> None:
    post = Post(store, LOOSE)
    ids = post.queue(*(post.message(n) for n in range(300)))
    wire, stopping = Wire(), Wire(lambda _: worker.stop() or Outcome("sent"))
    with post.worker(("email", stopping), concurrency=2) as worker:
        done = worker.run_once(NOW)
        assert 0 < done.sent < 300
        # Stopped once, it stays stopped, however late the next call comes.
        assert not worker.run_once(NOW + hours(1)).did_something
    post.deliver(wire, NOW + hours(1))
    assert set(post.statuses(ids)) == {"sent"}
    assert len(stopping.sent) + len(wire.sent) == 300
    assert {post.at(i).attempts for i in ids} == {1}


def test_a_stop_between_two_calls_holds_and_one_during_a_call_that_hangs_cuts_it_off(sqlite_store: Store) -> None:
    post = Post(sqlite_store, LOOSE)
    ids = post.queue(post.message(1), post.message(2, topic="orders", is_transactional=True), post.message(3))
    with post.worker(("email", Wire())) as worker:
        worker.stop()
        assert not worker.run_once(NOW).did_something
    assert post.statuses(ids) == ["queued"] * 3

    class Hanging(Wire):
        async def send(self, message: Outgoing) -> Outcome:
            if message.key == "m3":
                worker.stop()
                return Outcome("sent")
            await asyncio.Event().wait()
            raise AssertionError

    with post.worker(("email", Hanging()), patience_s=0.0, watch_s=0.01) as worker:
        worker.run_once(NOW)
    assert post.statuses(ids) == ["uncertain(connection_broke)", "queued(deferred)", "sent"]


def test_sending_is_concurrent_but_bounded(sqlite_store: Store) -> None:
    post, wire = Post(sqlite_store, LOOSE), Wire()
    post.queue(*(post.message(n) for n in range(200)))
    post.deliver(wire, concurrency=8)
    assert len(wire.sent) == 200
    assert 1 < wire.most_at_once <= 8


def test_a_limited_channel_gets_so_many_a_second_and_others_go_on(sqlite_store: Store) -> None:
    post, mail, text = Post(sqlite_store, LOOSE), Wire(), Wire()
    post.queue(*(post.message(n) for n in range(30)))
    post.queue(*(post.message(n, "s", channel="sms", recipient=f"+48{n}", priority=0) for n in range(30)))
    with post.worker(("email", mail), ("sms", text), rates={"sms": 5}) as worker:
        worker.run_once(NOW)
        assert (len(mail.sent), len(text.sent)) == (30, 5)
        worker.run_once(NOW + timedelta(seconds=1))
        assert len(text.sent) == 10
        worker.run_once(NOW + timedelta(seconds=1.2))
        assert len(text.sent) == 11
        worker.run_once(NOW + timedelta(hours=1))
        assert len(text.sent) == 16


def test_a_slow_rate_still_lets_one_through() -> None:
    rates = Rates({"sms": 0.1, "email": 0})
    assert rates.most(NOW) == {"sms": 1}
    rates.used(["sms", "email"])
    assert rates.most(NOW + timedelta(seconds=5)) == {"sms": 0}
    assert rates.most(NOW + timedelta(seconds=10)) == {"sms": 1}


def test_a_store_that_fails_loses_no_outcome(sqlite_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    post, wire = Post(sqlite_store, LOOSE), Wire()
    ids = post.queue(*(post.message(n) for n in range(10)))
    with post.worker(("email", wire)) as worker:
        with monkeypatch.context() as patch:

            def fail(*_: object) -> None:
                raise OSError("disk full")

            patch.setattr(send, "record", fail)
            with pytest.raises(OSError, match="disk full"):
                worker.run_once(NOW)
        worker.run_once(NOW)
    assert post.statuses(ids) == ["sent"] * 10
    assert len(wire.sent) == 10


def test_the_clock_goes_on_within_a_call(sqlite_store: Store) -> None:
    post = Post(sqlite_store, LOOSE)
    ticks: list[datetime] = [NOW + timedelta(seconds=n) for n in range(1000)]
    (message_id,) = post.queue(post.message(1))
    post.deliver(Wire(), clock=lambda: ticks.pop(0))
    assert post.at(message_id).sent_at > NOW


def test_content_is_the_copy_s(sqlite_store: Store) -> None:
    post = Post(sqlite_store)
    (message_id,) = post.queue(post.message(1))

    def nothing(rows, _now):
        return [Outgoing(r.id, r.key, r.channel, r.recipient, r.profile_id, Content()) for r in rows]

    post.deliver(Wire(), render=nothing)
    with sqlite_store.read() as connection:
        assert message_copies.get(connection, message_id, NOW) is None
