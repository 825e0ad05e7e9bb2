"""Messages: one per key for ever, found in every way news names them, stopped and tried again."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
import pytest

from keepers.model.errors import NotFoundError
from keepers.store.database import Store
from keepers.store.messages import message_history, messages
from keepers.store.messages.messages import MessageRow, key_of

NOW = datetime(2026, 3, 1, 12)


def message(key: str, profile_id: int = 1, **changes) -> MessageRow:
    made = MessageRow(key, profile_id, "welcome_1", "email", "news", "a@example.com", "hash", NOW, NOW)
    return msgspec.structs.replace(made, **changes)


def test_a_key_is_queued_once(store: Store) -> None:
    with store.begin() as connection:
        first = messages.queue(connection, [message("a", data={"trigger": {"x": "ż"}}), message("b"), message("a")])
        assert sorted(first) == ["a", "b"]
        assert sorted(messages.queue(connection, [message("c"), message("b")])) == ["c"]
        assert messages.get(connection, first["a"]).data == {"trigger": {"x": "ż"}}
        assert messages.by_keys(connection, ["a", "z"])["a"].id == first["a"]
        with pytest.raises(NotFoundError):
            messages.get(connection, 99)


def test_keys_differ_in_every_part_and_fit_an_address() -> None:
    parts = [(1, "a", 1, "email", "h"), (1, "a", 2, "email", "h"), (11, "a", 1, "email", "h"), (1, "a", 1, "sms", "h")]
    keys = {key_of(*part) for part in parts}
    assert len(keys) == 4
    assert all(len(key) == 24 and key.isalnum() and key == key.lower() for key in keys)
    assert key_of("ab", "c") != key_of("a", "bc")


def test_messages_are_found_by_what_news_of_them_name(store: Store) -> None:
    with store.begin() as connection:
        messages.queue(
            connection,
            [
                message("a", message_id="<a@x>", provider_id="p1", counted_at=NOW, sent_at=NOW),
                message("b", counted_at=NOW, sent_at=NOW), message("c"), message("d", channel="sms", provider_id="p1"),
            ],
        )  # fmt: skip
        assert messages.by_message_ids(connection, ["<a@x>"])["<a@x>"].key == "a"
        assert messages.by_provider_ids(connection, "email", ["p1"])["p1"].key == "a"


def test_what_is_not_out_yet_can_be_stopped(store: Store) -> None:
    with store.begin() as connection:
        ids = messages.queue(
            connection,
            [
                message("a", run_id=1), message("b", run_id=1, status="sent"), message("c", run_id=2),
                message("d", run_id=1, status="held"), message("e", broadcast="news"),
            ],
        )  # fmt: skip
        assert messages.skip_unfinished(connection, "exited", NOW, run_ids=[1]) == 2
        assert messages.skip_unfinished(connection, "stopped", NOW, broadcast="news") == 1
        found = messages.get_many(connection, list(ids.values()))
        assert [found[ids[k]].status for k in "abcde"] == ["skipped", "sent", "queued", "skipped", "skipped"]
        assert message_history.of_messages(connection, [ids["a"]])[ids["a"]][0].reason == "exited"
        counts = messages.counts(connection, journey="")
        assert {(c.status, c.reason): c.number for c in counts} == {
            ("skipped", "exited"): 2, ("skipped", "stopped"): 1, ("queued", ""): 1, ("sent", ""): 1,
        }  # fmt: skip


def test_dead_letters_are_listed_and_tried_again(store: Store) -> None:
    with store.begin() as connection:
        ids = messages.queue(
            connection,
            [message("a", status="failed", attempts=5, expires_at=NOW - timedelta(1)), message("b", status="sent")],
        )
        assert [m.key for m in messages.with_status(connection, "failed")] == ["a"]
        assert messages.retry(connection, list(ids.values()), NOW) == 1
        again = messages.get(connection, ids["a"])
        assert (again.status, again.attempts, again.expires_at) == ("queued", 0, None)
