"""Uncertain messages settled together: sent again, taken as sent, or given up; counted apart until then."""

from __future__ import annotations

from typing import Any

import pytest

from keepers.delivery.settling import Chosen, SettledPart, UncertainCount, count, settle
from keepers.model.consent import FORGOTTEN
from keepers.model.message import Outcome, Settlement
from keepers.store.bulk import update_rows
from keepers.store.database import Store
from keepers.store.messages.restored import mark_uncertain
from keepers.store.schema.messages import messages
from unit.delivery.posting import LOOSE, NOW, Post, Wire, hours

BROKEN = Outcome("failed", "the connection broke", code="uncertain")


def _uncertain(post: Post, number: int, first: int = 0, **changes: Any) -> list[int]:
    ids = post.queue(*(post.message(n, **changes) for n in range(first, first + number)))
    post.deliver(Wire(lambda _: BROKEN))
    assert set(post.statuses(ids)) == {"uncertain(connection_broke)"}
    return ids


def _settle(post: Post, chosen: Chosen, settlement: Settlement, limit: int = 1000) -> int:
    settled, last = 0, 0
    while True:
        with post.store.begin() as connection:
            part = settle(connection, chosen, settlement, NOW + hours(1), after=last, limit=limit)
        if not part.found:
            return settled
        settled, last = settled + part.settled, part.last


def test_all_of_a_journey_are_sent_again_once(store: Store) -> None:
    post = Post(store, LOOSE)
    of_journey, others = _uncertain(post, 7, journey="welcome"), _uncertain(post, 2, 100, journey="other")
    before = [post.at(id).message_id for id in of_journey]
    assert _settle(post, Chosen(journey="welcome"), "retry", limit=3) == 7
    assert post.statuses(of_journey) == ["queued(retried)"] * 7
    wire = Wire()
    assert post.deliver(wire, NOW + hours(2)).sent == 7
    assert set(post.statuses(of_journey)) == {"sent"}
    # The receiving side can know it again.
    assert [post.at(id).message_id for id in of_journey] == before
    assert set(post.statuses(others)) == {"uncertain(connection_broke)"}
    assert post.history(of_journey[0]) == ["uncertain", "queued", "sent"]


def test_what_is_taken_as_sent_counts_as_sent_and_is_in_the_log(store: Store) -> None:
    post = Post(store, LOOSE)
    ids = _uncertain(post, 2)
    assert [event for event, _ in post.events()] == []
    assert _settle(post, Chosen(channel="email"), "sent") == 2
    assert post.statuses(ids) == ["sent(settled_by_hand)"] * 2
    assert {post.at(id).sent_at for id in ids} == {NOW}
    assert [event for event, _ in post.events()] == ["Email Sent"] * 2
    assert not post.deliver(Wire(), NOW + hours(2)).sent


def test_what_is_given_up_no_longer_counts_for_the_caps(store: Store) -> None:
    post = Post(store, {"caps": {"email": {"7d": 1}, "all": {}}, "quiet": {"email": {}}})
    (first,) = _uncertain(post, 1)
    (second,) = post.queue(post.message(0, "other"))
    assert not post.deliver(Wire()).sent
    assert post.statuses([second]) == ["skipped(cap.email.7d)"]
    assert _settle(post, Chosen(until=NOW + hours(1)), "not_sent") == 1
    assert post.statuses([first]) == ["skipped(given_up)"]
    (third,) = post.queue(post.message(0, "third"))
    assert post.deliver(Wire(), NOW + hours(2)).sent == 1
    assert post.statuses([third]) == ["sent"]


def test_what_has_no_address_any_more_is_counted_apart_and_stays_uncertain_when_the_rest_is_retried(
    store: Store,
) -> None:
    post = Post(store, LOOSE)
    kept, forgotten = _uncertain(post, 2), _uncertain(post, 3, 10)
    rows = [(f"{FORGOTTEN}{post.at(id).address_hash}", id) for id in forgotten]
    chosen = Chosen(channel="email")
    with store.begin() as connection:
        update_rows(connection, messages, ("recipient",), rows)
        assert count(connection, chosen) == UncertainCount(5, 3)
        assert settle(connection, chosen, "retry", NOW + hours(1)) == SettledPart(5, 2, max(forgotten))
    assert post.statuses(kept) == ["queued(retried)"] * 2
    assert post.statuses(forgotten) == ["uncertain(connection_broke)"] * 3
    assert _settle(post, chosen, "not_sent") == 3
    assert post.statuses(forgotten) == ["skipped(given_up)"] * 3


def test_what_waited_when_a_backup_was_made_is_found_by_the_time_it_was_restored(store: Store) -> None:
    post = Post(store, LOOSE)
    (before,) = _uncertain(post, 1)
    ids = post.queue(*(post.message(n) for n in range(10, 13)))
    with store.begin() as connection:
        assert mark_uncertain(connection, NOW + hours(5)) == 3
        assert count(connection, Chosen(since=NOW + hours(5))) == UncertainCount(3, 0)
        assert count(connection, Chosen(until=NOW + hours(5))) == UncertainCount(1, 0)
    assert post.statuses([before, *ids]) == ["uncertain(connection_broke)"] + ["uncertain(restored)"] * 3
    assert _settle(post, Chosen(since=NOW + hours(5)), "sent") == 3
    assert {post.at(id).sent_at for id in ids} == {NOW + hours(5)}


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (Chosen(journey="a"), 3),
        (Chosen(broadcast="b"), 2),
        (Chosen(channel="sms"), 0),
        (Chosen(since=NOW), 5),
        (Chosen(since=NOW + hours(1)), 0),
        (Chosen(until=NOW), 0),
        (Chosen(journey="a", broadcast="b"), 0),
    ],
)
def test_every_given_part_narrows_what_is_meant(sqlite_store: Store, chosen: Chosen, expected: int) -> None:
    post = Post(sqlite_store, LOOSE)
    _uncertain(post, 3, journey="a")
    _uncertain(post, 2, 10, broadcast="b")
    post.queue(post.message(50, journey="a", status="failed"))
    with sqlite_store.read() as connection:
        assert count(connection, chosen) == UncertainCount(expected, 0)
    assert _settle(post, chosen, "retry") == expected
