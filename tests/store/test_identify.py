"""Who is who: links, merges, limits, duplicates, and taking a merge back, on both engines."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from itertools import count
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from sqlalchemy import select

from keepers.app.operations.doctor import identity_findings
from keepers.ingest import identify as identify_module
from keepers.ingest import resolve_identities
from keepers.ingest.identify import Identified, identify, unmerge
from keepers.model.errors import ConflictError, NotFoundError
from keepers.model.event import parse_request
from keepers.model.identity import Trust, bucket_key, sign
from keepers.model.json_text import Limits
from keepers.store import keys
from keepers.store.database import Store
from keepers.store.events import inbox, log
from keepers.store.events.inbox import Accepted
from keepers.store.events.log import LogRow
from keepers.store.profiles import identities, merges, profiles
from keepers.store.schema.core import identities as stored_identities
from keepers.warehouse.database import Warehouse
from keepers.warehouse.load import load
from profiles import examples

NOW = datetime(2026, 3, 1, 12)
NUMBERS = count()


def send(
    store: Store, *items: dict[str, Any], trust: Trust = "public", at: datetime = NOW, path: str = "/v1/batch"
) -> Identified:
    messages = [{"messageId": f"m{next(NUMBERS)}", "type": "track", "event": "Seen", **item} for item in items]
    body = json.dumps({"batch": messages}).encode()
    with store.begin_inbox() as connection:
        inbox.append(connection, [Accepted(at, "key_1", trust, path, body)])
    return identify(store, at)


def rows(store: Store, *kinds: str) -> list[LogRow]:
    with store.read() as connection:
        return [row for row in log.read(connection, 0, 10_000) if not kinds or row.kind in kinds]


def who(store: Store, kind: str, value: str) -> int | None:
    with store.read() as connection:
        return identities.find(connection, kind, value)


def test_a_new_subject_is_logged_before_its_first_event(store: Store) -> None:
    send(store, {"userId": "u1"})
    created, seen = rows(store)
    assert (created.kind, seen.kind, seen.event) == ("profile", "track", "Seen")
    assert created.profile_id == seen.profile_id == who(store, "user_id", "u1")
    assert created.seq < seen.seq
    assert json.loads(created.body)["kind"] == "person"


def test_an_anonymous_visitor_becomes_the_user_without_a_merge(store: Store) -> None:
    send(store, {"anonymousId": "a1"})
    send(store, {"type": "identify", "userId": "u1", "anonymousId": "a1"})
    assert who(store, "user_id", "u1") == who(store, "anonymous_id", "a1")
    assert rows(store, "merge") == []


def test_an_anonymous_profile_is_merged_into_a_known_user(store: Store) -> None:
    send(store, {"userId": "u1"}, {"anonymousId": "a1"})
    anonymous = who(store, "anonymous_id", "a1")
    result = send(store, {"userId": "u1", "anonymousId": "a1"})
    assert result.merged == 1
    (merge,) = rows(store, "merge")
    assert (merge.profile_id, merge.other_id) == (anonymous, who(store, "user_id", "u1"))
    assert who(store, "anonymous_id", "a1") == who(store, "user_id", "u1")
    with store.read() as connection:
        assert profiles.survivor(connection, anonymous or 0) == merge.other_id


def test_a_shared_device_does_not_merge_two_users(store: Store) -> None:
    send(store, {"userId": "u1", "anonymousId": "a1"}, {"userId": "u2", "anonymousId": "a1"})
    assert who(store, "user_id", "u1") != who(store, "user_id", "u2")
    assert who(store, "anonymous_id", "a1") == who(store, "user_id", "u1")
    assert rows(store, "track")[-1].profile_id == who(store, "user_id", "u2")


@pytest.mark.parametrize("trust", ["public", "server"])
def test_only_a_trusted_alias_merges_two_known_users(store: Store, trust: Trust) -> None:
    send(store, {"userId": "u1"}, {"userId": "u2"})
    result = send(store, {"type": "alias", "previousId": "u1", "userId": "u2"}, trust=trust)
    assert (who(store, "user_id", "u1") == who(store, "user_id", "u2")) is (trust == "server")
    assert result.merged == int(trust == "server")
    assert result.refused_merges == int(trust == "public")


def test_an_alias_joins_an_anonymous_profile_and_works_before_the_earlier_id_came(store: Store) -> None:
    send(store, {"anonymousId": "a1"}, {"type": "alias", "previousId": "a1", "userId": "u1"})
    assert who(store, "anonymous_id", "a1") == who(store, "user_id", "u1")
    send(store, {"type": "alias", "previousId": "old", "userId": "new"}, trust="server")
    send(store, {"userId": "old"})
    assert who(store, "user_id", "old") == who(store, "user_id", "new")


@pytest.mark.parametrize("value", ["null", "UNDEFINED", " 0 ", "Guest", "none", "NaN", "anonymous", "unknown", ""])
def test_placeholders_identify_nobody(store: Store, value: str) -> None:
    send(store, {"userId": value, "anonymousId": "a1"}, {"userId": value, "anonymousId": "a2"})
    assert who(store, "user_id", value) is None
    assert who(store, "anonymous_id", "a1") != who(store, "anonymous_id", "a2")


def test_nothing_more_is_linked_past_a_thousand_identifiers(store: Store) -> None:
    send(store, *({"userId": "u1", "anonymousId": f"a{i}"} for i in range(1005)), trust="server")
    person = who(store, "user_id", "u1")
    assert person is not None
    with store.read() as connection:
        assert len(identities.of_profiles(connection, [person])[person]) == 1000
        assert profiles.get(connection, person).linking_stopped_at == NOW
    assert {row.profile_id for row in rows(store, "track")} == {person}
    send(store, {"anonymousId": "late"}, trust="server")
    assert send(store, {"userId": "u1", "anonymousId": "late"}, trust="server").merged == 0


def test_what_anybody_links_to_a_customer_leaves_room_for_what_is_proven(store: Store) -> None:
    """A stolen write key links its own visitors to a customer: past 200 the oldest of them make room, and no others."""
    send(store, {"userId": "u1"}, trust="server")
    send(store, *({"userId": "u1", "anonymousId": f"a{i}"} for i in range(205)))
    person = who(store, "user_id", "u1")
    assert person is not None
    with store.read() as connection:
        held = identities.of_profiles(connection, [person])[person]
        assert len(held) == 201
        assert {f"a{i}" for i in range(5)}.isdisjoint(one.value for one in held)
        (finding,) = identity_findings(identities.most_unproven(connection, 200))
        assert finding.values["profile"] == person
        assert identity_findings(identities.most_unproven(connection, 201)) == []
        assert profiles.get(connection, person).linking_stopped_at is None
    with store.begin() as connection:
        _, token = keys.create(connection, "server", "shop", NOW)
    signed = {"context": {"signature": sign(keys.digest_of(token), "u1")}}
    send(store, {"userId": "u1", "anonymousId": "phone"}, trust="server")
    send(store, {"userId": "u1", "anonymousId": "tablet", **signed})
    send(store, {"userId": "u1", "anonymousId": "stranger", "context": {"signature": "0" * 64}})
    assert {name: who(store, "anonymous_id", name) for name in ("phone", "tablet", "stranger")} == {
        "phone": person, "tablet": person, "stranger": person,
    }  # fmt: skip


def test_a_customers_device_is_linked_again_however_many_strangers_were(store: Store) -> None:
    """200 links by a stolen key ended the linking of the customer's own devices for good."""
    send(store, {"userId": "u1"}, trust="server")
    send(store, {"userId": "u1", "anonymousId": "laptop"})
    send(store, *({"userId": "u1", "anonymousId": f"a{i}"} for i in range(100)))
    send(store, *({"anonymousId": f"b{i}"} for i in range(100)))
    send(store, *({"userId": "u1", "anonymousId": f"b{i}"} for i in range(100)))
    person = who(store, "user_id", "u1")
    assert who(store, "anonymous_id", "laptop") is None
    assert send(store, {"anonymousId": "laptop"}).created == 1
    assert send(store, {"userId": "u1", "anonymousId": "laptop"}).merged == 1
    assert who(store, "anonymous_id", "laptop") == person
    assert (who(store, "anonymous_id", "a0"), who(store, "anonymous_id", "a1")) == (None, person)


