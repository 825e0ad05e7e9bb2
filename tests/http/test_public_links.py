"""Open pixels, tracked links, copies: what is noted, where readers are sent, and what no link can be made to do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from litestar.testing import TestClient
from sqlalchemy.exc import OperationalError

from keepers.app.workspace.clock import clock
from keepers.model.fields import is_web
from keepers.model.message import Content
from keepers.store.database import Store
from keepers.store.messages import engagement_requests, messages
from keepers.store.messages.engagement_requests import EngagementRow
from public_shop import Shop, app_of, opened, path_of

HOSTILE = [
    "x", "%00", "%ff%fe", "..%2f..%2fetc", "a" * 20_000, "%F0%9F%92%A3", "<script>", "'; DROP TABLE x; --", "===",
]  # fmt: skip


@pytest.fixture
def site(store: Store, tmp_path: Path) -> Iterator[Shop]:
    """On both engines."""
    with opened(store, tmp_path) as site:
        yield site


@pytest.fixture
def sqlite_shop(sqlite_store: Store, tmp_path: Path) -> Iterator[Shop]:
    with opened(sqlite_store, tmp_path) as site:
        yield site


@pytest.fixture
def client(site: Shop) -> Iterator[TestClient]:
    with TestClient(app_of(site, clock)) as client:
        yield client


def sent_message(site: Shop, content: Content | None = None) -> str:
    profile = site.add_customer("anna", email="anna@example.com")
    return site.add_message(profile, "anna@example.com", content, locale="pl")


def kept(site: Shop) -> list[EngagementRow]:
    with site.store.read() as connection:
        return engagement_requests.read(connection, 0, 100)


def test_an_open_is_a_pixel_and_is_recorded(site: Shop, client: TestClient) -> None:
    path = path_of(site.links.open_pixel(sent_message(site)))
    assert path.endswith(".gif")
    got = client.get(path, headers={"User-Agent": "Mail/1.0"})
    assert (got.status_code, got.headers["content-type"], len(got.content)) == (200, "image/gif", 42)
    assert got.headers["cache-control"] == "no-store"
    head = client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    first, second = kept(site)
    assert (first.url, first.user_agent, first.method, first.is_machine) == ("", "Mail/1.0", "GET", None)
    assert second.method == "HEAD"


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("https://shop.example/a?b=c&d=%20#e", "https://shop.example/a?b=c&d=%20#e"),
        ("http://пример.рф/путь?q=ż", "http://xn--e1afmkfd.xn--p1ai/%D0%BF%D1%83%D1%82%D1%8C?q=%C5%BC"),
    ],
)
def test_a_click_is_sent_on_at_once_and_recorded(site: Shop, client: TestClient, target: str, location: str) -> None:
    path = path_of(site.links.click(sent_message(site), target))
    for method in ("GET", "HEAD"):
        got = client.request(method, path, follow_redirects=False)
        assert (got.status_code, got.headers["location"], got.content) == (302, location, b"")
        assert "set-cookie" not in got.headers
    assert [(one.url, one.method) for one in kept(site)] == [(target, "GET"), (target, "HEAD")]


def test_no_address_is_kept_in_clear(site: Shop, client: TestClient) -> None:
    site.change(server={"proxies": 1})
    path = path_of(site.links.click(sent_message(site), "https://shop.example/"))
    for forwarded in ("203.0.113.7", "9.9.9.9, 203.0.113.7", "203.0.113.8", "not an address"):
        client.get(path, headers={"X-Forwarded-For": forwarded}, follow_redirects=False)
    first, same, other, none = [one.ip_hash for one in kept(site)]
    assert len(first) == 32
    assert "203" not in first
    assert first == same != other
    assert none == ""


@pytest.mark.parametrize("target", ["javascript:alert(1)", "data:text/html,x", "//evil.example", "https://", "/a", ""])
def test_a_signed_target_that_is_no_web_address_leads_nowhere(site: Shop, client: TestClient, target: str) -> None:
    got = client.get(path_of(site.links.click(sent_message(site), target)), follow_redirects=False)
    assert got.status_code == 404
    assert "location" not in got.headers
    assert kept(site) == []


def test_what_splits_headers_is_no_web_address() -> None:
    for url in ("https://a.example/\r\nSet-Cookie: x", "https://a.example/\tb", "https:\\\\a.example", "https://[::1"):
        assert not is_web(url)
    assert is_web("https://a.example:8443/ż?x=1")


@pytest.mark.parametrize("kind", ["o", "c", "u", "p", "v", "y"])
@pytest.mark.parametrize("token", HOSTILE)
def test_forged_links_are_met_with_a_page(site: Shop, client: TestClient, kind: str, token: str) -> None:
    for method in ("GET", "HEAD", "POST"):
        got = client.request(method, f"/e/{kind}/{token}", follow_redirects=False)
        assert got.status_code in ((200, 404, 405) if kind == "o" else (404, 405))
        assert "location" not in got.headers
    page = client.get(f"/e/{kind}/{token}", headers={"Accept-Language": "it"})
    if kind != "o" and "%2f" not in token:
        assert "Questo link non funziona" in page.text
        assert "<script" not in page.text


def test_a_token_of_one_kind_is_none_of_another(site: Shop, client: TestClient) -> None:
    token = path_of(site.links.view(sent_message(site))).rpartition("/")[2]
    for kind in ("c", "u", "p", "y"):
        assert client.get(f"/e/{kind}/{token}").status_code == 404
        assert client.post(f"/e/{kind}/{token}", data={"List-Unsubscribe": "One-Click"}).status_code in (404, 405)
    assert client.get(f"/e/o/{token}.gif").status_code == 200
    assert kept(site) == []


def test_a_link_of_a_message_that_is_gone_still_leads_on(site: Shop, client: TestClient) -> None:
    got = client.get(path_of(site.links.click("nobodysmessage", "https://shop.example/")), follow_redirects=False)
    assert got.status_code == 302
    assert client.get(path_of(site.links.open_pixel("nobodysmessage"))).status_code == 200
    assert client.get(path_of(site.links.unsubscribe("nobodysmessage"))).status_code == 404
    assert kept(site) == []


def test_a_redirect_does_not_wait_for_a_store_that_is_busy(site: Shop, client: TestClient) -> None:
    path = path_of(site.links.click(sent_message(site), "https://shop.example/"))
    with site.store.begin() as connection:
        # Holds the write lock on SQLite; on PostgreSQL nobody waits anyway.
        messages.put_status(connection, [(1, "sent", "")], site.clock())
        assert client.get(path, follow_redirects=False).status_code == 302
    assert client.get(path, follow_redirects=False).status_code == 302
    assert len(kept(site)) == 2


def test_many_requests_at_once_are_all_kept(site: Shop, client: TestClient) -> None:
    path = path_of(site.links.click(sent_message(site), "https://shop.example/"))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.get(path, follow_redirects=False).status_code, range(60)))
    assert answers == [302] * 60
    assert len(kept(site)) == 60


def test_requests_that_could_not_be_written_go_with_the_next(
    sqlite_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = sqlite_shop
    path = path_of(site.links.click(sent_message(site), "https://shop.example/"))
    append = engagement_requests.append
    failing = threading.Event()
    failing.set()

    def appended(connection, rows) -> None:
        if failing.is_set():
            raise OperationalError("INSERT", {}, OSError("the server closed the connection"))
        append(connection, rows)

    monkeypatch.setattr(engagement_requests, "append", appended)
    with TestClient(app_of(site, clock)) as client:
        assert client.get(path, follow_redirects=False).status_code == 302
        assert kept(site) == []
        failing.clear()
        assert client.get(path, follow_redirects=False).status_code == 302
        assert len(kept(site)) == 2


def test_a_fault_while_requests_are_written_stops_none_that_follow(
    sqlite_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = sqlite_shop
    path = path_of(site.links.click(sent_message(site), "https://shop.example/"))
    with TestClient(app_of(site, clock)) as client:
        for place in (f"{engagement_requests.__name__}.append", f"{messages.__name__}.by_keys"):
            with monkeypatch.context() as broken:
                broken.setattr(place, lambda *_: [][1])
                assert client.get(path, follow_redirects=False).status_code == 302
        assert client.get(path, follow_redirects=False).status_code == 302
        assert len(kept(site)) == 3


def test_a_copy_is_shown_as_it_was_sent_and_can_do_nothing(site: Shop, client: TestClient) -> None:
    html = "<html><body><h1>Zażółć</h1><script>alert(1)</script></body></html>"
    path = path_of(site.links.view(sent_message(site, Content(subject="Hi", html=html, text="Hi"))))
    got = client.get(path)
    assert got.text == html
    policy = got.headers["content-security-policy"]
    assert policy.startswith("sandbox ")
    assert "allow-scripts" not in policy
    assert "allow-same-origin" not in policy
    assert "default-src 'none'" in policy
    site.present = site.present.replace(year=2027)
    late = client.get(path)
    assert late.status_code == 410
    assert "Tej wiadomości już nie przechowujemy" in late.text


def test_a_copy_without_html_is_shown_as_text(site: Shop, client: TestClient) -> None:
    got = client.get(path_of(site.links.view(sent_message(site, Content(text="Kod: <b>1</b>\n& więcej")))))
    assert "Kod: &lt;b&gt;1&lt;/b&gt;\n&amp; więcej" in got.text


def test_links_give_nothing_away(site: Shop) -> None:
    key = sent_message(site)
    for url in (site.links.unsubscribe(key), site.links.preferences(1, "pl", key)):
        assert "anna" not in url
        assert site.secret.hex() not in url
