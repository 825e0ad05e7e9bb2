"""News of sent messages become statuses, events and consequences, once, however often they are told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from keepers.delivery.feedback import UNTOLD, Feedback, collect_feedback, reclassify
from keepers.delivery.machine_rules import classify
from keepers.model.consent import network_address_hash
from keepers.model.message import OURS, DeliveryReport, Fault, Outcome
from keepers.store.database import Store
from keepers.store.messages import delivery_reports, engagement_requests, sending_switches
from keepers.store.messages.engagement_requests import EngagementRow
from keepers.store.messages.messages import MessageRow
from keepers.store.profiles import consents, profiles, suppressions
from keepers.store.profiles.profiles import StoredProfile
from keepers.store.schema.messages import engagement_requests as requests_table
from keepers.store.schema.messages import messages as table
from unit.delivery.posting import LOOSE, NOW, TOPICS, Post, Wire, hours

LATER = NOW + hours(1)


def rule(request: EngagementRow, message: MessageRow, others: Sequence[EngagementRow]) -> str | None:
    """All links within ten seconds, or HEAD."""
    if request.method == "HEAD":
        return "head"
    near = {other.url for other in others if other.is_click and abs(other.at - request.at) <= timedelta(seconds=10)}
    return "all_links" if len(near) >= 3 else None


def receive(post: Post, *reports: DeliveryReport, at=LATER) -> Feedback:
    with post.store.begin() as connection:
        delivery_reports.append(connection, reports)
    return collect(post, at)


def collect(post: Post, at=LATER, is_machine=rule) -> Feedback:
    return collect_feedback(post.store, post.rules, TOPICS, post.secret, is_machine, at)


def sent(post: Post, *new: MessageRow) -> list[int]:
    ids = post.queue(*new)
    post.deliver(Wire())
    return ids


def report(kind: Any, key: str = "m1", **fields: Any) -> DeliveryReport:
    return DeliveryReport(kind, "email", fields.pop("at", NOW + timedelta(minutes=5)), key, **fields)


def names(post: Post) -> list[str]:
    return [event for event, _ in post.events()]


def test_a_delivery_is_told_once(store: Store) -> None:
    post = Post(store)
    (message_id,) = sent(post, post.message(1))
    assert receive(post, report("delivered"), report("delivered")).reports == 2
    receive(post, report("delivered"))
    assert post.statuses([message_id]) == ["delivered"]
    assert post.history(message_id) == ["sent", "delivered"]
    assert names(post) == ["Email Sent", "Email Delivered"]
    assert not receive(post).reports


def test_news_find_their_message_by_whatever_they_name(store: Store) -> None:
    post = Post(store, LOOSE)
    ids = post.queue(*(post.message(n) for n in range(1, 5)))
    post.deliver(Wire(lambda outgoing: Outcome("sent", provider_id=f"p{outgoing.profile_id}")))
    done = receive(
        post,
        report("delivered"),
        report("delivered", "", message_id="<m2@shop.example>"),
        report("delivered", "", provider_id="p3"),
        report("delivered", "", recipient="P4@Example.com"),
        report("bounced", "nobody", recipient="p4@example.com"),
    )
    assert done.reports == 5
    assert post.statuses(ids) == ["delivered"] * 3 + ["sent"], "an address names no message"


def test_a_hard_bounce_suppresses_even_an_address_nobody_knows(store: Store) -> None:
    post = Post(store)
    (message_id,) = sent(post, post.message(1))
    receive(post, report("delivered"))
    hard = report("bounced", is_hard=True, code="5.1.1", detail="no such user", source="dsn")
    receive(post, hard, report("bounced", "", recipient="other@example.com", is_hard=True))
    receive(post, hard)
    assert post.statuses([message_id]) == ["bounced(hard)"]
    bounced = [properties for event, properties in post.events() if event == "Email Bounced"]
    assert [(p["hard"], p["code"]) for p in bounced] == [(True, "5.1.1")]
    with store.read() as connection:
        found = {s.hash for s in suppressions.everything(connection)}
    assert found == {post.eligibility.hash("email", a) for a in ("p1@example.com", "other@example.com")}


@pytest.mark.parametrize("fault", ["reputation", "content", "server", "policy"])
def test_what_is_not_the_recipient_s_fault_counts_against_no_address(store: Store, fault: Fault) -> None:
    post = Post(store, LOOSE)
    for n in range(8):
        sent(post, post.message(n, recipient="p1@example.com"))
        receive(post, report("bounced", f"m{n}", fault=fault, detail="550 5.7.1 (S3150)", source="dsn"))
    with store.read() as connection:
        assert list(suppressions.everything(connection)) == []
        warned = sending_switches.warned_streams(sending_switches.everything(connection))
    assert warned == ({("email", False)} if fault in OURS else set())
    assert {p["fault"] for event, p in post.events() if event == "Email Bounced"} == {fault}


def test_a_stream_refused_for_who_sends_goes_out_slowly_until_it_is_released(store: Store) -> None:
    post = Post(store, LOOSE)
    for n in range(5):
        sent(post, post.message(n))
        receive(post, report("bounced", f"m{n}", fault="reputation", source="dsn"))
    marketing = post.queue(*(post.message(n) for n in range(10, 20)))
    orders = post.queue(*(post.message(n, topic="orders", is_transactional=True) for n in range(20, 25)))
    post.deliver(Wire())
    assert post.statuses(orders) == ["sent"] * 5
    assert post.statuses(marketing).count("sent") == 1, "a second's worth"
    with store.begin() as connection:
        sending_switches.set_warning(connection, "email.marketing", False, sending_switches.RELEASED, LATER)
    post.deliver(Wire())
    assert post.statuses(marketing) == ["sent"] * 10
    receive(post, report("bounced", "m10", fault="content", source="dsn"))
    with store.read() as connection:
        assert not sending_switches.slowed_streams(sending_switches.everything(connection)), "what was before is past"


def test_strangers_news_concern_the_address_and_no_message(store: Store) -> None:
    post = Post(store, LOOSE)
    with store.begin() as connection:
        profiles.append(connection, [StoredProfile(3, "person", "b3", NOW)])
    ids = sent(post, *(post.message(n) for n in range(1, 4)))
    receive(
        post,
        report("bounced", "", message_id="<lost@x>", recipient="p1@example.com", is_hard=True),
        report("complained", "lost", recipient="p2@example.com"),
        report("unsubscribed", "", recipient="P3@example.com", source="mailto"),
    )
    assert post.statuses(ids) == ["sent"] * 3
    assert names(post) == ["Email Sent"] * 3 + ["Unsubscribed"]
    with store.read() as connection:
        stopped = {s.hash: s.reason for s in suppressions.everything(connection)}
        held = consents.load(connection, [3])
        left = held.effective(3, "email", "*", post.eligibility.hash("email", "p3@example.com"))
    wanted = {"p1": "hard_bounce", "p2": "complaint", "p3": "unsubscribed"}
    assert stopped == {post.eligibility.hash("email", f"{p}@example.com"): reason for p, reason in wanted.items()}
    assert left is not None
    assert left.state == "unsubscribed"


def test_leaving_by_a_message_that_cannot_be_left_leaves_all_marketing(store: Store) -> None:
    post = Post(store)
    sent(post, post.message(1, topic="orders", is_transactional=True))
    receive(post, report("unsubscribed", source="sendgrid"))
    with store.read() as connection:
        held = consents.load(connection, [1])
    left = held.effective(1, "email", "news", post.eligibility.hash("email", "p1@example.com"))
    assert left is not None
    assert (left.topic, left.state) == ("*", "unsubscribed")


def test_nothing_is_dated_ahead_by_a_provider_s_clock(store: Store) -> None:
    post = Post(store, LOOSE)
    ahead = LATER + timedelta(days=3)
    _, opened, _ = sent(post, *(post.message(n) for n in range(1, 4)))
    receive(post, report("unsubscribed", at=ahead), report("opened", "m2", at=ahead), report("clicked", "m3", url="u"))
    with store.read() as connection:
        held = consents.load(connection, [1])
        assert engagement_requests.of_messages(connection, [opened])[opened][0].at == LATER
    left = held.effective(1, "email", "news", post.eligibility.hash("email", "p1@example.com"))
    assert left is not None
    assert left.at == LATER
    # What is too young keeps nothing else from being judged.
    assert "Email Link Clicked" in names(post)
    assert "Email Opened" not in names(post)
    collect(post, LATER + timedelta(minutes=1))
    assert names(post)[-1] == "Email Opened"


def test_a_hit_that_was_committed_late_under_a_lower_id_is_judged_too(store: Store) -> None:
    post = Post(store, LOOSE)
    early, late = sent(post, post.message(1), post.message(2))
    fields = engagement_requests.EngagementRow._fields
    rows = [
        EngagementRow(message_id, NOW, "https://a", "Mail", "", "GET", id=n)
        for message_id, n in ((late, 5), (early, 3))
    ]
    for row in rows:
        with store.begin() as connection:
            connection.execute(requests_table.insert().values(dict(zip(fields, row, strict=True))))
        assert collect(post).requests == 1
    assert [p["message_key"] for event, p in post.events() if event == "Email Link Clicked"] == ["m2", "m1"]


def test_what_bounced_later_frees_its_place_under_the_caps(store: Store) -> None:
    post = Post(store)
    (first,) = sent(post, post.message(1))
    receive(post, report("bounced", code="4.2.2"))
    (second,) = post.queue(post.message(1, "n"))
    post.deliver(Wire(), NOW + hours(2))
    assert post.statuses([first, second]) == ["bounced(soft)", "sent"]
    assert (post.at(first).counted_at, post.at(first).claimed_by) == (None, None)


def test_a_complaint_ends_consent_and_suppresses(store: Store) -> None:
    post = Post(store)
    sent(post, post.message(1))
    receive(post, report("complained", source="arf"), report("complained", source="arf"))
    assert names(post) == ["Email Sent", "Unsubscribed", "Email Marked as Spam"]
    with store.read() as connection:
        held = consents.load(connection, [1])
        assert (
            held.effective(1, "email", "news", post.eligibility.hash("email", "p1@example.com")).state == "unsubscribed"
        )
        assert [s.reason for s in suppressions.everything(connection)] == ["complaint"]
    (again,) = post.queue(post.message(1, "n"), consenting=False)
    post.deliver(Wire(), NOW + timedelta(days=2))
    assert post.statuses([again]) == ["skipped(suppressed.complaint)"]


def test_leaving_by_the_provider_leaves_the_message_s_topic(store: Store) -> None:
    post = Post(store)
    sent(post, post.message(1))
    receive(post, report("unsubscribed", source="sendgrid"), report("unsubscribed"), report("replied"))
    with store.read() as connection:
        held = consents.load(connection, [1])
        assert (
            held.effective(1, "email", "news", post.eligibility.hash("email", "p1@example.com")).state == "unsubscribed"
        )
        assert list(suppressions.everything(connection)) == []
    assert names(post) == ["Email Sent", "Unsubscribed"]


def test_three_complaints_in_a_thousand_stop_marketing(store: Store) -> None:
    post = Post(store, LOOSE)
    sent(post, *(post.message(n) for n in range(1, 5)))
    receive(post, report("complained", "m1"))
    with store.read() as connection:
        known = sending_switches.everything(connection)
    assert sending_switches.warning(known, "email.marketing").on
    assert sending_switches.open_breakers(known) == frozenset()
    receive(post, report("complained", "m2"), report("complained", "m3"))
    with store.read() as connection:
        assert sending_switches.open_breakers(sending_switches.everything(connection)) == {"email.marketing"}


def test_a_warning_goes_by_itself_when_the_rates_recover(store: Store) -> None:
    post = Post(store, LOOSE | {"brakes": {"complaints": {"warn": 0.001, "stop": 0.003}}})
    ids = sent(post, *(post.message(n) for n in range(1, 3)))
    receive(post, report("complained", "m1"))
    collect(post)
    with store.read() as connection:
        assert sending_switches.warning(sending_switches.everything(connection), "email.marketing").on, (
            "nothing has changed"
        )
    with store.begin() as connection:
        # As if a thousand had gone out since, the complained one is past the window.
        connection.execute(table.update().where(table.c.id == ids[0]).values(handed_over_at=None))
    collect(post)
    with store.read() as connection:
        warning = sending_switches.warning(sending_switches.everything(connection), "email.marketing")
    assert (warning.on, warning.reason) == (False, "recovered")


def test_clicks_and_opens_become_events_with_machines_marked(store: Store) -> None:
    post = Post(store, LOOSE)
    person, scanned = sent(post, post.message(1), post.message(2))
    with store.begin() as connection:
        engagement_requests.append(
            connection,
            [
                EngagementRow(person, NOW, "", "Mail", "", "GET"),
                EngagementRow(person, NOW, "https://a", "Mail", "", "GET"),
                *(EngagementRow(scanned, NOW + timedelta(seconds=n), f"https://{n}", "S", "", "GET") for n in range(3)),
                EngagementRow(scanned, NOW + hours(1), "https://1", "Mail", "", "GET"),
                EngagementRow(scanned, NOW + hours(1), "https://1", "Mail", "", "HEAD"),
                EngagementRow(99, NOW, "https://1", "Mail", "", "GET"),
            ],
        )  # fmt: skip
    # The first scanner's hits could still be a person's: nobody is judged before the others could have come.
    assert collect(post, NOW + timedelta(seconds=10)).requests == 0
    assert collect(post, NOW + timedelta(seconds=20)).requests == 6
    assert collect(post, NOW + hours(2)).requests == 2
    assert collect(post, NOW + hours(2)).requests == 0
    events = [(event, p["message_key"], p.get("url"), p["machine"]) for event, p in post.events() if "machine" in p]
    assert events == [
        ("Email Opened", "m1", None, False),
        ("Email Link Clicked", "m1", "https://a", False),
        *(("Email Link Clicked", "m2", f"https://{n}", True) for n in range(3)),
        ("Email Link Clicked", "m2", "https://1", False),
        ("Email Link Clicked", "m2", "https://1", True),
    ]


def test_a_provider_s_clicks_are_judged_like_our_own(store: Store) -> None:
    post = Post(store)
    (message_id,) = sent(post, post.message(1))
    receive(post, report("clicked", url="https://a", user_agent="Mail", ip="192.0.2.1"), report("opened"))
    assert names(post)[1:] == ["Email Link Clicked", "Email Opened"]
    with store.read() as connection:
        kept = engagement_requests.of_messages(connection, [message_id])[message_id]
    assert "192.0.2.1" not in repr(kept)
    assert kept[0].ip_hash == network_address_hash(post.secret, "192.0.2.1")


def test_a_provider_s_word_its_networks_and_its_silence_are_kept_for_the_rules(store: Store) -> None:
    post = Post(store)
    (message_id,) = sent(post, post.message(1))
    reports = [report("opened", is_machine=True), report("opened", ip="17.58.0.1"), report("clicked", url="https://a")]
    receive(post, *reports)
    with store.read() as connection:
        kept = engagement_requests.of_messages(connection, [message_id])[message_id]
    assert sorted((h.is_reported_machine, h.network, h.user_agent) for h in kept) == [
        (False, "", UNTOLD),
        (False, "apple", UNTOLD),
        (True, "", UNTOLD),
    ]
    verdicts = {classify(h, kept, 5) for h in kept}
    assert verdicts == {"said", "apple_privacy", ""}


def test_rules_are_asked_again_over_what_was_judged(store: Store) -> None:
    post = Post(store)
    (message_id,) = sent(post, post.message(1))
    with store.begin() as connection:
        rows = [EngagementRow(message_id, NOW, f"https://{n}", "Mail", "", "GET" if n else "HEAD") for n in range(2)]
        engagement_requests.append(connection, rows)
    collect(post)
    assert reclassify(store, rule, LATER) == 0
    assert reclassify(store, lambda *_: None, LATER) == 1
    with store.read() as connection:
        assert [row.is_machine for row in engagement_requests.read(connection, 0, 9)] == [False, False]
    events = [(p["url"], p["machine"]) for event, p in post.events() if event == "Email Link Clicked"]
    assert events == [("https://0", True), ("https://1", False), ("https://0", False)]


def test_a_chunk_that_fails_is_taken_again_and_tells_nothing_twice(store: Store) -> None:
    post = Post(store)
    (message_id,) = sent(post, post.message(1))
    with store.begin() as connection:
        engagement_requests.append(connection, [EngagementRow(message_id, NOW, "https://a", "Mail", "", "GET")])

    def broken(*_: object) -> str | None:
        raise RuntimeError("a bug in a rule")

    with pytest.raises(RuntimeError):
        collect(post, is_machine=broken)
    collect(post)
    assert names(post) == ["Email Sent", "Email Link Clicked"]
