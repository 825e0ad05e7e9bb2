"""Runs: begun once per entry, saved by whoever read them last, merged with their people."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
import pytest

from keepers.model.errors import ConflictError, NotFoundError
from keepers.store.database import Store
from keepers.store.events import log
from keepers.store.events.log import SystemEvent
from keepers.store.journeys import journey_states, run_history, runs
from keepers.store.journeys.run_history import RunHistoryRow
from keepers.store.journeys.runs import RunRow
from keepers.store.messages import messages
from keepers.store.messages.messages import MessageRow
from keepers.store.profiles import merge_rows

NOW = datetime(2026, 3, 1, 12)


def run(profile_id: int, journey: str = "welcome", entry_key: str = "", **changes) -> RunRow:
    made = RunRow(journey, 1, profile_id, entry_key, NOW, NOW, "hello", NOW)
    return msgspec.structs.replace(made, **changes)


def test_an_entry_begins_one_run_however_often_it_comes(store: Store) -> None:
    with store.begin() as connection:
        first = runs.enter(connection, [run(1), run(2), run(1)])
        assert [r.profile_id for r in first] == [1, 2]
        again = runs.enter(connection, [run(2), run(3), run(1, entry_key="order 7")])
        assert [(r.profile_id, r.entry_key) for r in again] == [(3, ""), (1, "order 7")]
        assert len({r.id for r in (*first, *again)}) == 4
        assert runs.entries_of(connection, "welcome", [1, 2, 9]) == {
            1: [("", NOW, None), ("order 7", NOW, None)],
            2: [("", NOW, None)],
        }


def test_a_run_comes_back_as_it_was_saved(store: Store) -> None:
    with store.begin() as connection:
        (made,) = runs.enter(connection, [run(1, trigger={"order_id": "ä", "at": 1.5}, vars={"call": {"status": 200}})])
        moved = msgspec.structs.replace(
            made, step="rest", visits={"hello": 1}, state={"until": "x"}, wake_at=None, seen_seq=2**40, status="ended",
            ended_at=NOW, reason="goal",
        )  # fmt: skip
        runs.save(connection, [moved])
        assert runs.get(connection, made.id) == msgspec.structs.replace(moved, revision=1)
        with pytest.raises(NotFoundError):
            runs.get(connection, 99)


def test_a_save_over_somebody_else_s_change_is_refused(store: Store) -> None:
    with store.begin() as connection:
        (made, other) = runs.enter(connection, [run(1), run(2)])
        runs.record_answers(connection, [(made.id, "call", {"status": 200, "body": {}})], NOW + timedelta(1))
    with pytest.raises(ConflictError, match="1 of 2"), store.begin() as connection:
        runs.save(connection, [other, msgspec.structs.replace(made, step="rest")])
    with store.begin() as connection:
        found = runs.get_many(connection, [made.id, other.id])
        assert found[made.id].vars == {"call": {"status": 200, "body": {}}}
        assert (found[made.id].wake_at, found[made.id].step) == (NOW + timedelta(1), "hello")
        assert found[other.id] == other
        runs.save(connection, list(found.values()))


def test_runs_are_due_in_order_unless_paused(store: Store) -> None:
    with store.begin() as connection:
        made = runs.enter(
            connection,
            [
                run(1, wake_at=NOW), run(2, wake_at=NOW - timedelta(1)), run(3, wake_at=NOW + timedelta(1)),
                run(4, wake_at=None), run(6, "other"), run(7, status="ended"),
            ],
        )  # fmt: skip
        journey_states.put(connection, "other", True, NOW, "a look first")
        assert [r.profile_id for r in runs.due(connection, NOW, 10)] == [2, 1]
        assert [r.profile_id for r in runs.due(connection, NOW, 1)] == [2]
        assert [r.profile_id for r in runs.due(connection, NOW, 9, after=[made[1].id])] == [1]
        journey_states.put(connection, "other", False, NOW)
        assert [r.profile_id for r in runs.due(connection, NOW, 10)] == [2, 1, 6]
        runs.wake(connection, [made[2].id, made[3].id], NOW - timedelta(2))
        assert [r.profile_id for r in runs.due(connection, NOW, 2)] == [3, 4]


def test_runs_that_wait_for_their_own_words_leave_the_place_to_others(store: Store) -> None:
    with store.begin() as connection:
        spoke = [run(n, wake_at=NOW - timedelta(1), seen_seq=8) for n in range(3)]
        runs.enter(connection, [*spoke, run(3, seen_seq=7), run(4)])
        assert [r.profile_id for r in runs.due(connection, NOW, 2, seen=7)] == [3, 4]
        assert [r.profile_id for r in runs.due(connection, NOW, 2, seen=8)] == [0, 1]


def test_a_run_that_somebody_else_is_changing_is_due_all_the_same(new_store) -> None:
    """One moves runs at a time; whoever puts an answer into a run meanwhile must not keep it from its turn."""
    store = new_store("postgres")
    with store.begin() as connection:
        made = runs.enter(connection, [run(i) for i in range(3)])
    with store.begin() as one, store.read() as other:
        runs.lock(one, [made[0].id])
        assert [r.id for r in runs.due(other, NOW, 9)] == [r.id for r in made]


def test_a_merged_customer_s_runs_go_to_the_survivor_and_a_duplicate_ends(store: Store) -> None:
    with store.begin() as connection:
        made = runs.enter(
            connection,
            [
                run(1, "welcome", "a"), run(2, "welcome", "b"), run(1, "cart", "o1"), run(2, "cart", "o2"),
                run(2, "birthday", "2026"), run(2, "cart", "o1"), run(2, "old", "", status="ended", ended_at=NOW),
            ],
        )  # fmt: skip
        message = MessageRow("k", 2, "m", "email", "t", "a@b.c", "h", NOW, NOW, run_id=made[1].id)
        messages.queue(connection, [message])
    with store.begin() as connection:
        assert merge_rows.merge(connection, [(2, 1, NOW)], several={"cart"}) == 2
        active = runs.of_profiles(connection, [1, 2])
        assert {(r.journey, r.entry_key) for r in active[1]} == {
            ("welcome", "a"), ("cart", "o1"), ("cart", "o2"), ("birthday", "2026")
        }  # fmt: skip
        assert 2 not in active
        ended = runs.get_many(connection, [made[1].id, made[5].id])
        assert {(r.reason, r.status, r.wake_at) for r in ended.values()} == {("merged", "ended", None)}
        assert [row.reason for row in run_history.of_runs(connection, [made[1].id])[made[1].id]] == ["merged"]
        assert "old" in {r.journey for r in runs.of_profiles(connection, [1], only_active=False)[1]}
        assert [m.key for m in messages.of_profile(connection, 1)] == ["k"]


def test_counts_tell_who_waits_where_and_why_runs_ended(store: Store) -> None:
    with store.begin() as connection:
        made = runs.enter(
            connection,
            [
                run(1), run(2, step="rest"), run(3, status="ended", reason="goal"), run(4, "other"),
                run(5, status="ended", reason="goal", version=2),
            ],
        )  # fmt: skip
        run_history.append(
            connection, [RunHistoryRow(r.id, NOW, "hello", 1, "sent", "", {"message": "m"}) for r in made]
        )
        run_history.append(connection, [RunHistoryRow(made[0].id, NOW, "hello", 2, "sent")])
        counted = runs.counts(connection, "welcome")
        assert (counted.entered, counted.active) == (4, 2)
        assert (counted.waiting, counted.ended) == ({"hello": 1, "rest": 1}, {"goal": 2})
        assert runs.counts(connection, "welcome", 2).ended == {"goal": 1}
        assert [tuple(c) for c in run_history.counts(connection, "welcome")] == [("hello", "sent", "", 5, 4)]
        assert run_history.of_runs(connection, [made[0].id])[made[0].id][0].data == {"message": "m"}
        assert [r.profile_id for r in runs.of_journey(connection, "welcome", version=1, after=made[0].id)] == [2]


def test_what_keepers_says_is_a_row_of_the_log(store: Store) -> None:
    with store.begin() as connection:
        log.append_events(connection, [], NOW)
        log.append_events(
            connection,
            [
                SystemEvent(7, "Email Sent", NOW - timedelta(hours=1), {"message": "m"}, hops=2, trust="own"),
                SystemEvent(7, "", NOW, {"subscribed.email": True}, kind="identify", trust="own"),
            ],
            NOW,
        )
        rows = log.read(connection, 0, 10)
    assert [(r.seq, r.kind, r.event, r.source, r.hops) for r in rows] == [
        (1, "track", "Email Sent", "keepers", 2),
        (2, "identify", "identify", "keepers", 0),
    ]
    assert rows[0].time == NOW - timedelta(hours=1)
    assert rows[0].known_at == NOW
    assert msgspec.json.decode(rows[1].body) == {"type": "identify", "traits": {"subscribed.email": True}}
