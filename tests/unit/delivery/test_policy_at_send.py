"""Policy is asked again just before sending, with what the store knows by then."""

from __future__ import annotations

from datetime import timedelta
from threading import Barrier, Thread

import msgspec
import pytest

from keepers.contact.eligibility import ALLOW, Contact, Hold, MessageCandidate, Skip
from keepers.model.consent import Consent
from keepers.model.errors import UserError
from keepers.model.message import Outcome
from keepers.store.database import Store
from keepers.store.journeys import journey_states, runs
from keepers.store.journeys.runs import RunRow
from keepers.store.messages import messages, sending_switches
from keepers.store.profiles import consents, suppressions
from keepers.store.profiles.suppressions import Suppression
from unit.delivery.posting import LOOSE, NOW, Post, Wire, hours, render


def test_a_suppressed_customer_is_skipped_even_when_already_queued(store: Store) -> None:
    post, wire = Post(store), Wire()
    ids = post.queue(post.message(1), post.message(2))
    with store.begin() as connection:
        stopped = Suppression("email", post.eligibility.hash("email", "P1@Example.com"), "complaint", NOW)
        suppressions.add(connection, [stopped])
    done = post.deliver(wire)
    assert post.statuses(ids) == ["skipped(suppressed.complaint)", "sent"]
    assert (done.sent, done.skipped) == (1, 1)
    assert wire.keys == ["m2"]


def test_who_left_meanwhile_is_not_written_to_but_orders_are_still_told(store: Store) -> None:
    post, wire = Post(store), Wire()
    order = post.message(1, "order", topic="orders", is_transactional=True)
    ids = post.queue(post.message(1), order, post.message(2))
    with store.begin() as connection:
        consents.record(
            connection, [Consent(1, "email", "*", "unsubscribed", NOW, "one-click", holds_for="person")], NOW
        )
    post.deliver(wire)
    assert post.statuses(ids) == ["skipped(unsubscribed)", "sent", "sent"]


def test_nobody_is_written_to_without_consent_where_the_topic_needs_it(store: Store) -> None:
    post = Post(store)
    ids = post.queue(
        post.message(1), post.message(2, topic="hints"), post.message(3, topic="unknown"), consenting=False
    )
    post.deliver(Wire())
    assert post.statuses(ids) == ["skipped(no_consent)", "sent", "skipped(no_consent)"]


def test_a_cap_counts_by_address_and_priority_gets_the_place(store: Store) -> None:
    post, wire = Post(store), Wire()
    ids = post.queue(
        post.message(1, "news", priority=3),
        # Another user id with the same inbox, spelled otherwise, and a better priority.
        post.message(2, "cart", priority=1, recipient="P1@example.com"),
        post.message(1, "order", is_transactional=True, topic="orders"),
        post.message(3, "news", priority=3),
    )
    post.deliver(wire)
    assert post.statuses(ids) == ["skipped(cap.email.1d)", "sent", "sent", "sent"]
    later = post.queue(
        post.message(1, "later", send_after=NOW + hours(23)), post.message(1, "next", send_after=NOW + hours(24))
    )
    post.deliver(wire, NOW + hours(23))
    post.deliver(wire, NOW + hours(24))
    assert post.statuses(later) == ["skipped(cap.email.1d)", "sent"]


def test_a_place_that_was_not_used_is_free_again(store: Store) -> None:
    post = Post(store)
    first = post.queue(post.message(1, "first", expires_at=NOW + timedelta(seconds=1)))
    post.deliver(Wire(lambda _: Outcome("deferred", "later", "451")))
    assert post.statuses(first) == ["skipped(expired)"]
    second = post.queue(post.message(1, "second"))
    post.deliver(Wire())
    assert post.statuses(second) == ["sent"]


def test_all_channels_together_have_a_cap_by_customer(store: Store) -> None:
    post = Post(store, {"caps": {"email": {}, "sms": {}, "push": {}, "all": {"7d": 2}}})
    ids = post.queue(
        post.message(1, "a"), post.message(1, "b", channel="sms", recipient="+48 1"),
        post.message(1, "c", channel="push", recipient="x"),
    )  # fmt: skip
    wire = Wire()
    with post.worker(("email", wire), ("sms", wire), ("push", wire)) as worker:
        worker.run_once(NOW)
    assert sorted(post.statuses(ids)) == ["sent", "sent", "skipped(cap.all.7d)"]


def test_quiet_hours_hold_and_an_expired_message_is_dropped(store: Store) -> None:
    post = Post(store, contact=Contact("Asia/Tokyo"))
    ids = post.queue(post.message(1), post.message(2, expires_at=NOW + hours(2)))
    done = post.deliver(Wire())
    assert post.statuses(ids) == ["held(quiet_hours)", "skipped(expired)"]
    assert (done.held, done.skipped) == (1, 1)
    # 21:00 in Tokyo; the night is over at 22:00 UTC.
    assert post.at(ids[0]).send_after == NOW.replace(hour=22)
    post.deliver(Wire(), NOW + hours(9))
    assert post.statuses(ids[:1]) == ["held(quiet_hours)"]
    post.deliver(Wire(), NOW + hours(10))
    assert post.statuses(ids[:1]) == ["sent"]
    assert post.history(ids[0]) == ["held", "sent"]


