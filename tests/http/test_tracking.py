"""The Tracking API: who may send, what is answered, and that an answer means the disk has it."""

from __future__ import annotations

import gzip
import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from litestar.testing import TestClient

from keepers.app.access.key_ring import KeyRing
from keepers.app.operations.events import EventIntake
from keepers.app.workspace.clock import clock
from keepers.http.application import create_app
from keepers.store import keys
from keepers.store.database import Store
from profiles import examples
from tracking_client import TrackingClient
from waiting import wait_for

TRACK = {"userId": "u1", "event": "Ordered", "properties": {"total": 9.5}}


def test_an_accepted_event_is_in_the_inbox_when_the_answer_comes(tracking: TrackingClient, arrivals: list[int]) -> None:
    body = json.dumps(TRACK).encode()
    answer = tracking.client.post("/v1/track", content=body, headers=tracking.header())
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    (row,) = tracking.kept()
    assert (row.path, row.body, row.trust) == ("/v1/track", body, "public")
    assert wait_for(lambda: arrivals), "told after the commit, by the thread that commits"


def test_a_fault_of_ours_is_an_answer_too(
    tracking: TrackingClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_arguments: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("keepers.app.operations.events.parse_request", broken)
    answer = tracking.client.post("/v1/track", json=TRACK, headers=tracking.header())
    assert (answer.status_code, answer.json()["code"], answer.json()["success"]) == (500, "internal", False)
    assert (answer.headers["x-content-type-options"], answer.headers["cache-control"]) == ("nosniff", "no-store")
    assert "ZeroDivisionError" in caplog.text
    assert tracking.kept() == []


def test_a_server_key_is_trusted(tracking: TrackingClient) -> None:
    tracking.client.post("/v1/track", json=TRACK, headers=tracking.header("server"))
    assert [row.trust for row in tracking.kept()] == ["server"]


def test_history_takes_a_server_key(tracking: TrackingClient) -> None:
    body = {"batch": [{"type": "track", "event": "Looked", "userId": "u0", "timestamp": "2020-01-01T00:00:00Z"}]}
    for sent in (
        {"json": body, "headers": tracking.header("write")},
        {"json": {**body, "writeKey": tracking.tokens["write"]}},
    ):
        refused = tracking.client.post("/v1/import", **sent)
        assert (refused.status_code, refused.json()["code"]) == (403, "wrong_key")
        assert "server" in refused.json()["message"]
    assert tracking.kept() == []
    assert tracking.client.post("/v1/import", json=body, headers=tracking.header("server")).status_code == 200
    assert len(tracking.kept()) == 1


@pytest.mark.parametrize("name", ["identify", "track", "page", "screen", "group", "alias"])
def test_every_call_has_its_path(tracking: TrackingClient, name: str) -> None:
    body = {**TRACK, "groupId": "g", "previousId": "p"}
    assert tracking.client.post(f"/v1/{name}", json=body, headers=tracking.header()).status_code == 200


def test_a_write_key_in_the_body_does_as_well(tracking: TrackingClient) -> None:
    ok = tracking.client.post(
        "/v1/t",
        content=json.dumps({**TRACK, "writeKey": tracking.tokens["write"]}),
        headers={"Content-Type": "text/plain"},
    )
    assert ok.status_code == 200
    bad = tracking.client.post("/v1/t", json={**TRACK, "writeKey": "nobody's"})
    assert bad.status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Basic !!!"}, 401),
        ({"Authorization": "Basic /w=="}, 401),
        ({"Authorization": "Bearer x"}, 401),
        ("unknown-key", 401),
        ("revoked", 403),
        ("secret", 403),
    ],
)
def test_who_may_not_enter_is_told_why(tracking: TrackingClient, headers: Any, status: int) -> None:
    sent = tracking.header(headers) if isinstance(headers, str) else headers
    answer = tracking.client.post("/v1/track", json=TRACK, headers=sent)
    assert answer.status_code == status
    assert answer.json()["message"]
    assert tracking.kept() == []


