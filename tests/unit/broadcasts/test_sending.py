"""Broadcasts from start to end: who is written to, who is not and why, and never anybody twice."""

from __future__ import annotations

from datetime import timedelta

import pytest

from conftest import ENGINES
from keepers.broadcasts import advance
from keepers.model.consent import Consent
from keepers.model.errors import ConflictError, NotFoundError
from keepers.model.message import Outcome
from keepers.store.messages import broadcast_sends, sending_switches
from keepers.store.profiles import consents, suppressions
from keepers.store.profiles.suppressions import Suppression
from unit.broadcasts.conftest import Make
from unit.broadcasts.mailing import LOOSE, MIDNIGHT, NOW, Shop, hours, playbook

REFUSED = {
    "no_address": 1,
    "same_address": 1,
    "no_consent": 1,
    "unsubscribed": 2,
    "suppressed.complaint": 1,
}


def _troubled(shop: Shop) -> list[int]:
    """Ten customers; u1 to u6 cannot be written to, each for a reason of their own."""
    ids = shop.customers({}, {"email": None}, {"email": "U0@example.com"}, size=4)
    shop.customers(size=3)
    strangers = shop.customers({}, agree=False)
    at = NOW
    with shop.workspace.store.begin() as connection:
        left = [(ids[3], "unsubscribed", "*"), (ids[4], "unsubscribed", "news")]
        consents.record(connection, [Consent(i, "email", t, s, at, "form", holds_for="person") for i, s, t in left], at)  # type: ignore[arg-type]
        # A request that nobody has confirmed does not bring back who has left.
        consents.record(connection, [Consent(ids[4], "email", "news", "pending", at, "form", holds_for="person")], at)
        hashed = shop.workspace.sending.eligibility.hash("email", "u5@example.com")
        suppressions.add(connection, [Suppression("email", hashed, "complaint", at)])
    return [ids[0], *strangers]


@pytest.mark.parametrize("engine", ENGINES)
def test_who_is_counted_beforehand_is_who_gets_it(shop: Make, engine: str) -> None:
    one = shop({}, engine=engine)
    _troubled(one)
    found = one.preview()
    assert (found.audience, found.would_get, found.skipped) == (11, 5, REFUSED)
    assert one.rows("id") == [], "a preview writes nothing"
    one.start()
    one.send()
    assert one.status().skipped == REFUSED
    assert sorted(m.recipient for m in one.wire.sent) == [f"u{n}@example.com" for n in (0, 6, 7, 8, 9)]
    assert one.status().status == "finished"
    assert (one.status().sent, one.status().waiting) == (5, 0)


def test_uncertain_messages_are_counted_apart_from_those_sent(shop: Make) -> None:
    one = shop({})
    one.customers(size=5)
    one.start()
    one.tick()
    broken = Outcome("failed", "the connection broke", code="uncertain")
    one.deliver(answer=lambda outgoing: Outcome("sent") if outgoing.recipient < "u2@" else broken)
    assert (one.status().sent, one.status().uncertain, one.status().waiting) == (2, 3, 0)


def test_the_audience_is_whoever_belongs_when_it_starts(shop: Make) -> None:
    one = shop({"include": ["vip"], "exclude": {"trait": "staff", "eq": True}})
    one.customers({"vip": True}, {"vip": True, "staff": True}, {"vip": False}, {})
    one.start(at=NOW)
    one.tick()
    one.customers({"vip": True}, at=NOW + hours(1))
    one.send(NOW + hours(1))
    assert [m.recipient for m in one.wire.sent] == ["u0@example.com"]


def test_a_time_ahead_waits_and_takes_the_audience_of_that_time(shop: Make) -> None:
    one = shop({"send_at": "2026-03-02T15:00:00Z", "include": ["vip"]})
    one.customers({"vip": True})
    one.start()
    one.send()
    assert (one.status().status, one.rows("id")) == ("scheduled", [])
    one.customers({"vip": True}, at=NOW + hours(1))
    one.send(NOW + hours(3))
    assert len(one.wire.sent) == 2


def test_each_gets_it_at_the_local_time(shop: Make) -> None:
    one = shop({"send_at": {"local": "2026-03-03 10:00"}})
    one.customers({"timezone": "Asia/Tokyo"}, {"timezone": "Europe/Warsaw"}, {"timezone": "America/New_York"})
    one.start()
    sent = []
    for hour in range(9, 30):
        one.send(NOW + hours(hour - 1))
        sent.append(len(one.wire.sent))
    local = [f"{at:%d %H}" for at in one.rows("sent_at")]
    assert local == ["03 01", "03 09", "03 15"]
    assert one.status().status == "finished"