@pytest.mark.parametrize(("expires", "is_proven"), [(None, True), (1, False), (4_000_000_000, True)])
def test_a_signature_proves_who_it_is_until_it_expires(store: Store, expires: int | None, is_proven: bool) -> None:
    with store.begin() as connection:
        _, token = keys.create(connection, "server", "shop", NOW)
    context = {"signature": sign(keys.digest_of(token), "u1", expires), "expires": expires}
    send(store, {"userId": "u1", "anonymousId": "phone", "context": context})
    send(store, *({"userId": "u1", "anonymousId": f"a{i}"} for i in range(200)))
    assert (who(store, "anonymous_id", "phone") == who(store, "user_id", "u1")) is is_proven


@pytest.mark.parametrize("by", ["a signature", "the server"])
@pytest.mark.parametrize("is_new", [True, False], ids=["new customer", "known customer"])
def test_a_device_that_is_named_with_proof_is_kept_whoever_linked_it_before(
    store: Store, by: str, is_new: bool
) -> None:
    """A device stayed without proof when its visitor came first, and 200 links by a stolen key took it away."""
    with store.begin() as connection:
        _, token = keys.create(connection, "server", "shop", NOW)
    proof: dict[str, Any] = {"context": {"signature": sign(keys.digest_of(token), "u1")}} if by == "a signature" else {}
    trust: Trust = "public" if proof else "server"
    if not is_new:
        send(store, {"userId": "u1"}, trust="server")
    send(store, {"anonymousId": "visited"}, {"anonymousId": "old"}, {"anonymousId": "beside"})
    send(store, {"userId": "u1", "anonymousId": "visited", **proof}, trust=trust)
    person = who(store, "user_id", "u1")
    send(store, {"userId": "u1", "anonymousId": "claimed"}, {"userId": "u1", "anonymousId": "beside"})
    send(store, {"userId": "u1", "anonymousId": "claimed", **proof},
         {"userId": "u1", "anonymousId": "first seen", **proof},
         {"type": "alias", "userId": "u1", "previousId": "old", **proof}, trust=trust)  # fmt: skip
    send(store, *({"userId": "u1", "anonymousId": f"a{i}"} for i in range(100)))
    send(store, *({"anonymousId": f"b{i}"} for i in range(101)))
    send(store, *({"userId": "u1", "anonymousId": f"b{i}"} for i in range(101)))
    names = ("visited", "claimed", "first seen", "old")
    assert {name: who(store, "anonymous_id", name) for name in names} == dict.fromkeys(names, person)
    # What is beside it in a visitor that is joined, or linked without proof, is not proven.
    assert who(store, "anonymous_id", "beside") is None
    with store.read() as connection:
        held = identities.of_profiles(connection, [person or 0])[person or 0]
    assert {one.value for one in held if not one.is_unproven} == {"u1", *names}