def test_a_key_ends_within_seconds_of_its_revocation(new_store: Any) -> None:
    store: Store = new_store("sqlite")
    with store.begin() as connection:
        key, token = keys.create(connection, "write", "w", clock())
    ring = KeyRing(store.read, fresh_for=timedelta(seconds=2))
    ring.refresh(clock())
    assert ring.find(token) == key
    assert ring.find(token + "x") is None
    with store.begin() as connection:
        keys.revoke(connection, key.id, clock())
    later = clock() + timedelta(seconds=2)
    assert ring.is_stale(later)
    ring.refresh(later)
    found = ring.find(token)
    assert found is not None
    assert found.revoked_at is not None


def test_a_batch_keeps_what_is_valid_and_lists_the_rest(tracking: TrackingClient) -> None:
    items = [{"type": "track", **TRACK}, {"type": "track", "event": "x"}, {"type": "page", "anonymousId": "a"}, 7]
    answer = tracking.client.post("/v1/batch", json={"batch": items}, headers=tracking.header())
    assert answer.status_code == 200
    assert answer.json()["accepted"] == 2
    assert [e["index"] for e in answer.json()["errors"]] == [1, 3]
    assert len(tracking.kept()) == 1


def test_a_batch_without_a_valid_item_is_refused(tracking: TrackingClient) -> None:
    answer = tracking.client.post("/v1/batch", json={"batch": [1, {}]}, headers=tracking.header())
    assert (answer.status_code, len(answer.json()["errors"])) == (400, 2)
    assert tracking.client.post("/v1/batch", json={"batch": []}, headers=tracking.header()).status_code == 200
    assert tracking.kept() == []


@pytest.mark.parametrize(
    ("accepted", "reason"),
    [
        ("", "event is missing. A track call names what happened, such as “Order Completed”."),
        ("tlh", "event is missing. A track call names what happened, such as “Order Completed”."),
        ("pl-PL, en;q=0.5", "event: brak. Wywołanie track podaje, co się wydarzyło, na przykład „Order Completed”."),
        ("zh", "event：缺失。track 调用要指明发生了什么，如“Order Completed”。"),
    ],
)
def test_reasons_are_in_the_language_of_the_request(tracking: TrackingClient, accepted: str, reason: str) -> None:
    headers = tracking.header() | {"Accept-Language": accepted}
    nameless = {"type": "track", "userId": "u1"}
    some = tracking.client.post("/v1/batch", json={"batch": [{"type": "track", **TRACK}, nameless]}, headers=headers)
    assert some.json()["errors"] == [{"index": 1, "reason": reason}]
    none = tracking.client.post("/v1/track", json=nameless, headers=headers)
    assert (none.status_code, none.json()["message"]) == (400, reason)


def test_what_is_refused_as_a_whole_is_told_in_the_language_of_the_request(tracking: TrackingClient) -> None:
    italian = {"Accept-Language": "it"}
    unknown = tracking.client.post("/v1/track", json=TRACK, headers=tracking.header("nobody") | italian)
    assert unknown.json()["message"].endswith(" Inviala come nome utente dell’autenticazione Basic.")
    large = tracking.client.post("/v1/track", content=b" " * 40_000, headers=tracking.header() | italian)
    assert large.json()["message"] == "Il corpo supera il limite di 32,768 byte. Invia lotti più piccoli."
    assert tracking.client.get("/v1/track", headers=italian).json()["message"] == "Gli eventi si inviano con POST."
    broken = tracking.client.post("/v1/batch", content=b"[" * 20_000, headers=tracking.header() | italian)
    assert broken.json()["message"].startswith("Il corpo non è un oggetto JSON con un elenco “batch”")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\x00",
        b"\xff" * 9,
        b"[" * 20_000,
        b'{"event": "x", "userId": "\\ud800"}',
        b'{"a":NaN}',
    ],
)
def test_hostile_bodies_get_a_reason(tracking: TrackingClient, body: bytes) -> None:
    for path in ("/v1/track", "/v1/batch"):
        answer = tracking.client.post(path, content=body, headers=tracking.header())
        assert answer.status_code == 400
        assert answer.json()["message"]


def test_too_large_is_said_before_it_is_read(tracking: TrackingClient) -> None:
    assert tracking.client.post("/v1/track", content=b" " * 40_000, headers=tracking.header()).status_code == 413
    ten_megabytes = tracking.client.post("/v1/batch", content=b" " * 10_000_000, headers=tracking.header())
    assert (ten_megabytes.status_code, ten_megabytes.json()["code"]) == (413, "too_large")

    def slowly() -> Any:
        for _ in range(100):
            yield b" " * 10_000

    assert tracking.client.post("/v1/batch", content=slowly(), headers=tracking.header()).status_code == 413


