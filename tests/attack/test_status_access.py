"""Attacks on the status page and the metrics: as a proxy on the same machine makes them look, with forged and stolen
sessions, with links that were used."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from keepers.app.operations.page_access import LINK_LASTS, SESSION_LASTS, PageAccess
from keepers.app.workspace.clock import clock
from keepers.http.common.auth import SESSION_COOKIE
from serving import SECRET, SERVER, WRITE, Serving, copied, keepers, serving

GUARDED = ("/status.json", "/metrics")


@pytest.fixture(scope="module")
def server(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(copied(shop, tmp_path_factory.mktemp("status") / "shop"), "--no-tick") as running:
        yield running


@pytest.fixture
def browser(server: Serving) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.address, trust_env=False, headers={"X-Forwarded-Proto": "http"}) as client:
        yield client


def is_in(browser: httpx.Client) -> bool:
    answers = {browser.get("/").status_code, *(browser.get(path).status_code for path in GUARDED)}
    assert answers in ({200}, {303, 401})
    return answers == {200}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Host": "127.0.0.1"},
        {"Host": "127.0.0.1", "Connection": "close"},
        {"Host": "localhost", "X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1"},
        {"Authorization": "Bearer x"},
        {"Authorization": f"Bearer {WRITE}"},
        {"Authorization": f"Bearer {SERVER}"},
        {"Cookie": f"{SESSION_COOKIE}=x"},
        {"Cookie": f"{SESSION_COOKIE}=" + "A" * 4000},
    ],
    ids=lambda headers: str(headers)[:60],
)
def test_coming_over_loopback_is_no_login(browser: httpx.Client, headers: dict[str, str]) -> None:
    for path in GUARDED:
        refused = browser.get(path, headers=headers)
        assert (refused.status_code, refused.headers.get("www-authenticate")) == (401, 'Bearer realm="keepers"')
        assert "keepers_events" not in refused.text
    page = browser.get("/?lang=pl", headers=headers)
    assert (page.status_code, page.headers["location"], page.text) == (303, "/login?lang=pl", "")


def test_a_link_signs_in_once(server: Serving, browser: httpx.Client) -> None:
    link = keepers(server.folder, "open")["url"]
    assert not is_in(browser)
    taken = browser.get(f"{link}&lang=it&lifecycle=value&next=//evil.example")
    assert taken.status_code == 200
    assert 'content="0;url=/?lifecycle=value&amp;lang=it"' in taken.text
    assert "evil" not in taken.text
    cookie = taken.headers["set-cookie"]
    for part in (f"{SESSION_COOKIE}=", "HttpOnly", "SameSite=strict", "Path=/", "Max-Age="):
        assert part.lower() in cookie.lower()
    assert "secure" not in cookie.lower()
    assert is_in(browser)
    with httpx.Client(base_url=server.address, trust_env=False) as thief:
        assert thief.get(link).status_code == 403
        assert not is_in(thief)
    browser.post("/logout")
    assert not is_in(browser)


def test_a_key_signs_in_and_the_session_ends_with_it(server: Serving, browser: httpx.Client) -> None:
    made = keepers(server.folder, "keys", "create", "secret", "--scope", "read")
    signed = browser.post("/login?lifecycle=value", data={"key": made["token"]}, headers={"X-Forwarded-Proto": "https"})
    assert (signed.status_code, signed.headers["location"]) == (303, "/?lifecycle=value")
    assert "secure" in signed.headers["set-cookie"].lower()
    session = signed.headers["set-cookie"].partition("=")[2].partition(";")[0]
    assert made["token"] not in base64.urlsafe_b64decode(session + "==").decode("latin-1")
    browser.cookies.set(SESSION_COOKIE, session)
    assert is_in(browser)
    keepers(server.folder, "keys", "revoke", made["id"])
    assert not is_in(browser)


@pytest.mark.parametrize("key", ["", "km_unknown", WRITE, SERVER, "\0", "ключ"])
def test_other_keys_do_not(browser: httpx.Client, key: str) -> None:
    refused = browser.post("/login", data={"key": key})
    assert refused.status_code == 403
    assert "set-cookie" not in refused.headers


def test_a_key_that_may_not_read_sees_nothing(server: Serving, browser: httpx.Client) -> None:
    token = keepers(server.folder, "keys", "create", "secret", "--scope", "send")["token"]
    for path in GUARDED:
        assert browser.get(path, headers={"Authorization": f"Bearer {token}"}).status_code == 401
    assert browser.post("/login", data={"key": token}).status_code == 403
    assert browser.get("/metrics", headers={"Authorization": f"Bearer {SECRET}"}).status_code == 200


def test_links_are_for_commands_on_the_machine(server: Serving, browser: httpx.Client) -> None:
    path = "/api/v1/status-links"
    assert browser.post(path, json={}).status_code == 401
    assert browser.post(path, json={}, headers={"Authorization": f"Bearer {SECRET}"}).status_code == 403
    token = json.loads((server.folder / "data" / "server.json").read_text(encoding="utf-8"))["token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert browser.post(path, json={}, headers=headers | {"X-Forwarded-For": "1.2.3.4"}).status_code == 403
    assert browser.get("/metrics", headers=headers).status_code == 401


@pytest.fixture
def access() -> PageAccess:
    ring = SimpleNamespace(refresh=lambda now: None, find=lambda token: None, find_by_id=lambda key_id: None)
    workspace: Any = SimpleNamespace(secret=b"s" * 32, key_ring=ring)
    return PageAccess(workspace)


def test_sessions_end_and_cannot_be_changed(access: PageAccess) -> None:
    now = clock()
    cookie = access.begin_session(now)
    assert access.is_session(cookie, now)
    assert access.is_session(cookie, now + SESSION_LASTS - timedelta(seconds=1))
    assert not access.is_session(cookie, now + SESSION_LASTS)
    raw = bytearray(base64.urlsafe_b64decode(cookie + "=" * (-len(cookie) % 4)))
    for place in range(len(raw)):
        forged = bytes(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :])
        assert not access.is_session(base64.urlsafe_b64encode(forged).decode().rstrip("="), now)
    other: Any = SimpleNamespace(secret=b"t" * 32)
    assert not access.is_session(PageAccess(other).begin_session(now), now)


def test_links_end_and_do_not_pile_up(access: PageAccess) -> None:
    now = clock()
    first = access.make_link(now)
    late = access.make_link(now)
    assert not access.redeem(late, now + LINK_LASTS)
    assert not access.redeem("", now)
    links = [access.make_link(now) for _ in range(200)]
    assert not access.redeem(first, now)
    assert [access.redeem(link, now) for link in links].count(True) == 100
    assert not any(access.redeem(link, now) for link in links)
