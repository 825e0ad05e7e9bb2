"""Consent: the newest statement counts, changes are told once, and suppression survives everything."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from keepers.model.consent import Consent, Topic, address_hash, request_id
from keepers.store.database import Store
from keepers.store.events import log
from keepers.store.profiles import consents, merge_rows, suppressions
from keepers.store.profiles.suppressions import Suppression
from keepers.store.secret import workspace_secret

NOW = datetime(2026, 3, 1, 12)
HOUR = timedelta(hours=1)


def statement(
    state: str, topic: str = "news", at: datetime = NOW, profile_id: int = 1, channel: str = "email"
) -> Consent:
    return Consent(profile_id, channel, topic, state, at, "form", wording="I agree", holds_for="person")


def recorded(connection) -> list[tuple[str, object]]:
    """What the log says, as (event, traits or topic)."""
    rows = []
    for row in log.read(connection, 0, 100):
        body = msgspec.json.decode(row.body)
        rows.append((row.event, body["traits"] if row.kind == "identify" else body["properties"]["topic"]))
    return rows


def counts(connection, topic: str, profile_id: int = 1, channel: str = "email", address: str = "") -> str | None:
    """The state that counts for a customer at an address, given by its hash."""
    found = consents.load(connection, [profile_id], [address]).effective(profile_id, channel, topic, address)
    return found.state if found is not None else None


def test_the_newest_statement_counts_whatever_the_order_of_arrival(store: Store) -> None:
    with store.begin() as connection:
        consents.record(connection, [statement("unsubscribed"), statement("subscribed", at=NOW - HOUR)], NOW)
        assert counts(connection, "news") == "unsubscribed"
        assert counts(connection, "news", profile_id=2) is None
        consents.record(connection, [statement("subscribed", at=NOW + HOUR)], NOW + HOUR)
        assert counts(connection, "news") == "subscribed"
        assert [c.state for c in consents.history(connection, 1)] == ["unsubscribed", "subscribed", "subscribed"]
        assert len(list(consents.everything(connection, chunk=2))) == 3


def test_a_change_is_told_as_traits_and_one_event_and_a_repeat_is_not(store: Store) -> None:
    with store.begin() as connection:
        assert consents.record(connection, [statement("subscribed")], NOW)
        assert not consents.record(connection, [statement("subscribed", at=NOW + HOUR)], NOW + HOUR)
        consents.record(connection, [statement("unsubscribed", at=NOW + 2 * HOUR)], NOW + 2 * HOUR)
        assert recorded(connection) == [
            ("identify", {"subscribed.email": True, "subscribed.email.news": True}),
            ("Subscribed", "news"),
            ("identify", {"subscribed.email": False, "subscribed.email.news": False}),
            ("Unsubscribed", "news"),
        ]


def test_leaving_all_topics_leaves_each_of_them(store: Store) -> None:
    with store.begin() as connection:
        consents.record(connection, [statement("subscribed", "a"), statement("subscribed", "b")], NOW)
        consents.record(connection, [statement("unsubscribed", "*", NOW + HOUR)], NOW + HOUR)
        assert counts(connection, "a") == "unsubscribed"
        assert counts(connection, "a", channel="sms") is None
        gone = {"subscribed.email": False, "subscribed.email.a": False, "subscribed.email.b": False}
        assert recorded(connection)[-2:] == [("identify", gone), ("Unsubscribed", "*")]
        consents.record(connection, [statement("subscribed", "a", NOW + 2 * HOUR)], NOW + 2 * HOUR)
        assert counts(connection, "a") == "subscribed"
        assert counts(connection, "b") == "unsubscribed"
        back = {"subscribed.email": True, "subscribed.email.a": True}
        assert recorded(connection)[-2:] == [("identify", back), ("Subscribed", "a")]


def test_a_second_yes_is_asked_for_and_takes_nothing_from_who_said_it_before(store: Store) -> None:
    topic = Topic("news", double_opt_in=True)
    with store.begin() as connection:
        assert consents.request(connection, statement("subscribed"), topic, NOW).state == "pending"
        assert recorded(connection) == []
        (waiting,) = consents.history(connection, 1)
        assert not consents.confirm(connection, 1, request_id(statement("pending", at=NOW + HOUR)), NOW, "mail")
        assert consents.confirm(connection, 1, request_id(waiting), NOW + HOUR, "mail")
        assert not consents.confirm(connection, 1, request_id(waiting), NOW + HOUR, "mail")
        assert (
            consents.request(connection, statement("subscribed", at=NOW + 2 * HOUR), topic, NOW).state == "subscribed"
        )
        assert consents.history(connection, 1)[-1].wording == "I agree"
        assert [event for event, _ in recorded(connection)] == ["identify", "Subscribed"]
        plain = Topic("plain", basis="legitimate_interest")
        assert consents.request(connection, statement("subscribed", "plain"), plain, NOW).basis == "legitimate_interest"


def test_an_import_is_seen_in_conditions_but_starts_nothing(store: Store) -> None:
    with store.begin() as connection:
        consents.record(connection, [statement("subscribed", profile_id=i) for i in (1, 2)], NOW, is_import=True)
        assert [event for event, _ in recorded(connection)] == ["identify", "identify"]


def test_a_merged_customer_s_statements_count_for_the_survivor(store: Store) -> None:
    with store.begin() as connection:
        consents.record(
            connection, [statement("subscribed"), statement("unsubscribed", profile_id=2, at=NOW + HOUR)], NOW
        )
    with store.begin() as connection:
        merge_rows.merge(connection, [(2, 1, NOW)])
        assert counts(connection, "news") == "unsubscribed"
        assert counts(connection, "news", profile_id=2) is None


def test_a_suppressed_address_is_found_by_its_hash_in_every_spelling(store: Store) -> None:
    secret = workspace_secret(store)
    assert secret == workspace_secret(store)
    assert len(secret) == 32
    known, other = (address_hash(secret, "email", a) for a in ("Anna@Example.com ", "b@example.com"))
    with store.begin() as connection:
        suppressions.add(connection, [Suppression("email", known, "unsubscribed", NOW)])
        suppressions.add(connection, [])
        found = suppressions.find(connection, [address_hash(secret, "email", "anna@example.com"), other])
        assert found == {("email", known): Suppression("email", known, "unsubscribed", NOW)}
        assert list(suppressions.everything(connection)) == list(found.values())


def test_a_weaker_reason_does_not_take_the_place_of_a_stronger(store: Store) -> None:
    with store.begin() as connection:
        for reason in ("unsubscribed", "hard_bounce", "complaint", "hard_bounce"):
            suppressions.add(connection, [Suppression("email", "h", reason, NOW), Suppression("sms", "i", reason, NOW)])
        assert {s.reason for s in suppressions.everything(connection, chunk=1)} == {"hard_bounce"}
        assert suppressions.lift(connection, "email", "h")
        assert not suppressions.lift(connection, "email", "h")
        assert list(suppressions.find(connection, ["h", "i"])) == [("sms", "i")]