def test_gzip_is_read_and_a_bomb_is_not(tracking: TrackingClient) -> None:
    headers = {**tracking.header(), "Content-Encoding": "gzip"}
    plain = json.dumps(TRACK).encode()
    assert tracking.client.post("/v1/track", content=gzip.compress(plain), headers=headers).status_code == 200
    assert tracking.kept()[0].body == plain
    bomb = gzip.compress(b"0" * 50_000_000)
    assert tracking.client.post("/v1/batch", content=bomb, headers=headers).status_code == 413
    assert tracking.client.post("/v1/track", content=plain, headers=headers).status_code == 400
    assert tracking.client.post("/v1/track", content=gzip.compress(plain)[:-9], headers=headers).status_code == 400
    brotli = {**tracking.header(), "Content-Encoding": "br"}
    assert tracking.client.post("/v1/track", content=plain, headers=brotli).status_code == 415


def test_browsers_may_send_from_anywhere(tracking: TrackingClient) -> None:
    preflight = tracking.client.options(
        "/v1/batch", headers={"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    )
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert "authorization" in preflight.headers["access-control-allow-headers"]
    for header in (tracking.header(), {}):
        answer = tracking.client.post("/v1/track", json=TRACK, headers=header)
        assert answer.headers["access-control-allow-origin"] == "*"


def test_events_are_not_sent_by_get(tracking: TrackingClient) -> None:
    assert tracking.client.get("/v1/track", headers=tracking.header()).status_code == 405


def test_too_much_at_once_is_answered_429(new_store: Any) -> None:
    store: Store = new_store("sqlite")
    with store.begin() as connection:
        token = keys.create(connection, "write", "w", clock())[1]
    with TestClient(create_app(EventIntake(store, most_waiting=0), clock=clock)) as client:
        answer = client.post("/v1/track", json={**TRACK, "writeKey": token})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")


def test_a_store_that_fails_is_never_acknowledged(new_store: Any) -> None:
    store: Store = new_store("sqlite")
    with store.begin() as connection:
        token = keys.create(connection, "write", "w", clock())[1]
    with TestClient(create_app(EventIntake(store), clock=clock)) as client:
        with store.begin_inbox() as connection:
            connection.exec_driver_sql("ALTER TABLE inbox RENAME TO gone")
        answer = client.post("/v1/track", json={**TRACK, "writeKey": token})
        assert (answer.status_code, answer.json()["code"]) == (503, "store")
        with store.begin_inbox() as connection:
            connection.exec_driver_sql("ALTER TABLE gone RENAME TO inbox")
        assert client.post("/v1/track", json={**TRACK, "writeKey": token}).status_code == 200


def test_health_readiness_and_metrics(tracking: TrackingClient) -> None:
    tracking.client.post("/v1/track", json=TRACK, headers=tracking.header())
    tracking.client.post("/v1/track", json={}, headers=tracking.header())
    assert tracking.client.get("/health").json() == {"status": "ok"}
    assert tracking.client.get("/ready").status_code == 200
    assert tracking.client.get("/metrics").status_code == 401
    bearer = {"Authorization": f"Bearer {tracking.tokens['secret']}"}
    text = tracking.client.get("/metrics", headers=bearer).text
    assert "keepers_events_accepted_total 1.0" in text
    assert "keepers_events_refused_total 1.0" in text
    assert 'keepers_requests_total{call="track",status="200"} 1.0' in text
    assert "keepers_inbox_depth 1.0" in text
    assert "keepers_commit_seconds_count 1.0" in text


@examples(0.6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=300), authorization=st.text(st.characters(codec="latin-1", exclude_categories=["Cc"])))
def test_no_input_makes_the_server_fail(tracking: TrackingClient, body: bytes, authorization: str) -> None:
    for headers in (tracking.header(), {"Authorization": authorization.encode("latin-1")}):
        answer = tracking.client.post("/v1/batch", content=body, headers=headers)
        assert 400 <= answer.status_code < 500
