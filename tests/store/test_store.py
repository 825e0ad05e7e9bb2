"""The nouns of the operational store: counters, bulk resolution, keys, definitions, cursors, the lock."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from datetime import datetime, timedelta
from threading import Thread

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from sqlalchemy import Table, insert
from sqlalchemy.exc import IntegrityError, StatementError

from keepers.app.access.key_ring import KeyRing
from keepers.app.use_cases.actor import COLLECT, Actor
from keepers.model.consent import Consent
from keepers.model.errors import ConflictError, NotFoundError, UserError
from keepers.model.identity import bucket_key
from keepers.store import counters, cursors, definitions, keys, meta
from keepers.store.bulk import CHUNK, insert_rows
from keepers.store.database import Store
from keepers.store.events import inbox, log
from keepers.store.events.inbox import Accepted
from keepers.store.events.log import SystemEvent
from keepers.store.profiles import identities, profiles
from keepers.store.profiles.identities import KnownIdentity
from keepers.store.profiles.push_subscriptions import PushSubscription
from keepers.store.schema import core
from keepers.store.schema import messages as tables
from keepers.store.sequencer_lock import sequencer
from profiles import examples

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456)


def test_counters_hand_out_each_number_once_even_to_many_threads(store: Store) -> None:
    taken: list[int] = []

    def count() -> None:
        for _ in range(10):
            with store.begin() as connection:
                first = counters.reserve(connection, counters.SEQ, 3)
                taken.extend(range(first, first + 3))

    threads = [Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(1, 121))


def test_a_transaction_that_fails_leaves_nothing(store: Store) -> None:
    def fail() -> None:
        with store.begin() as connection:
            identities.resolve_many(connection, "user_id", ["a"], [NOW], is_unproven=False)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with store.read() as connection:
        assert identities.find(connection, "user_id", "a") is None
        assert counters.last(connection, counters.PROFILE_ID) == 0


def test_values_are_resolved_in_bulk_and_created_once(store: Store) -> None:
    values = [f"c{i % 12_000}" for i in range(20_000)]
    times = [NOW + timedelta(seconds=i) for i in range(20_000)]
    assert len(set(values)) > 2 * CHUNK
    with store.begin() as connection:
        ids, is_new = identities.resolve_many(connection, "user_id", values, times, is_unproven=False)
    assert sum(is_new) == 12_000
    assert is_new[:12_000] == [True] * 12_000
    assert ids[12_000:] == ids[:8_000]
    with store.begin() as connection:
        again, is_new_again = identities.resolve_many(
            connection, "user_id", ["new", *reversed(values)], [NOW] * 20_001, is_unproven=False
        )
        made = profiles.get(connection, ids[0])
    assert again[1:] == ids[::-1]
    assert is_new_again == [True, *[False] * 20_000]
    assert (made.kind, made.bucket_key, made.created_at) == ("person", bucket_key("user_id", "c0"), NOW)


awkward = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20)


@examples(0.3, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(awkward, max_size=8))
def test_any_text_identifies_exactly_itself(store: Store, values: list[str]) -> None:
    """Quotes, SQL, right-to-left and four-byte characters are only text; case and accents matter."""
    with store.begin() as connection:
        ids, _ = identities.resolve_many(connection, "anonymous_id", values, [NOW] * len(values), is_unproven=False)
        found = identities.find_many(connection, [("anonymous_id", value) for value in values])
    assert [found["anonymous_id", value] for value in values] == ids
    assert len(set(ids)) == len(set(values))


def test_instants_keep_their_microseconds(store: Store) -> None:
    with store.begin_inbox() as connection:
        inbox.append(connection, [Accepted(NOW, "key", "server", "/v1/track", b"\x00\xff{}")])
    with store.read_inbox() as connection:
        (row,) = inbox.read(connection, 10)
        assert (row.received_at, row.trust, row.body) == (NOW, "server", b"\x00\xff{}")
        assert inbox.oldest(connection) == NOW
        assert inbox.depth(connection) == 1


def test_old_message_notes_are_pruned_in_bounded_steps(store: Store) -> None:
    with store.begin() as connection:
        log.remember(connection, [(bytes([i]) * 16, NOW - timedelta(days=i)) for i in range(60)])
        assert log.prune(connection, NOW, limit=10) == 10
        assert log.prune(connection, NOW, limit=100) == 19
        assert len(log.seen(connection, [bytes([i]) * 16 for i in range(60)])) == 31


def test_a_key_that_is_there_is_refused_in_the_same_words_on_both_engines(store: Store) -> None:
    for expected in (nullcontext(), pytest.raises(IntegrityError)):
        with expected, store.begin() as connection:
            log.remember(connection, [(b"a", NOW)])


def test_keys_are_stored_only_as_hashes(store: Store) -> None:
    with store.begin() as connection:
        key, token = keys.create(connection, "secret", "mine", NOW)
        assert token not in repr(keys.read_all(connection))
        assert keys.read_all(connection) == [key]
    ring = KeyRing(store.read)
    ring.refresh(NOW)
    assert ring.find(token) == key
    assert ring.find("") is None


def test_a_key_that_cannot_be_used_is_refused(store: Store) -> None:
    with store.begin() as connection:
        for kind, token in (("server", "short"), ("write", "żółty"), ("write", "a:colon"), ("admin", None)):
            with pytest.raises(UserError):
                keys.create(connection, kind, "n", NOW, token)
        with pytest.raises(NotFoundError):
            keys.revoke(connection, "key_none", NOW)
    with store.begin() as connection:
        keys.create(connection, "write", "n", NOW, "from-elsewhere")
    with pytest.raises(ConflictError), store.begin() as connection:
        keys.create(connection, "write", "n", NOW, "from-elsewhere")


def test_definitions_keep_their_versions(store: Store) -> None:
    with store.begin() as connection:
        assert definitions.apply(connection, "segment", "vip", "{1}", NOW) == 1
        assert definitions.apply(connection, "segment", "vip", "{1}", NOW) == 1
        assert definitions.apply(connection, "segment", "vip", "{2}", NOW) == 2
        assert definitions.apply(connection, "lifecycle", "value", "{}", NOW) == 1
        assert [(d.id, d.version) for d in definitions.active(connection)] == [("value", 1), ("vip", 2)]
        assert definitions.retire(connection, "segment", "vip")
        assert not definitions.retire(connection, "segment", "vip")
        assert definitions.active(connection, "segment") == []
        assert [d.body for d in definitions.versions(connection, "segment", "vip")] == ["{1}", "{2}"]
        assert definitions.apply(connection, "segment", "vip", "{2}", NOW) == 3


def test_cursors_and_facts(store: Store) -> None:
    with store.begin() as connection:
        assert (cursors.get(connection, "load"), meta.get(connection, "last_tick")) == (0, None)
        for value in (5, 9):
            cursors.put(connection, "load", value)
            meta.put(connection, "last_tick", str(value))
        assert cursors.get(connection, "load") == 9
        assert meta.get(connection, "last_tick") == "9"


def test_a_second_sequencer_is_told_who_holds_the_lock(store: Store) -> None:
    def enter(holder: str) -> None:
        with sequencer(store, holder):
            pass

    with sequencer(store, "keepers serve"), pytest.raises(ConflictError, match="keepers serve"):
        enter("keepers tick")
    with sequencer(store, "keepers tick"):
        pass


def test_a_process_that_dies_frees_the_lock(new_store: Callable[[str], Store]) -> None:
    store = new_store("sqlite")
    program = (
        "import os, sys\n"
        "from keepers.store.database import Store\n"
        "from keepers.store.sequencer_lock import sequencer\n"
        "with sequencer(Store.open(sys.argv[1]), 'a victim'):\n"
        "    os.abort()\n"
    )
    subprocess.run([sys.executable, "-c", program, store.place], check=False, capture_output=True)
    with sequencer(store, "the next"):
        pass


def test_a_folder_that_cannot_be_made_is_a_user_s_mistake(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be made"):
        Store.open(tmp_path / "file" / "data")


def test_a_store_that_does_not_answer_says_so() -> None:
    with pytest.raises(UserError, match="does not answer"):
        Store.open("postgresql://nobody@127.0.0.1:1/none").ping()


@pytest.mark.parametrize(
    "permissive",
    [
        lambda: Actor("visitor", "a visitor", COLLECT),  # type: ignore[call-arg]
        lambda: SystemEvent(1, "Seen", NOW, {}),  # type: ignore[call-arg]
        lambda: Consent(1, "email", "news", "subscribed", NOW, "form"),  # type: ignore[call-arg]
        lambda: PushSubscription("https://push.example/1", 1, {}, NOW),  # type: ignore[call-arg]
        lambda: KnownIdentity("user_id", "u", 1),  # type: ignore[call-arg]
    ],
)
def test_what_says_how_far_something_is_trusted_has_no_default(permissive: Callable[[], object]) -> None:
    with pytest.raises(TypeError):
        permissive()


@pytest.mark.parametrize(
    ("table", "column"),
    [
        (core.log, "trust"),
        (core.identities, "is_unproven"),
        (tables.consents, "holds_for"),
        (tables.push_subscriptions, "is_unproven"),
    ],
)
def test_a_new_row_says_how_far_it_is_trusted(store: Store, table: Table, column: str) -> None:
    others = [c.name for c in table.columns if c.name != column]
    with store.begin() as connection:
        with pytest.raises(StatementError, match="must say this itself"):
            connection.execute(insert(table).values(dict.fromkeys(others)))
        with pytest.raises(ValueError, match=f"{column} has to be given"):
            insert_rows(connection, table, others, [(None,) * len(others)])