def test_a_message_keeps_its_customer_s_zone_where_nobody_can_be_asked(store: Store) -> None:
    post = Post(store)
    (message_id,) = post.queue(post.message(1, data=Contact("Asia/Tokyo").data()))
    post.deliver(Wire())
    assert post.statuses([message_id]) == ["held(quiet_hours)"]


@pytest.mark.parametrize(
    ("reason", "expected"), [("goal", "skipped(exited)"), ("finished", "sent"), ("merged", "skipped(exited)")]
)
def test_a_run_that_was_cut_off_takes_its_messages_along(store: Store, reason: str, expected: str) -> None:
    post = Post(store)
    with store.begin() as connection:
        (run,) = runs.enter(connection, [RunRow("w", 1, 1, "", NOW, NOW, "hello", None, "ended", reason)])
    ids = post.queue(post.message(1, run_id=run.id))
    post.deliver(Wire())
    assert post.statuses(ids) == [expected]


def test_messages_of_paused_journeys_stay_where_they_are(store: Store) -> None:
    post = Post(store)
    with store.begin() as connection:
        journey_states.put(connection, "other", True, NOW)
    ids = post.queue(post.message(2, journey="other"), post.message(3))
    post.deliver(Wire())
    assert post.statuses(ids) == ["queued", "sent"]
    with store.begin() as connection:
        journey_states.put(connection, "other", False, NOW)
    post.deliver(Wire(), NOW + hours(1))
    assert post.statuses(ids) == ["sent"] * 2


def test_the_kill_switch_stops_everything_and_a_brake_one_stream(store: Store) -> None:
    post, wire = Post(store), Wire()
    ids = post.queue(post.message(1), post.message(1, "order", topic="orders", is_transactional=True))
    with store.begin() as connection:
        sending_switches.put(connection, sending_switches.SENDING, False, "a wrong price", NOW)
    assert not post.deliver(wire).did_something
    assert post.statuses(ids) == ["queued", "queued"]
    with store.begin() as connection:
        sending_switches.put(connection, sending_switches.SENDING, True, "", NOW)
        sending_switches.set_breaker(connection, "email.marketing", True, "complaints", NOW)
    post.deliver(wire)
    assert post.statuses(ids) == ["skipped(brake.complaints)", "sent"]


def test_decisions_before_queueing_count_what_waits_ahead(store: Store) -> None:
    post = Post(store, contact=Contact("Europe/Warsaw"))
    post.queue(post.message(1, "cart", priority=1))
    candidates = [
        MessageCandidate(1, "email", "news", "p1@example.com", 3),
        MessageCandidate(1, "email", "news", "p1@example.com", 0),
        MessageCandidate(1, "email", "news", None),
        MessageCandidate(1, "in_app", "hints", "1"),
        MessageCandidate(1, "email", "orders", "p1@example.com", is_transactional=True),
        MessageCandidate(1, "webhook", "", "https://x.example", is_transactional=True, expires_at=NOW),
        MessageCandidate(9, "email", "news", "p9@example.com"),
    ]
    with store.begin() as connection:
        decided = post.eligibility.decide(connection, candidates, NOW)
        night = post.eligibility.decide(connection, candidates[:1], NOW + hours(10))
    expected = [Skip("cap.email.1d"), ALLOW, Skip("no_address"), ALLOW, ALLOW, Skip("expired"), Skip("no_consent")]
    assert decided == expected
    assert isinstance(night[0], Hold)