def test_nobody_chooses_the_samples_of_a_customer_to_come(store: Store) -> None:
    """Linked to a visitor of the attacker's choice, a user id had that visitor's arm in experiments for good."""
    chosen, own = bucket_key("anonymous_id", "chosen"), bucket_key("user_id", "u1")
    live, again = (Warehouse.open(None, zone="UTC", threads=1) for _ in range(2))

    def everybody(warehouse: Warehouse) -> list[tuple[int, str]]:
        load(warehouse, rows(store))
        return warehouse.cursor().execute("SELECT profile_id, bucket_key FROM profiles ORDER BY 1").fetchall()

    send(store, {"anonymousId": "chosen"}, {"type": "identify", "userId": "u1", "anonymousId": "chosen"})
    person = who(store, "user_id", "u1")
    assert person is not None
    assert everybody(live) == [(person, chosen)]
    send(store, {"userId": "u1"}, {"userId": "u1"}, trust="server")
    assert everybody(live) == [(person, own)]
    with store.read() as connection:
        assert profiles.get(connection, person).bucket_key == own
        assert identities.unproven(connection, "user_id", ["u1"]) == set()
    # A visitor whom the server itself names keeps what they saw, and from the log alone all is the same.
    send(
        store, {"anonymousId": "shopper"}, {"userId": "u2", "anonymousId": "shopper"}, {"userId": "u2"}, trust="server"
    )
    assert everybody(live)[1:] == [(person + 1, bucket_key("anonymous_id", "shopper"))]
    assert everybody(again) == everybody(live)
    for opened in (live, again):
        opened.close()


