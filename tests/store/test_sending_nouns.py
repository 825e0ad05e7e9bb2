"""Coupons, inboxes, browsers, sendings, switches, workers, news and copies."""

from __future__ import annotations

from datetime import datetime, timedelta
from threading import Barrier, Thread

import msgspec
import pytest
from sqlalchemy import select

from keepers.contact.breakers import stream_of
from keepers.model.errors import ConflictError, NotFoundError
from keepers.model.message import Content, DeliveryReport
from keepers.store.database import Store
from keepers.store.events import log
from keepers.store.messages import (
    broadcast_sends,
    coupons,
    delivery_reports,
    engagement_requests,
    in_app,
    message_copies,
    messages,
    sending_switches,
    workers,
)
from keepers.store.messages.broadcast_sends import BroadcastSend
from keepers.store.messages.coupons import CodeRequest
from keepers.store.messages.engagement_requests import EngagementRow
from keepers.store.messages.in_app import InAppRow
from keepers.store.messages.messages import MessageRow
from keepers.store.messages.workers import working
from keepers.store.profiles import push_subscriptions
from keepers.store.profiles.push_subscriptions import PushSubscription
from keepers.store.schema.messages import workers as held_by

NOW = datetime(2026, 3, 1, 12)


def test_a_run_gets_one_code_however_often_it_asks(store: Store) -> None:
    with store.begin() as connection:
        assert coupons.put(connection, "ten", ["A", "B", "B", ""], NOW) == 2
        assert coupons.put(connection, "ten", ["B", "C"], NOW) == 1
        coupons.put(connection, "old", ["X"], NOW, expires_at=NOW)
        wants = [
            CodeRequest("ten", "m1", 1, run_id=7),
            CodeRequest("ten", "m2", 1, run_id=7),
            CodeRequest("ten", "m3", 2),
            CodeRequest("old", "m4", 3),
        ]
        taken = coupons.assign(connection, wants, NOW)
        assert taken["m1"] == taken["m2"] != taken["m3"]
        assert "m4" not in taken
        assert coupons.assign(connection, wants, NOW + timedelta(1)) == taken
        assert coupons.assign(connection, [CodeRequest("ten", "m9", 1, run_id=7)], NOW) == {"m9": taken["m1"]}
        assert coupons.stock(connection, NOW) == {"ten": ("ten", 1, 2), "old": ("old", 0, 0)}


def test_a_customer_who_had_a_code_not_long_ago_gets_none(store: Store) -> None:
    span = timedelta(days=90)
    with store.begin() as connection:
        coupons.put(connection, "ten", ["A", "B", "C"], NOW)
        wants = [CodeRequest("ten", f"m{run}", 1, run, span) for run in (1, 2)]
        assert list(coupons.assign(connection, wants, NOW)) == ["m1"]
        assert coupons.assign(connection, [wants[1]], NOW + timedelta(days=89)) == {}
        assert list(coupons.assign(connection, [wants[1]], NOW + timedelta(days=90))) == ["m2"]


def test_whoever_asks_for_a_code_beforehand_hears_what_sending_would_say(store: Store) -> None:
    with store.begin() as connection:
        coupons.put(connection, "ten", ["A", "B"], NOW)
        had = CodeRequest("ten", "m0", 1, run_id=1, once_per=timedelta(days=90))
        coupons.assign(connection, [had], NOW)
        again = CodeRequest("ten", "m1", 1, run_id=2, once_per=timedelta(days=90))
        others = [CodeRequest("ten", f"m{n}", n, run_id=n) for n in (3, 4)]
        assert coupons.available(connection, [had, again, *others], NOW) == {"m0", "m3"}
        assert coupons.stock(connection, NOW) == {"ten": ("ten", 1, 1)}