def test_two_workers_never_give_one_address_two_places(new_store) -> None:
    post = Post(new_store("postgres"))
    ids = post.queue(*(post.message(n, recipient=f"box{n % 20}@example.com") for n in range(200)))
    wires = [Wire() for _ in range(3)]
    barrier = Barrier(3)

    def work(n: int) -> None:
        with post.worker(("email", wires[n]), name=f"w{n}", concurrency=4) as worker:
            barrier.wait()
            worker.run_once(NOW)

    threads = [Thread(target=work, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recipients = [outgoing.recipient for wire in wires for outgoing in wire.sent]
    assert sorted(recipients) == sorted({f"box{n}@example.com" for n in range(20)})
    assert set(post.statuses(ids)) == {"sent", "skipped(cap.email.1d)"}


def test_messages_of_a_better_priority_go_first(store: Store) -> None:
    post, wire = Post(store, LOOSE), Wire()
    post.queue(*(post.message(n, priority=3 - n % 4, send_after=NOW - hours(n)) for n in range(12)))
    with post.worker(("email", wire), concurrency=1) as worker:
        worker.run_once(NOW, limit=5)
    assert [int(k[1:]) % 4 for k in wire.keys] == [3, 3, 3, 2, 2]
    assert wire.keys[:3] == ["m11", "m7", "m3"]


def test_a_candidate_s_hash_is_made_where_it_is_missing(sqlite_store: Store) -> None:
    post = Post(sqlite_store)
    with sqlite_store.begin() as connection:
        suppressions.add(connection, [Suppression("email", post.eligibility.hash("email", "a@b.c"), "manual", NOW)])
        candidate = MessageCandidate(1, "email", "orders", "A@b.c ", is_transactional=True)
        assert post.eligibility.decide(connection, [candidate], NOW) == [Skip("suppressed.manual")]
        assert post.eligibility.decide(connection, [msgspec.structs.replace(candidate, recipient="x@b.c")], NOW) == [
            ALLOW
        ]


def test_a_new_domain_sends_by_its_ramp_and_the_rest_waits_for_the_next_day(store: Store) -> None:
    ramp = {**LOOSE, "quiet": {"email": {}}, "warm_up": [{"day": 1, "most": 3}, {"day": 2, "most": 5}]}
    post, wire = Post(store, ramp), Wire()
    post.queue(*(post.message(n) for n in range(12)))
    ids = post.queue(
        post.message(20, "order", topic="orders", is_transactional=True), post.message(21, expires_at=NOW + hours(3))
    )
    counts = []
    for n in range(4):
        for _ in range(2):
            post.deliver(wire, NOW + timedelta(days=n))
        counts.append(len(wire.sent))
    # Three and the order; five more; on the third day the ramp is over.
    assert counts == [4, 9, 13, 13]
    assert post.statuses(ids) == ["sent", "skipped(expired)"]
    assert post.history(1) == ["sent"]
    assert post.history(12) == ["held", "sent"]


RAMP = {**LOOSE, "quiet": {"email": {}}, "warm_up": [{"day": 1, "most": 3}]}


def test_a_ramp_counts_a_message_once_however_often_it_is_tried(store: Store) -> None:
    post, wire = Post(store, RAMP), Wire()
    ids = post.queue(post.message(1))
    later = Wire(lambda _: Outcome("deferred", "busy", "451", retry_after=timedelta(minutes=1)))
    for n in range(5):
        post.deliver(later, NOW + timedelta(minutes=n))
    ids += post.queue(*(post.message(n) for n in range(2, 5)))
    post.deliver(wire, NOW + timedelta(minutes=5))
    assert post.statuses(ids) == ["sent", "sent", "sent", "held(warm_up)"]


def test_what_does_not_go_out_takes_no_place_on_the_ramp(store: Store) -> None:
    post, wire = Post(store, RAMP), Wire()
    ids = post.queue(
        *(post.message(n, "broken") for n in (1, 2)),
        post.message(3, data={"coupon": "none"}),
        post.message(4, broadcast="b"),
        post.message(5, status="claimed", claimed_by="dead", counted_at=NOW),
    )

    def many(rows, _now):
        with store.begin() as connection:
            messages.skip_unfinished(connection, "stopped", NOW, broadcast="b")
        error = UserError("No subject in ru.", code="render")
        return [error if row.message == "broken" else render(row) for row in rows]

    with post.worker(("email", wire), render=many) as worker:
        for n in range(3):
            worker.run_once(NOW + timedelta(minutes=n), limit=2)
    ids += post.queue(*(post.message(n) for n in range(6, 9)))

    halting = Wire(lambda _: worker.stop() or Outcome("sent"))
    with post.worker(("email", halting), concurrency=1) as worker:
        worker.run_once(NOW + timedelta(minutes=4))
    post.deliver(wire, NOW + timedelta(minutes=5))
    expected = ["failed(render)"] * 2 + [
        "skipped(no_coupon)",
        "skipped(stopped)",
        "sent",
        "sent",
        "sent",
        "held(warm_up)",
    ]
    assert post.statuses(ids) == expected


def test_what_a_dead_worker_handed_over_is_uncertain_or_sent_again(store: Store) -> None:
    post, wire = Post(store, LOOSE), Wire()
    claimed = {"status": "handed_over", "claimed_by": "dead", "counted_at": NOW, "message_id": "<kept@x>"}
    ids = post.queue(
        post.message(1, **claimed), post.message(2, topic="orders", is_transactional=True, **claimed),
        post.message(3, **{**claimed, "status": "claimed"}),
    )  # fmt: skip
    done = post.deliver(wire)
    assert post.statuses(ids) == ["uncertain(worker_died)", "sent", "sent"]
    assert done.uncertain == 1
    assert {outgoing.message_id for outgoing in wire.sent} == {"<kept@x>"}
    assert post.history(ids[0]) == ["uncertain"]
    assert post.retry(ids) == 1
