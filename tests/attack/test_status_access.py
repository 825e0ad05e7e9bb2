"""Attacks on the status page and the metrics: as a proxy on the same machine makes them look, with forged and stolen
sessions, with links that were used."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from keepers.app.access.audit import ReadAudit, read_audit
from keepers.app.access.page_access import LINK_LASTS, REFUSALS_OF_NETWORK, SESSION_LASTS, PageAccess
from keepers.app.public.rate_limit import TooManyError
from keepers.app.use_cases.actor import COMMAND_LINE
from keepers.app.workspace.clock import clock
from keepers.app.workspace.workspace import Workspace
from keepers.http.common.auth import SESSION_COOKIE
from keepers.store import keys, page_sessions
from serving import SECRET, SERVER, WRITE, Serving, copied, keepers, serving
from workspaces import lay_out

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
    assert made["token"] not in session
    browser.cookies.set(SESSION_COOKIE, session)
    assert is_in(browser)
    keepers(server.folder, "keys", "revoke", made["id"])
    assert not is_in(browser)


@pytest.mark.parametrize("key", ["", "km_unknown", WRITE, SERVER, "\0", "ключ"])
def test_other_keys_do_not(browser: httpx.Client, key: str) -> None:
    refused = browser.post("/login", data={"key": key})
    assert refused.status_code == 403
    assert "set-cookie" not in refused.headers


@pytest.mark.parametrize("token", [WRITE, SERVER])
def test_a_key_of_another_kind_is_known_and_may_not(browser: httpx.Client, token: str) -> None:
    for path in GUARDED:
        refused = browser.get(path, headers={"Authorization": f"Bearer {token}"})
        assert (refused.status_code, refused.json()["code"]) == (403, "wrong_key")


def test_a_key_that_may_not_read_sees_nothing_and_is_recorded(server: Serving, browser: httpx.Client) -> None:
    made = keepers(server.folder, "keys", "create", "secret", "--name", "sender", "--scope", "send")
    bearer = {"Authorization": f"Bearer {made['token']}"}
    for path in ("/", *GUARDED, "/api/v1/lifecycles"):
        refused = browser.get(path, headers=bearer)
        assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")
    assert browser.post("/login", data={"key": made["token"]}).status_code == 403
    assert browser.get("/metrics", headers={"Authorization": f"Bearer {SECRET}"}).status_code == 200
    assert of_audit(server, "--actor", made["id"]) == [
        ("sign_in", "sender", "refused"),
        ("list_lifecycles", "sender", "refused"),
        ("read_metrics", "sender", "refused"),
        ("read_overview", "sender", "refused"),
        ("read_overview", "sender", "refused"),
    ]


def of_audit(server: Serving, *options: str) -> list[tuple[str, str, str]]:
    """The use case, actor and outcome of the audit log's rows, latest first."""
    rows = keepers(server.folder, "audit", *options)["items"]
    return [(row["use_case"], row["actor"], row["outcome"]) for row in rows]