@pytest.mark.parametrize("first", ["the server", "the attacker's browser"])
def test_what_a_server_says_of_a_visitor_is_never_a_customers_without_proof(store: Store, first: str) -> None:
    """The attacker checks out as a guest, so the server names their visitor; then they say that it is the customer."""
    guest = {"type": "identify", "anonymousId": "cookie", "traits": {"email": "attacker@example.com"}}
    send(store, {"userId": "victim"}, trust="server")
    if first != "the server":
        send(store, {"anonymousId": "cookie"})
    send(store, guest, trust="server")
    for claim in (
        {"type": "identify", "userId": "victim", "anonymousId": "cookie"},
        {"type": "identify", "userId": "next victim", "anonymousId": "cookie"},
        {"type": "alias", "userId": "third victim", "previousId": "cookie"},
        {"type": "alias", "anonymousId": "other", "previousId": "cookie"},
        {"type": "identify", "userId": "victim", "anonymousId": "other"},
    ):
        send(store, claim)
    visitor = who(store, "anonymous_id", "cookie")
    victims = {who(store, "user_id", name) for name in ("victim", "next victim", "third victim")}
    assert visitor not in victims
    assert len(victims) == 3
    (stated,) = [row for row in rows(store, "identify") if b"attacker@" in row.body]
    assert (stated.profile_id, stated.trust) == (visitor, "server")
    # By the server's own word it is.
    send(store, {"type": "identify", "userId": "victim", "anonymousId": "cookie"}, trust="server")
    assert who(store, "anonymous_id", "cookie") == who(store, "user_id", "victim")


def test_what_a_server_says_of_a_visitor_that_is_said_to_be_a_customer_is_not_trusted(store: Store) -> None:
    send(store, {"userId": "victim"}, trust="server")
    send(store, {"type": "identify", "userId": "victim", "anonymousId": "cookie"})
    for _ in range(2):
        guest = {"type": "identify", "anonymousId": "cookie", "traits": {"email": "attacker@example.com"}}
        send(store, guest, trust="server")
    assert [row.trust for row in rows(store, "identify")] == ["public"] * 3
    # Once the server names both, it knows whose the visitor is.
    send(store, {"type": "identify", "userId": "victim", "anonymousId": "cookie"}, trust="server")
    send(store, {"type": "identify", "anonymousId": "cookie"}, trust="server")
    assert [row.trust for row in rows(store, "identify")][3:] == ["server"] * 2


def test_a_group_makes_an_account_and_names_it(store: Store) -> None:
    send(store, {"type": "group", "userId": "u1", "groupId": "g1", "traits": {"name": "Acme"}})
    (joined,) = rows(store, "group")
    assert joined.other_id == who(store, "group_id", "g1")
    assert [json.loads(row.body)["kind"] for row in rows(store, "profile")] == ["person", "account"]