def test_the_throttle_spreads_messages_over_hours(shop: Make) -> None:
    one = shop({"per_hour": 2}, contact=LOOSE)
    one.customers(size=5)
    one.start()
    for hour, sent in enumerate((1, 3, 5)):
        one.send(NOW + hours(hour))
        assert len(one.wire.sent) == sent


def test_nobody_gets_two_of_one_sending_however_often_a_tick_dies(shop: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `kill -9` leaves behind: some chunks committed, the next one not; the audience's table in place."""
    one = shop({})
    one.customers(size=50)
    monkeypatch.setattr(advance, "CHUNK", 7)
    real, calls = broadcast_sends.save, []

    def dies(connection: object, send: object) -> None:
        calls.append(send)
        if len(calls) % 3 == 0:
            raise KeyboardInterrupt
        real(connection, send)  # type: ignore[arg-type]

    monkeypatch.setattr(broadcast_sends, "save", dies)
    one.start()
    for _ in range(40):
        try:
            one.tick()
        except KeyboardInterrupt:
            one.reopen()
    one.deliver()
    assert sorted(m.recipient for m in one.wire.sent) == sorted(f"u{n}@example.com" for n in range(50))
    assert one.status().queued == 50
    assert len(calls) > 10


def test_a_warehouse_made_anew_meanwhile_gives_the_same_audience(shop: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    one = shop({"include": ["vip"]})
    one.customers(*[{"vip": True}] * 30)
    monkeypatch.setattr(advance, "CHUNK", 10)
    monkeypatch.setattr(advance, "PER_TICK", 10)
    one.start()
    one.tick_once()
    one.workspace.warehouse.cursor().execute("DROP TABLE broadcast_audience_1")
    one.customers({"vip": True}, at=NOW + hours(1))
    one.tick(NOW + hours(1))
    assert (one.status().queued, len(one.rows("id"))) == (30, 30)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_stop_ends_it_at_once_and_it_goes_on_where_it_was(shop: Make, engine: str) -> None:
    one = shop({"per_hour": 600}, contact=LOOSE, engine=engine)
    one.customers(size=30)
    one.start()
    one.tick()
    one.deliver()
    sent = len(one.wire.sent)
    assert 0 < sent < 30
    assert one.stop() == 30 - sent
    one.send(NOW + hours(5))
    assert len(one.wire.sent) == sent
    assert one.reasons() == {"sent": sent, "skipped(stopped)": 30 - sent}
    assert one.status().status == "stopped"
    assert one.resume(NOW + hours(6)) == 30 - sent
    one.send(NOW + hours(6))
    assert len(one.wire.sent) < 30, "the throttle goes on where it was"
    one.send(NOW + hours(7))
    assert len(one.wire.sent) == 30 == len(set(one.wire.keys))
    assert one.status().status == "finished"


def test_nothing_goes_out_while_a_stop_is_still_at_work(shop: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    one = shop({})
    one.customers(size=5)
    one.start()
    one.tick()
    monkeypatch.setattr(broadcast_sends, "skip_unsent", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        one.stop()
    one.deliver()
    assert one.wire.sent == []
    monkeypatch.undo()
    one.tick()
    assert one.reasons() == {"skipped(stopped)": 5}
    assert one.status().status == "stopped"


def test_a_stop_while_it_is_queued_leaves_the_rest_for_the_resume(shop: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    one = shop({})
    one.customers(size=25)
    monkeypatch.setattr(advance, "CHUNK", 10)
    monkeypatch.setattr(advance, "PER_TICK", 10)
    one.start()
    one.tick_once()
    assert one.stop() == 10
    one.tick()
    assert len(one.rows("id")) == 10
    one.resume()
    one.send()
    assert len(one.wire.sent) == 25


def test_a_cap_that_is_full_and_consent_taken_back_are_respected_at_send(shop: Make) -> None:
    one = shop({}, {"id": "second"})
    ids = one.customers(size=3)
    one.start()
    one.tick()
    with one.workspace.store.begin() as connection:
        consents.record(
            connection, [Consent(ids[0], "email", "*", "unsubscribed", NOW, "link", holds_for="person")], NOW
        )
    one.deliver()
    assert one.reasons() == {"skipped(unsubscribed)": 1, "sent": 2}
    later = NOW + hours(2)
    assert one.preview("second", later).skipped == {"cap.email.1d": 2, "unsubscribed": 1}
    one.start("second", later)
    one.send(later)
    assert one.status("second").skipped == {"cap.email.1d": 2, "unsubscribed": 1}
    tomorrow = NOW + hours(25)
    assert one.preview("second", tomorrow).would_get == 2


def test_at_night_the_caps_are_counted_in_the_morning_when_it_goes(shop: Make) -> None:
    one = shop({}, {"id": "second"})
    one.customers(size=2)
    morning, night = MIDNIGHT + hours(7), MIDNIGHT + hours(22)
    one.start(at=morning)
    one.send(morning)
    found = one.preview("second", night)
    assert (found.would_get, found.held, found.skipped) == (2, 2, {})
    one.start("second", night)
    one.send(night)
    assert one.reasons() == {"sent": 2, "held(quiet_hours)": 2}
    one.send(morning + hours(24))
    assert one.reasons() == {"sent": 4}


def test_who_has_been_silent_for_long_is_left_alone(shop: Make) -> None:
    one = shop({})
    one.customers(size=2)
    late = NOW + timedelta(days=200)
    assert one.preview(at=NOW + timedelta(days=190)).would_get == 2
    with one.workspace.store.begin() as connection:
        connection.exec_driver_sql("DELETE FROM suppressions")
    one.tick(late)
    assert one.preview(at=late).skipped == {"sunset": 2}
    one.start(at=late)
    one.send(late)
    assert one.wire.sent == []


def test_a_brake_keeps_a_sending_from_being_queued_and_says_so(shop: Make) -> None:
    one = shop({})
    one.customers(size=3)
    with one.workspace.store.begin() as connection:
        sending_switches.set_breaker(connection, "email.marketing", True, "complaints", NOW)
    warning = "Sending of email.marketing is stopped (too many complaints): messages are queued once it is released."
    assert one.preview().warnings == [warning]
    one.start()
    one.send()
    assert (one.status().status, one.rows("id")) == ("scheduled", [])
    assert one.status().trouble == "a circuit breaker is open: email.marketing (too many complaints)"
    assert one.status(locale="ru").trouble == "сработал предохранитель: email.marketing (слишком много жалоб)"
    assert one.preview(locale="it").warnings == [
        "L’invio di email.marketing è fermo (troppe segnalazioni di spam): "
        "i messaggi entrano in coda quando viene sbloccato."
    ]
    with one.workspace.store.begin() as connection:
        sending_switches.set_breaker(connection, "email.marketing", False, "", NOW)
    one.send()
    assert len(one.wire.sent) == 3


def test_coupons_are_taken_when_sent_and_a_short_pool_is_warned_of(shop: Make) -> None:
    one = shop({"coupon": "spring"}, coupons=[{"id": "spring"}])
    one.customers(size=3)
    one.codes("spring", "A", "B")
    assert one.preview().warnings == ["The pool “spring” has 2 codes for 3 customers."]
    one.start()
    one.send()
    assert one.reasons() == {"sent": 2, "skipped(no_coupon)": 1}
    assert {code for code in "AB" for m in one.wire.sent if f" {code} " in m.content.html} == {"A", "B"}


def test_what_waits_too_long_is_dropped(shop: Make) -> None:
    one = shop({"expires": "3h"})
    one.customers(size=2)
    one.start()
    one.tick()
    one.deliver(NOW + hours(4))
    assert one.reasons() == {"skipped(expired)": 2}


def test_it_is_sent_once_unless_told_otherwise(shop: Make) -> None:
    one = shop({}, contact=LOOSE)
    one.customers(size=2)
    with pytest.raises(NotFoundError):
        one.start("nope")
    one.start()
    with pytest.raises(ConflictError, match="being sent"):
        one.start()
    one.send()
    with pytest.raises(ConflictError, match="was sent on"):
        one.start()
    one.start(again=True)
    one.send()
    assert len(one.wire.sent) == 4
    assert one.status().status == "finished"


def test_a_broadcast_taken_out_of_the_playbook_stops(shop: Make) -> None:
    one = shop({"send_at": "2026-03-05T15:00:00Z"})
    one.customers(size=2)
    one.start()
    one.tick()
    one.apply(playbook({"id": "other"}))
    one.tick(NOW + hours(1))
    assert one.status().status == "stopped"