def test_links_are_for_commands_on_the_machine(server: Serving, browser: httpx.Client) -> None:
    path = "/api/v1/status-links"
    assert browser.post(path, json={}).status_code == 401
    assert browser.post(path, json={}, headers={"Authorization": f"Bearer {SECRET}"}).status_code == 403
    token = json.loads((server.folder / "data" / "server.json").read_text(encoding="utf-8"))["token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert browser.post(path, json={}, headers=headers | {"X-Forwarded-For": "1.2.3.4"}).status_code == 403
    assert browser.get("/metrics", headers=headers).status_code == 401


def test_signing_out_ends_the_session_wherever_its_cookie_got_to(server: Serving, browser: httpx.Client) -> None:
    """A stolen cookie was good for twelve hours, whatever its owner did."""
    made = keepers(server.folder, "keys", "create", "secret", "--name", "reader", "--scope", "read")
    for sign_in in (
        lambda: browser.get(keepers(server.folder, "open")["url"]),
        lambda: browser.post("/login", data={"key": made["token"]}),
    ):
        sign_in()
        assert is_in(browser)
        with httpx.Client(base_url=server.address, trust_env=False) as thief:
            thief.cookies.set(SESSION_COOKIE, browser.cookies[SESSION_COOKIE])
            assert is_in(thief)
            browser.post("/logout")
            assert not is_in(thief)
    assert of_audit(server, "--use-case", "sign_out")[:2] == [
        ("sign_out", "reader", "done"),
        ("sign_out", "a session of the status page", "done"),
    ]


def test_who_signs_in_and_who_tries_is_recorded(server: Serving, browser: httpx.Client) -> None:
    link = keepers(server.folder, "open")["url"]
    assert browser.get(link).status_code == 200
    assert browser.get(link).status_code == 403
    assert browser.post("/login", data={"key": "km_a-guess-of-some-length"}).status_code == 403
    rows = of_audit(server)[:4]
    assert rows == [
        ("sign_in", "a key that does not sign in", "refused"),
        ("sign_in", "a link that signs in", "refused"),
        ("sign_in", "a link that signs in", "done"),
        ("make_page_link", "command line", "done"),
    ]


@pytest.fixture
def workspace(tmp_path: Path, migrated_folder: Path) -> Iterator[Workspace]:
    opened = Workspace.open(lay_out(tmp_path / "shop", migrated_folder))
    yield opened
    opened.close()


@pytest.fixture
def access(workspace: Workspace) -> PageAccess:
    return workspace.part(PageAccess)


def begun(access: PageAccess, now: datetime) -> str:
    cookie = access.sign_in_by_link(access.make_link(now), "", now)
    assert cookie is not None
    return cookie


def test_sessions_end_survive_a_restart_and_cannot_be_guessed(workspace: Workspace, access: PageAccess) -> None:
    now = clock()
    cookie = begun(access, now)
    assert access.is_session(cookie, now)
    assert PageAccess(workspace).is_session(cookie, now + SESSION_LASTS - timedelta(seconds=1))
    assert not access.is_session(cookie, now + SESSION_LASTS)
    for place in range(len(cookie)):
        other = "A" if cookie[place] != "A" else "B"
        assert not access.is_session(cookie[:place] + other + cookie[place + 1 :], now)
    for wrong in ("", "\0", "ключ", "\ud800", "A" * 4000):
        assert not access.is_session(wrong, now)
    begun(access, now + SESSION_LASTS)
    with workspace.store.read() as connection:
        assert page_sessions.find(connection, sha256(cookie.encode()).digest()) is None, "what has ended is removed"


def test_a_session_ends_with_its_key_at_once_whoever_revokes_it(workspace: Workspace, access: PageAccess) -> None:
    """Also before this process has read the keys again."""
    now = clock()
    with workspace.store.begin() as connection:
        key, token = keys.create(connection, "secret", "s", now)
    cookie = access.sign_in_by_key(token, "", now)
    assert cookie is not None
    assert access.is_session(cookie, now)
    with workspace.store.begin() as connection:
        keys.revoke(connection, key.id, now)
    assert not workspace.key_ring.is_stale(now)
    assert not access.is_session(cookie, now)


def test_links_end_and_do_not_pile_up(access: PageAccess) -> None:
    now = clock()
    first = access.make_link(now)
    late = access.make_link(now)
    assert access.sign_in_by_link(late, "192.0.2.1", now + LINK_LASTS) is None
    assert access.sign_in_by_link("", "192.0.2.1", now) is None
    links = [access.make_link(now) for _ in range(200)]
    assert access.sign_in_by_link(first, "192.0.2.1", now) is None
    used = [access.sign_in_by_link(link, f"192.0.2.{n}", now) for n, link in enumerate(links)]
    assert sum(cookie is not None for cookie in used) == 100
    assert not any(access.sign_in_by_link(link, f"192.0.2.{n}", now) for n, link in enumerate(links))


def test_refused_sign_ins_fill_no_disk_and_shut_nobody_out(workspace: Workspace, access: PageAccess) -> None:
    now = clock()
    with workspace.store.begin() as connection:
        _, token = keys.create(connection, "secret", "s", now)
    for _ in range(REFUSALS_OF_NETWORK):
        assert access.sign_in_by_key("guess", "192.0.2.1", now) is None
    with pytest.raises(TooManyError):
        access.sign_in_by_key("guess", "192.0.2.1", now)
    assert access.sign_in_by_key(token, "192.0.2.1", now) is not None
    refused = read_audit(workspace, COMMAND_LINE, ReadAudit(use_case="sign_in", limit=200)).items
    assert [one.outcome for one in refused].count("refused") == REFUSALS_OF_NETWORK