def test_a_message_is_taken_once_within_thirty_days(store: Store) -> None:
    same = {"userId": "u1", "messageId": "same"}
    assert send(store, same, same).duplicates == 1
    assert send(store, same, at=NOW + timedelta(days=29)).duplicates == 1
    assert send(store, same, at=NOW + timedelta(days=31)).events == 1
    assert len(rows(store, "track")) == 2


def test_a_batch_that_was_logged_but_not_removed_is_not_doubled(
    sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(identify_module.inbox, "remove", die)
        with pytest.raises(KeyboardInterrupt):
            # No messageId: even then the repeat must be seen as one.
            send(sqlite_store, {"userId": "u1", "messageId": None}, {"anonymousId": "a1", "messageId": None})
    before = rows(sqlite_store)
    again = identify(sqlite_store, NOW)
    assert (again.events, again.duplicates) == (0, 2)
    assert rows(sqlite_store) == before


def test_what_arrives_while_the_inbox_is_worked_off_waits_for_the_next_run(
    sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def arrive() -> None:
        body = json.dumps({"userId": "u1", "event": "Seen"}).encode()
        with sqlite_store.begin_inbox() as connection:
            inbox.append(connection, [Accepted(NOW, "key_1", "public", "/v1/track", body)])

    one_batch = identify_module.identify_batch

    def with_an_arrival(*arguments: Any) -> bool:
        arrive()
        return one_batch(*arguments)

    arrive()
    monkeypatch.setattr(identify_module, "identify_batch", with_an_arrival)
    assert identify(sqlite_store, NOW).events == 1


def test_what_was_accepted_by_wider_limits_is_kept_by_a_tick(sqlite_store: Store) -> None:
    wide = Limits(event_bytes=100_000)
    body = json.dumps({"userId": "u1", "event": "Seen", "properties": {"text": "x" * 50_000}}).encode()
    assert parse_request("/v1/track", body, NOW, wide).items
    with sqlite_store.begin_inbox() as connection:
        inbox.append(connection, [Accepted(NOW, "key_1", "public", "/v1/track", body)])
    assert identify(sqlite_store, NOW, wide).events == 1


def test_late_events_are_history_and_future_ones_and_those_of_public_keys_are_not(store: Store) -> None:
    late, recent, future = NOW - timedelta(days=30), NOW - timedelta(days=1), NOW + timedelta(days=9)
    times = [{"userId": "u", "timestamp": t.isoformat() + "Z"} for t in (late, recent, future)]
    send(store, *times, trust="server")
    assert [row.known_at for row in rows(store, "track")] == [late, NOW, NOW]
    imported = {"userId": "i", "timestamp": recent.isoformat() + "Z"}
    send(store, imported, path="/v1/import", trust="server")
    assert rows(store, "track")[-1].known_at == recent
    send(store, *times, imported, path="/v1/import")
    send(store, *times)
    assert {row.known_at for row in rows(store)[-7:]} == {NOW}
    assert [row.time for row in rows(store)[-3:]] == [late, recent, NOW]


def test_an_unmerge_gives_the_identifiers_back_and_lasts(store: Store) -> None:
    send(store, {"userId": "u1"}, {"anonymousId": "a1"})
    anonymous = who(store, "anonymous_id", "a1") or 0
    send(store, {"userId": "u1", "anonymousId": "a1"})
    assert unmerge(store, anonymous, NOW) == who(store, "user_id", "u1")
    assert who(store, "anonymous_id", "a1") == anonymous
    assert (rows(store)[-1].kind, rows(store)[-1].profile_id) == ("unmerge", anonymous)
    assert send(store, {"userId": "u1", "anonymousId": "a1"}).merged == 0
    with pytest.raises(ConflictError):
        unmerge(store, anonymous, NOW)
    with pytest.raises(NotFoundError):
        unmerge(store, 10**9, NOW)


@pytest.mark.parametrize("trust", ["public", "server"])
def test_an_unmerge_proves_nothing(store: Store, trust: Trust) -> None:
    send(store, {"userId": "u1"}, {"anonymousId": "a1"}, trust=trust)
    anonymous = who(store, "anonymous_id", "a1") or 0
    send(store, {"userId": "u1", "anonymousId": "a1"}, trust=trust)
    unmerge(store, anonymous, NOW)
    with store.read() as connection:
        (returned,) = identities.of_profiles(connection, [anonymous])[anonymous]
    assert returned.is_unproven is (trust == "public")


def test_who_was_taken_out_stays_apart_from_whoever_took_the_other_in(store: Store) -> None:
    send(store, {"anonymousId": "a1"})
    send(store, {"anonymousId": "b1"})
    first = who(store, "anonymous_id", "a1")
    send(store, {"type": "alias", "anonymousId": "b1", "previousId": "a1"})
    send(store, {"userId": "u1"})
    send(store, {"userId": "u1", "anonymousId": "b1"})
    unmerge(store, first, NOW)
    assert send(store, {"userId": "u1", "anonymousId": "a1"}).refused_merges == 1
    assert who(store, "anonymous_id", "a1") == first


def test_a_chain_of_merges_in_one_batch_can_be_taken_apart(store: Store) -> None:
    send(
        store,
        {"userId": "u1"}, {"userId": "u2"}, {"userId": "u3"},
        {"type": "alias", "previousId": "u1", "userId": "u2"},
        {"type": "alias", "previousId": "u2", "userId": "u3"},
        trust="server",
    )  # fmt: skip
    first, second = (merge.profile_id for merge in rows(store, "merge"))
    last = who(store, "user_id", "u3")
    assert who(store, "user_id", "u1") == who(store, "user_id", "u2") == last
    unmerge(store, second, NOW)
    assert (who(store, "user_id", "u1"), who(store, "user_id", "u2")) == (second, second)
    unmerge(store, first, NOW)
    assert (who(store, "user_id", "u1"), who(store, "user_id", "u2")) == (first, second)
    with store.read() as connection:
        assert merges.current(connection, first) is merges.current(connection, second) is None


ids = st.sampled_from(["1a", "1b", "1c", "1d", "1e"])
people = st.fixed_dictionaries(
    {"type": st.sampled_from(["track", "identify", "alias"]), "previousId": ids},
    optional={"userId": ids, "anonymousId": ids},
).filter(lambda m: "userId" in m or "anonymousId" in m)


@examples(0.3, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(people, st.sampled_from(["public", "server"])), max_size=12))
def test_one_batch_equals_many_small_ones(new_store: Any, arrivals: list[tuple[dict[str, Any], Trust]]) -> None:
    """The decisions made in memory are those the store would have led to, message by message; also where there is room
    for two links without proof."""
    with patch.object(resolve_identities, "MOST_UNPROVEN", 2):
        _require_same_decisions(new_store, arrivals)


def _require_same_decisions(new_store: Any, arrivals: list[tuple[dict[str, Any], Trust]]) -> None:
    together, apart = new_store("sqlite"), new_store("sqlite")
    bodies = []
    for number, (item, trust) in enumerate(arrivals):
        body = json.dumps({"batch": [{"event": "E", "messageId": str(number), **item}]}).encode()
        bodies.append(Accepted(NOW, "key", trust, "/v1/batch", body))
    with together.begin_inbox() as connection:
        inbox.append(connection, bodies)
    identify(together, NOW)
    for body in bodies:
        with apart.begin_inbox() as connection:
            inbox.append(connection, [body])
        identify(apart, NOW)
    assert rows(together) == rows(apart)
    with together.read() as one, apart.read() as other:
        assert one.execute(select(stored_identities)).all() == other.execute(select(stored_identities)).all()