def test_workers_that_take_codes_at_once_take_different_ones(store: Store) -> None:
    with store.begin() as connection:
        coupons.put(connection, "ten", [f"{n:03}" for n in range(100)], NOW)
    taken: list[str] = []
    barrier = Barrier(4)

    def claim(worker: int) -> None:
        barrier.wait()
        for n in range(5):
            with store.begin() as connection:
                wants = [CodeRequest("ten", f"{worker} {n} {k}", k, run_id=worker * 100 + n * 5 + k) for k in range(5)]
                taken.extend(coupons.assign(connection, wants, NOW).values())

    threads = [Thread(target=claim, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [f"{n:03}" for n in range(100)]


def test_an_inbox_is_read_once(store: Store) -> None:
    with store.begin() as connection:
        ids = messages.queue(
            connection,
            [MessageRow(k, 1, "hint", "in_app", "news", "1", "h", NOW, NOW, journey="welcome") for k in ("a", "b")],
        )
        rows = [InAppRow(1, ids["a"], "T", "x", "", NOW), InAppRow(1, ids["b"], "T", "y", "", NOW, expires_at=NOW)]
        assert in_app.put(connection, rows) == 2
        assert in_app.put(connection, rows) == 0
        (shown,) = in_app.of_profile(connection, 1, NOW)
        assert in_app.unread(connection, 1, NOW) == 1
        assert in_app.mark_read(connection, 2, [shown.id], NOW) == 0
        assert in_app.mark_read(connection, 1, [shown.id], NOW) == 1
        assert in_app.mark_read(connection, 1, [shown.id], NOW) == 0
        assert in_app.of_profile(connection, 1, NOW, only_unread=True) == []
        (event,) = log.read(connection, 0, 10)
        assert event.event == "In-App Read"
        assert msgspec.json.decode(event.body)["properties"]["journey"] == "welcome"


def test_a_browser_belongs_to_who_used_it_last(store: Store) -> None:
    with store.begin() as connection:
        for profile_id in (1, 2):
            keys = {"p256dh": "k", "auth": "a"}
            push_subscriptions.put(
                connection, PushSubscription("https://push/1", profile_id, keys, NOW, is_unproven=False)
            )
        found = push_subscriptions.of_profiles(connection, [1, 2])
        assert {profile: [s.keys["auth"] for s in listed] for profile, listed in found.items()} == {2: ["a"]}
        push_subscriptions.remove(connection, ["https://push/1"])
        assert push_subscriptions.of_profiles(connection, [2]) == {}


def test_a_sending_goes_on_where_it_stopped(store: Store) -> None:
    with store.begin() as connection:
        send = broadcast_sends.begin(connection, BroadcastSend("news", 1, "queueing", NOW, data={"arm": "a"}))
        moved = msgspec.structs.replace(send, position=500)
        broadcast_sends.save(connection, moved)
        assert broadcast_sends.unfinished(connection) == [moved] == broadcast_sends.of_broadcast(connection, "news")
        broadcast_sends.save(connection, msgspec.structs.replace(moved, status="stopped", finished_at=NOW))
        assert broadcast_sends.unfinished(connection) == []
        assert broadcast_sends.get(connection, send.id).status == "stopped"
        with pytest.raises(NotFoundError):
            broadcast_sends.get(connection, 99)


def test_switches_hold_until_they_are_set_again(store: Store) -> None:
    stream = stream_of("email", False)
    with store.begin() as connection:
        assert sending_switches.is_sending(sending_switches.everything(connection))
        sending_switches.put(connection, sending_switches.SENDING, False, "a mistake in the price", NOW)
        sending_switches.set_breaker(connection, stream, True, "complaints", NOW)
        known = sending_switches.everything(connection)
        assert not sending_switches.is_sending(known)
        assert sending_switches.open_breakers(known) == {"email.marketing"}
        sending_switches.put(connection, sending_switches.SENDING, True, "", NOW)
        sending_switches.set_breaker(connection, stream, False, "looked at", NOW)
        known = sending_switches.everything(connection)
        assert sending_switches.is_sending(known)
        assert sending_switches.open_breakers(known) == frozenset()
        assert sending_switches.breaker(known, stream).at == NOW


def test_a_worker_whose_lock_is_gone_is_dead(store: Store) -> None:
    def work() -> None:
        with working(store, "a", NOW):
            pass

    with store.begin() as connection:
        sent = MessageRow("k", 1, "m", "email", "t", "a@b.c", "h", NOW, NOW, status="claimed", claimed_by="a")
        messages.queue(connection, [sent, msgspec.structs.replace(sent, key="l", claimed_by="b")])
    with working(store, "a", NOW):
        with store.begin() as connection:
            workers.beat(connection, "a", NOW + timedelta(1))
            assert connection.execute(select(held_by.c.id)).scalars().all() == ["a"]
            if not store.is_sqlite:
                assert workers.dead(connection, "c") == ["b"]
            assert workers.dead(connection, "a") == ["a", "b"]
        with pytest.raises(ConflictError, match="delivery worker a"):
            work()
    with store.begin() as connection:
        assert connection.execute(select(held_by.c.id)).scalars().all() == []
        assert workers.dead(connection, "c") == ["a", "b"]
    work()


def test_news_wait_in_order_until_they_are_worked_off(store: Store) -> None:
    received = [
        DeliveryReport("bounced", "email", NOW, key="k", is_hard=True),
        DeliveryReport("clicked", "email", NOW, url="https://ż"),
    ]
    with store.begin() as connection:
        delivery_reports.append(connection, received)
        waiting = delivery_reports.read(connection, 10)
        assert [report for _, report in waiting] == received
        delivery_reports.remove(connection, [waiting[0][0]])
        assert delivery_reports.depth(connection) == 1


def test_hits_are_kept_raw_and_judged_again(store: Store) -> None:
    with store.begin() as connection:
        engagement_requests.append(
            connection,
            [
                EngagementRow(1, NOW, "https://a", "UA", "h", "GET"),
                EngagementRow(1, NOW - timedelta(1), "", "", "", "GET"),
            ],
        )
        click, opened = engagement_requests.read(connection, 0, 10)
        assert engagement_requests.last_id(connection) == opened.id
        assert (click.is_click, opened.is_click, click.is_machine) == (True, False, None)
        for rule in ("agent", None):
            engagement_requests.put_rules(connection, [(click.id, rule)])
            assert engagement_requests.of_messages(connection, [1])[1][1][6:8] == (rule is not None, rule or "")


def test_the_exact_copy_is_kept_and_then_gone(store: Store) -> None:
    content = Content("Żółw", "<p>Żółw</p>" * 1000, "Żółw", title="t", data={"icon": "x"})
    with store.begin() as connection:
        message_copies.put(connection, [(1, Content("first"))], NOW)
        message_copies.put(connection, [(1, content)], NOW)
        kept = message_copies.get(connection, 1, NOW + timedelta(days=395))
        assert kept.content == content
        later = NOW + timedelta(days=400)
        assert message_copies.get(connection, 1, later) is None
        assert message_copies.prune(connection, later) == 1
