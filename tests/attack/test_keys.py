"""Attacks with keys: ended ones, ones that may less, ones of another site, ones that want to become more."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from litestar.testing import TestClient

from keepers.app.access.key_ring import KeyRing
from keepers.app.operations.doctor import UNUSED_FOR, key_findings
from keepers.app.operations.events import EventIntake
from keepers.app.workspace.clock import clock
from keepers.http.application import create_app
from keepers.model.errors import UserError
from keepers.model.web_origins import is_allowed, origin_of_page, parse_origin
from keepers.store import keys
from keepers.store.database import Store
from serving import SECRET, Serving, copied, keepers, serving
from tracking_client import TrackingClient

NOW = datetime(2026, 3, 2, 10)
TRACK = {"event": "Seen", "userId": "u"}
SHOP, THEIRS = "https://shop.example", "https://evil.example"


@pytest.fixture(scope="module")
def server(shop: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(copied(shop, tmp_path_factory.mktemp("keys") / "shop"), "--no-tick") as running:
        yield running


def _make(server: Serving, token: str = SECRET, **wanted: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.post(f"{server.address}/api/v1/keys", json=wanted, headers=headers, trust_env=False)


def _ask(server: Serving, token: str, method: str, path: str, **more: Any) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    asked = httpx.request(method, f"{server.address}/api/v1{path}", headers=headers, trust_env=False, **more)
    return asked.status_code


def test_a_key_does_what_its_scopes_say_and_no_more(server: Serving) -> None:
    reads = _make(server, kind="secret", name="dashboard", scopes=["read"]).json()
    assert reads["scopes"] == ["read"]
    assert _ask(server, reads["token"], "GET", "/lifecycles") == 200
    assert _ask(server, reads["token"], "GET", "/profiles/c001/export") == 403
    assert _ask(server, reads["token"], "POST", "/tick", json={}) == 403
    assert _ask(server, reads["token"], "POST", "/keys", json={"kind": "secret"}) == 403
    # Refused before a byte of the upload is stored.
    assert _ask(server, reads["token"], "POST", "/imports", content=b"a,b\n") == 403
    assert not list((server.folder / "data").glob("uploads/*"))


def test_a_key_cannot_make_one_that_may_more_than_itself(server: Serving) -> None:
    manages = _make(server, kind="secret", name="deploy", scopes=["manage"]).json()["token"]
    before = len(keepers(server.folder, "keys", "list")["items"])
    assert _make(server, manages, kind="secret").status_code == 403
    assert _make(server, manages, kind="secret", scopes=["manage", "read"]).status_code == 403
    assert len(keepers(server.folder, "keys", "list")["items"]) == before
    assert _make(server, manages, kind="secret", scopes=["manage"]).status_code == 200


@pytest.mark.parametrize(
    "wanted",
    [
        {"kind": "write", "scopes": ["manage"]},
        {"kind": "server", "scopes": ["read"]},
        {"kind": "secret", "scopes": ["collect"]},
        {"kind": "secret", "scopes": ["everything"]},
        {"kind": "server", "origins": [SHOP]},
        {"kind": "write", "origins": ["*"]},
        {"kind": "write", "origins": ["https://shop.example/path"]},
        {"kind": "write", "origins": ["javascript:alert(1)"]},
        {"kind": "write", "expires": "2020-01-01"},
        {"kind": "write", "expires": "soon"},
    ],
    ids=str,
)
def test_what_a_key_cannot_have_is_refused(server: Serving, wanted: dict[str, Any]) -> None:
    assert _make(server, **wanted).status_code in (400, 422)


def test_a_key_ends_at_its_expiry_everywhere(store: Store) -> None:
    now = clock()
    with store.begin() as connection:
        tokens = {
            kind: keys.create(connection, kind, kind, now - timedelta(days=2), expires_at=now - timedelta(days=1))[1]
            for kind in keys.KINDS
        }
    with TestClient(create_app(EventIntake(store), clock=clock)) as client:
        tracking = TrackingClient(client, store, tokens)
        for kind in ("write", "server"):
            refused = client.post("/v1/track", json=TRACK, headers=tracking.header(kind))
            assert (refused.status_code, refused.json()["code"]) == (403, "expired")
        assert tracking.kept() == []


def test_an_expired_secret_key_manages_nothing(server: Serving) -> None:
    token = _make(server, kind="secret", name="short", expires="1m").json()["token"]
    assert _ask(server, token, "GET", "/lifecycles") == 200
    ring = KeyRing(_Never())
    key = keys.Key("key_1", "n", "secret", b"", NOW, None, NOW + timedelta(minutes=1))
    assert ring.find("anything") is None
    assert not key.has_ended(NOW + timedelta(seconds=59))
    assert key.has_ended(NOW + timedelta(seconds=60))


class _Never:
    def __call__(self) -> Any:
        raise AssertionError("the database is not asked")


@pytest.fixture
def sites(store: Store) -> Iterator[TrackingClient]:
    with store.begin() as connection:
        tokens = {
            "shop": keys.create(connection, "write", "w", clock(), origins=[SHOP, "https://*.shop.example"])[1],
            "any": keys.create(connection, "write", "w", clock())[1],
        }
        ago = clock() - timedelta(days=2)
        past = keys.create(connection, "write", "w", ago, expires_at=ago + timedelta(days=1), origins=[SHOP])
        old, tokens["old"] = keys.create(connection, "write", "w", clock(), origins=[SHOP])
        tokens["past"] = past[1]
        keys.revoke(connection, old.id, clock())
    with TestClient(create_app(EventIntake(store), clock=clock)) as client:
        yield TrackingClient(client, store, tokens)


@pytest.mark.parametrize("place", ["header", "body"])
@pytest.mark.parametrize(
    "page",
    [
        {"Origin": THEIRS},
        {"Origin": "null"},
        {"Origin": "http://shop.example"},
        {"Origin": "https://shop.example.evil.example"},
        {"Origin": "https://evilshop.example"},
        {"Origin": "https://shop.example:8443"},
        {"Origin": "https://*.shop.example"},
        {"Referer": f"{THEIRS}/?https://shop.example/"},
        {"Referer": "https://shop.example@evil.example/"},
    ],
    ids=str,
)
def test_pages_of_other_sites_cannot_use_a_write_key(sites: TrackingClient, page: dict[str, str], place: str) -> None:
    body, headers = dict(TRACK), dict(page)
    if place == "header":
        headers |= sites.header("shop")
    else:
        body["writeKey"] = sites.tokens["shop"]
    refused = sites.client.post("/v1/track", json=body, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (403, "wrong_origin")
    assert "access-control-allow-origin" not in refused.headers
    assert refused.headers["vary"] == "Origin"
    assert sites.kept() == []


@pytest.mark.parametrize(
    ("path", "content", "status"),
    [
        ("/v1/track", b"{", 400),
        ("/v1/track", b" " * 40_000, 413),
        ("/v1/batch", b'{"batch": [7]}', 400),
        ("/v1/batch", b'{"batch": [{"type": "track", "event": "Seen", "userId": "u"}, 7]}', 200),
    ],
)
@pytest.mark.parametrize("key", ["shop", "old", "past", "any"])
def test_the_answer_to_a_key_of_some_sites_is_for_those_alone(
    sites: TrackingClient, path: str, content: bytes, status: int, key: str
) -> None:
    """Its refusals could be read by the pages of any site."""
    for origin in (SHOP, THEIRS):
        got = sites.client.post(path, content=content, headers={"Origin": origin, **sites.header(key)})
        assert got.status_code == (403 if key in ("old", "past") or (key, origin) == ("shop", THEIRS) else status)
        readable = "*" if key == "any" else SHOP if origin == SHOP else None
        assert got.headers.get("access-control-allow-origin") == readable
        assert got.headers.get("vary") == (None if key == "any" else "Origin")


@pytest.mark.parametrize(
    "page",
    [
        {"Origin": SHOP},
        {"Origin": "https://www.shop.example"},
        {"Origin": "HTTPS://Shop.Example:443"},
        {"Referer": f"{SHOP}/cart?x=1#y"},
    ],
    ids=str,
)
def test_pages_of_the_keys_sites_may_and_the_answer_names_them(sites: TrackingClient, page: dict[str, str]) -> None:
    taken = sites.client.post("/v1/track", json=TRACK, headers={**page, **sites.header("shop")})
    assert taken.status_code == 200
    assert taken.headers["vary"] == "Origin"
    assert taken.headers.get("access-control-allow-origin") == page.get("Origin")
    assert len(sites.kept()) == 1


def test_what_no_page_sends_and_keys_without_sites_are_as_before(sites: TrackingClient) -> None:
    assert sites.client.post("/v1/track", json=TRACK, headers=sites.header("shop")).status_code == 200
    taken = sites.client.post("/v1/track", json=TRACK, headers={"Origin": THEIRS, **sites.header("any")})
    assert (taken.status_code, taken.headers["access-control-allow-origin"]) == (200, "*")


def test_forms_and_push_of_other_sites_cannot_use_a_write_key(server: Serving) -> None:
    token = _make(server, kind="write", name="site", origins=[SHOP]).json()["token"]
    form = {"writeKey": token, "email": "ann@mail.example", "topic": "newsletter"}
    for origin, is_refused in ((THEIRS, True), (SHOP, False)):
        headers = {"Origin": origin}
        asked = httpx.post(f"{server.address}/v1/subscribe", json=form, headers=headers, trust_env=False)
        assert (asked.json().get("code") == "wrong_origin") is is_refused, asked.text
        assert asked.headers.get("access-control-allow-origin") == (None if is_refused else SHOP)
    _revoke(server, token)
    browser = {"endpoint": "https://p.example", "keys": {"p256dh": "B" * 87, "auth": "A" * 22}}
    push = {"subscription": browser, "anonymousId": "d", "writeKey": token}
    for path, body in (("/v1/subscribe", form), ("/v1/push/subscriptions", push)):
        for origin, readable in ((THEIRS, None), (SHOP, SHOP)):
            asked = httpx.post(f"{server.address}{path}", json=body, headers={"Origin": origin}, trust_env=False)
            assert (asked.status_code, asked.json()["code"]) == (403, "revoked"), asked.text
            assert asked.headers.get("access-control-allow-origin") == readable


def _revoke(server: Serving, token: str) -> None:
    (key,) = (one for one in keepers(server.folder, "keys", "list")["items"] if one["name"] == "site")
    keepers(server.folder, "keys", "revoke", key["id"])


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("https://Shop.Example/", "https://shop.example"),
        ("https://shop.example:443", "https://shop.example"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("https://*.shop.example", "https://*.shop.example"),
        ("https://żółw.example", "https://xn--w-uga1v8h.example"),
        ("http://[::1]:80", "http://[::1]"),
    ],
)
def test_origins_are_read_as_browsers_send_them(written: str, read: str) -> None:
    assert parse_origin(written) == read


@pytest.mark.parametrize(
    "text", ["", "shop.example", "https://", "https://a b", "https://*", "https://a.*.b", "ftp://a"]
)
def test_what_is_no_origin_is_refused(text: str) -> None:
    with pytest.raises(UserError):
        parse_origin(text)
    assert not is_allowed(text, ["https://*.b", SHOP])
    assert not is_allowed(origin_of_page("about:blank"), [SHOP])


def test_the_use_of_keys_is_recorded_apart_from_requests_and_never_goes_back(store: Store) -> None:
    with store.begin() as connection:
        key, token = keys.create(connection, "write", "w", NOW)
        other, _ = keys.create(connection, "write", "o", NOW)
    ring = KeyRing(store.read)
    ring.refresh(NOW)
    ring.admit(token, NOW + timedelta(minutes=2))
    ring.admit(token, NOW + timedelta(minutes=3))
    assert _used(store) == {key.id: None, other.id: None}
    assert ring.record_uses(store.begin, NOW) == 1
    assert ring.record_uses(_Never(), NOW) == 0
    assert _used(store) == {key.id: NOW + timedelta(minutes=3), other.id: None}
    ring.admit(token, NOW + timedelta(minutes=1))
    ring.record_uses(store.begin, NOW)
    assert _used(store)[key.id] == NOW + timedelta(minutes=3)
    ring.admit(token, NOW + timedelta(minutes=5))
    with pytest.raises(AssertionError):
        ring.record_uses(_Never(), NOW)
    assert ring.record_uses(store.begin, NOW) == 1
    assert _used(store)[key.id] == NOW + timedelta(minutes=5)


def _used(store: Store) -> dict[str, datetime | None]:
    with store.read() as connection:
        return {key.id: key.last_used_at for key in keys.read_all(connection)}


def test_a_server_that_ends_has_recorded_which_keys_were_used(store: Store) -> None:
    with store.begin() as connection:
        token = keys.create(connection, "server", "s", clock())[1]
    with TestClient(create_app(EventIntake(store), clock=clock)) as client:
        header = TrackingClient(client, store, {"server": token}).header("server")
        assert client.post("/v1/track", json=TRACK, headers=header).status_code == 200
    assert None not in _used(store).values()


def test_the_doctor_reports_keys_that_nobody_uses() -> None:
    long_ago = NOW - UNUSED_FOR - timedelta(days=10)
    known = [
        keys.Key("key_a", "forgotten", "secret", b"", long_ago, None),
        keys.Key("key_b", "used", "secret", b"", long_ago, None, last_used_at=NOW - timedelta(days=1)),
        keys.Key("key_c", "revoked", "secret", b"", long_ago, NOW),
        keys.Key("key_d", "expired", "secret", b"", long_ago, None, expires_at=NOW),
        keys.Key("key_e", "new", "secret", b"", NOW - timedelta(days=3), None),
    ]
    assert [found.values["key"] for found in key_findings(NOW, known, long_ago)] == ["key_a"]
    # Use was not recorded before: who used a key then is not known.
    assert key_findings(NOW, known, NOW - timedelta(days=1)) == []
    assert key_findings(NOW, known, None) == []
