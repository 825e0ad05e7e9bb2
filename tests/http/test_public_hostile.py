"""Whatever is sent to the public addresses: an answer below 500, nobody's consent changed, nothing echoed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from litestar.testing import TestClient

from keepers.app.workspace.clock import clock
from keepers.render.links import Confirm
from keepers.store.database import Store
from keepers.store.events import log
from keepers.store.profiles import consents
from profiles import examples
from public_shop import Shop, app_of, opened, path_of

FAST = examples(0.6, suppress_health_check=[HealthCheck.function_scoped_fixture])
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
NAMES = (
    "email",
    "topic",
    "writeKey",
    "userId",
    "anonymousId",
    "signature",
    "expires",
    "subscription",
    "endpoint",
    "locale",
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture
def site(sqlite_store: Store, tmp_path: Path) -> Iterator[Shop]:
    with opened(sqlite_store, tmp_path) as site:
        site.add_keys()
        yield site


@pytest.fixture
def client(site: Shop) -> Iterator[TestClient]:
    with TestClient(app_of(site, clock), raise_server_exceptions=False) as client:
        yield client


def untouched(site: Shop) -> bool:
    with site.store.read() as connection:
        return not list(consents.everything(connection)) and log.last_seq(connection) == 0


@FAST
@given(st.data())
def test_a_changed_token_is_no_token(site: Shop, client: TestClient, data: st.DataObject) -> None:
    links = site.links
    confirm = links.confirm(Confirm(1, "email", "newsletter", "a@b.example", 4_000_000_000))
    urls = [links.click("key", "https://shop.example/"), links.unsubscribe("key"), links.preferences(1, "pl", "key"),
            links.view("key"), confirm]  # fmt: skip
    path = path_of(data.draw(st.sampled_from(urls)))
    folder, _, token = path.rpartition("/")
    at = data.draw(st.integers(0, len(token) - 1))
    # The last character of base64 may hold bits that mean nothing, so it is left alone.
    change = data.draw(st.sampled_from(["swap", "cut", "add"]))
    if change == "swap":
        at = min(at, len(token) - 2)
        other = data.draw(st.sampled_from(ALPHABET.replace(token[at], "")))
        changed = token[:at] + other + token[at + 1 :]
    elif change == "cut":
        changed = token[:at]
    else:
        changed = token[:at] + data.draw(st.text(ALPHABET, min_size=1, max_size=9)) + token[at:]
    method = data.draw(st.sampled_from(["GET", "HEAD", "POST"]))
    got = client.request(method, f"{folder}/{changed}", follow_redirects=False)
    assert got.status_code in (404, 405)
    assert "location" not in got.headers
    assert untouched(site)


@FAST
@given(
    st.sampled_from(["/v1/subscribe", "/v1/inbox/1/read", "/v1/push/subscriptions", "/e/in/postmark", "/e/in/ses"]),
    st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=6),
    st.booleans(),
)
def test_any_json_is_answered(site: Shop, client: TestClient, path: str, body: dict[str, Any], has_key: bool) -> None:
    if has_key:
        body["writeKey"] = site.tokens["write"]
    got = client.post(path, content=json.dumps(body).encode())
    assert 400 <= got.status_code < 500, got.text
    assert untouched(site)


@FAST
@given(
    st.dictionaries(
        st.sampled_from(["userId", "signature", "expires", "limit", "before", "unread", "lang"]),
        st.text(max_size=30),
        max_size=6,
    )
)
def test_any_question_is_answered(site: Shop, client: TestClient, params: dict[str, str]) -> None:
    got = client.get("/v1/inbox", params=params)
    assert 400 <= got.status_code < 500, got.text


@FAST
@given(st.text(max_size=300), st.text(max_size=60), st.binary(max_size=200))
def test_any_header_and_form_is_answered(site: Shop, client: TestClient, language: str, lang: str, body: bytes) -> None:
    if not site.known:
        site.add_customer("anna", email="anna@example.com")
    path = path_of(site.links.preferences(1))
    headers = {"Accept-Language": language.encode("utf-8", "replace").replace(b"\n", b"").replace(b"\r", b"")}
    page = client.get(path, params={"lang": lang, "done": lang, "in": lang}, headers=headers)  # type: ignore[arg-type]
    assert page.status_code == 200
    for kind in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "multipart/form-data", "x"):
        got = client.post(path, content=body, headers={"Content-Type": kind}, follow_redirects=False)
        assert got.status_code == 303
    assert untouched(site)
