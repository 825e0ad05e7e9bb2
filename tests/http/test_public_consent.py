"""Unsubscribing, preferences and double opt-in: at once, idempotent, never by a GET, safe to show to anybody."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from litestar.testing import TestClient

from keepers.model.consent import ALL_TOPICS, Consent, address_hash, request_id
from keepers.render.links import Confirm
from keepers.store.database import Store
from keepers.store.events import log
from keepers.store.messages import message_history
from keepers.store.profiles import consents, suppressions
from public_shop import BEGAN, Shop, opened, path_of

ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
def site(store: Store, tmp_path: Path) -> Iterator[Shop]:
    """On both engines."""
    with opened(store, tmp_path) as site:
        yield site


@pytest.fixture
def anna(site: Shop) -> int:
    """Subscribed to news and offers by e-mail and to offers by SMS; writes in Polish."""
    profile = site.add_customer("anna", email="Anna@example.com", phone="+48 123 456 789", locale="pl-PL")
    wishes = (("email", "newsletter"), ("email", "offers"), ("sms", "offers"))
    with site.store.begin() as connection:
        consents.record(
            connection,
            [Consent(profile, c, t, "subscribed", BEGAN, "form", holds_for="person") for c, t in wishes],
            BEGAN,
        )
    site.present = BEGAN.replace(hour=11)
    return profile


def states(site: Shop, profile: int) -> dict[tuple[str, str], str]:
    with site.store.read() as connection:
        agreed = consents.load(connection, [profile])
        hashed = {one.channel: one.address_hash for one in consents.history(connection, profile)}
        found = {(c, t): agreed.effective(profile, c, t, hashed[c]) for c, t in agreed.pairs(profile)}
    return {pair: one.state for pair, one in found.items() if one is not None}


def requested(site: Shop, profile: int, email: str = "new@example.com", wording: str = "Yes, news!") -> Consent:
    """As a form stores it."""
    hashed = address_hash(site.secret, "email", email)
    return Consent(
        profile,
        "email",
        "newsletter",
        "pending",
        BEGAN,
        "footer",
        wording=wording,
        address_hash=hashed,
        holds_for="address",
    )


def confirming(site: Shop, request: Consent, email: str = "new@example.com") -> str:
    """The link of a confirmation e-mail."""
    expires_s = int((BEGAN + timedelta(days=1) - datetime(1970, 1, 1)).total_seconds())
    asked = Confirm(request.profile_id, "email", "newsletter", email, expires_s, request_id(request))
    return path_of(site.links.confirm(asked))


def suppressed(site: Shop, channel: str, to: str) -> str | None:
    with site.store.read() as connection:
        hashed = address_hash(site.secret, channel, to)
        found = suppressions.find(connection, [hashed]).get((channel, hashed))
        return found.reason if found else None


def events(site: Shop, name: str) -> int:
    with site.store.read() as connection:
        return sum(row.event == name for row in log.read(connection, 0, 1000))


def unsubscribing(site: Shop, profile: int, topic: str = "newsletter", **more: str) -> tuple[str, str]:
    """(key, path)"""
    key = site.add_message(profile, "Anna@example.com", topic=topic, **more)
    return key, path_of(site.links.unsubscribe(key))


def test_one_click_unsubscribes_at_once(site: Shop, client: TestClient, anna: int) -> None:
    _, path = unsubscribing(site, anna)
    for _ in range(2):
        got = client.post(path, data=ONE_CLICK, follow_redirects=False)
        assert (got.status_code, got.content) == (200, b"")
        assert "set-cookie" not in got.headers
    assert states(site, anna) == {
        ("email", "newsletter"): "unsubscribed", ("email", "offers"): "subscribed", ("sms", "offers"): "subscribed",
    }  # fmt: skip
    assert events(site, "Unsubscribed") == 1
    with site.store.read() as connection:
        (noted,) = message_history.of_messages(connection, [1])[1]
    assert (noted.status, noted.reason, noted.detail) == ("unsubscribed", "one-click", "newsletter")


def test_leaving_counts_for_everybody_of_the_inbox_and_says_by_which_message(
    site: Shop, client: TestClient, anna: int
) -> None:
    twin, other = (site.add_customer(name, email="x@example.com") for name in ("twin", "other"))
    with site.store.begin() as connection:
        wishes = [
            Consent(i, "email", "newsletter", "subscribed", BEGAN, "form", holds_for="person") for i in (twin, other)
        ]
        consents.record(connection, wishes, BEGAN)
    site.add_message(twin, "anna@example.com")
    site.add_message(other, "other@example.com")
    key, path = unsubscribing(site, anna, journey="welcome")
    assert client.post(path, data=ONE_CLICK).status_code == 200
    assert [states(site, i)["email", "newsletter"] for i in (anna, twin, other)] == [
        *("unsubscribed", "unsubscribed", "subscribed"),
    ]
    with site.store.read() as connection:
        told = [json.loads(row.body) for row in log.read(connection, 0, 1000) if row.event == "Unsubscribed"]
    assert len(told) == 2
    for one in told:
        said = one["properties"]
        assert (said["message_key"], said["journey"], said["message"]) == (key, "welcome", "welcome")
        assert (said["channel"], said["topic"], said["source"]) == ("email", "newsletter", "one-click")


def test_one_click_is_understood_in_every_encoding_senders_use(site: Shop, client: TestClient, anna: int) -> None:
    bodies = [
        {"files": {"List-Unsubscribe": (None, "One-Click")}},
        {"content": b"List-Unsubscribe=One-Click", "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
        {"content": b"List-Unsubscribe=One-Click"},
        {"content": b"List-Unsubscribe=One-Click\r\n", "headers": {"Content-Type": "text/plain"}},
    ]
    for n, sent in enumerate(bodies):
        profile = site.add_customer(f"c{n}")
        with site.store.begin() as connection:
            wish = Consent(profile, "email", "newsletter", "subscribed", BEGAN, "form", holds_for="person")
            consents.record(connection, [wish], BEGAN)
        path = path_of(site.links.unsubscribe(site.add_message(profile, f"c{n}@example.com")))
        assert client.post(path, **sent).status_code == 200  # type: ignore[arg-type]
        assert states(site, profile) == {("email", "newsletter"): "unsubscribed"}, sent


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "application/x-www-form-urlencoded"),
        (b"List-Unsubscribe=Two-Click", "application/x-www-form-urlencoded"),
        (b"\xff\xfe\x00", "application/x-www-form-urlencoded"),
        (b"&".join(b"a%d=1" % n for n in range(5000)), "application/x-www-form-urlencoded"),
        (b"no boundary at all", "multipart/form-data"),
        (b"--x\r\nbroken", "multipart/form-data; boundary=x"),
        (b'{"scope": "all"}', "application/json"),
        (b"scope=everybody", "application/x-www-form-urlencoded"),
    ],
)
def test_a_post_that_says_nothing_unsubscribes_nobody(
    site: Shop, client: TestClient, anna: int, content: bytes, kind: str
) -> None:
    before = states(site, anna)
    got = client.post(unsubscribing(site, anna)[1], content=content, headers={"Content-Type": kind})
    assert got.status_code == 200
    assert "<form" in got.text
    assert states(site, anna) == before


def test_a_form_over_the_limit_is_refused(site: Shop, client: TestClient, anna: int) -> None:
    got = client.post(unsubscribing(site, anna)[1], content=b"x" * 100_000)
    assert got.status_code == 413


def test_a_scanner_that_follows_links_unsubscribes_nobody(site: Shop, client: TestClient, anna: int) -> None:
    before = states(site, anna)
    key, path = unsubscribing(site, anna)
    for link in (
        path,
        path_of(site.links.preferences(anna, "", key)),
        f"{path}?scope=all&List-Unsubscribe=One-Click",
    ):
        assert client.head(link).status_code == 200
        assert client.get(link).status_code == 200
        assert client.options(link).status_code == 204
        for method in ("PUT", "DELETE", "PATCH"):
            assert client.request(method, link).status_code == 405
    assert states(site, anna) == before
    assert suppressed(site, "email", "anna@example.com") is None


def test_the_page_offers_topic_or_everything(site: Shop, client: TestClient, anna: int) -> None:
    _, path = unsubscribing(site, anna, locale="pl")
    page = client.get(path)
    assert '<html lang="pl">' in page.text
    assert "Tylko „Nowości”" in page.text
    assert "A•••@example.com" in page.text
    assert "Anna@" not in page.text
    assert "Zamówienia i dostawa" in page.text
    done = client.post(path, data={"scope": "topic", "reason": "too_often"})
    assert "Nie będziemy już wysyłać: „Nowości”." in done.text
    assert states(site, anna)["email", "newsletter"] == "unsubscribed"
    assert states(site, anna)["email", "offers"] == "subscribed"
    with site.store.read() as connection:
        assert consents.history(connection, anna)[-1].source == "unsubscribe page: too_often"


def test_everything_is_every_channel_and_outlives_the_profile(site: Shop, client: TestClient, anna: int) -> None:
    _, path = unsubscribing(site, anna)
    done = client.post(path, data={"scope": "all", "reason": "<b>"}, headers={"Accept-Language": "ru"})
    assert "Nowości" not in done.text
    found = states(site, anna)
    assert {c for (c, t), s in found.items() if t == ALL_TOPICS and s == "unsubscribed"} == {"email", "sms", "push"}
    assert suppressed(site, "email", "anna@EXAMPLE.com") == "unsubscribed"
    assert suppressed(site, "sms", "+48123456789") == "unsubscribed"
    with site.store.read() as connection:
        assert consents.history(connection, anna)[-1].source == "unsubscribe page"


def test_a_bare_number_is_stopped_as_messages_know_it(site: Shop, client: TestClient, anna: int) -> None:
    site.known[anna] = {"email": "anna@example.com", "phone": 600100200}
    _, path = unsubscribing(site, anna)
    client.post(path, data={"scope": "all"})
    assert suppressed(site, "sms", "+48600100200") == "unsubscribed"


@pytest.mark.parametrize("topic", ["orders", "gone"])
def test_a_message_whose_topic_cannot_be_left_stops_the_channel(
    site: Shop, client: TestClient, anna: int, topic: str
) -> None:
    _, path = unsubscribing(site, anna, topic=topic)
    assert 'value="topic"' not in client.get(path).text
    client.post(path, data=ONE_CLICK)
    assert states(site, anna)["email", ALL_TOPICS] == "unsubscribed"
    assert states(site, anna)["sms", "offers"] == "subscribed"


def preferences(site: Shop, profile: int) -> str:
    return path_of(site.preferences(profile))


def ticked(page: str) -> set[str]:
    parts = page.split('name="on" value="')[1:]
    return {part.partition('"')[0] for part in parts if part.partition(">")[0].endswith(" checked")}


SHOWN = ["email:newsletter", "sms:newsletter", "email:offers", "sms:offers", "push:offers", "email:tips"]


def test_the_preference_page_shows_what_is_chosen(site: Shop, client: TestClient, anna: int) -> None:
    page = client.get(preferences(site, anna)).text
    assert '<html lang="pl">' in page
    # Tips rest on a legitimate interest, so they are on until somebody objects.
    assert ticked(page) == {"email:newsletter", "email:offers", "sms:offers", "email:tips"}
    assert "orders" not in page
    assert "Zamówienia i dostawa" in page
    assert "Co chcesz od nas otrzymywać?" in page
    assert "Cosa" not in page


def test_a_request_of_anybody_unticks_nothing_that_needs_no_consent(site: Shop, client: TestClient, anna: int) -> None:
    """Tips go out by legitimate interest: a stranger's form for them showed them as left, and saving left them."""
    hashed = address_hash(site.secret, "email", "Anna@example.com")
    asked = Consent(anna, "email", "tips", "pending", BEGAN, "form", address_hash=hashed, holds_for="address")
    with site.store.begin() as connection:
        consents.record(connection, [asked], BEGAN)
    path = preferences(site, anna)
    assert "email:tips" in ticked(client.get(path).text)
    form = {"shown": SHOWN, "on": sorted(ticked(client.get(path).text)), "action": "save"}
    assert client.post(path, data=form).status_code in (200, 303)
    assert states(site, anna)["email", "tips"] == "pending"
    client.post(path, data=form | {"on": []})
    assert states(site, anna)["email", "tips"] == "unsubscribed"


def test_choices_are_saved_without_a_script(site: Shop, client: TestClient, anna: int) -> None:
    path = preferences(site, anna)
    form = {"shown": SHOWN, "on": ["email:newsletter", "push:offers"], "language": "it", "action": "save"}
    got = client.post(path, data=form, follow_redirects=False)
    assert got.status_code == 303
    page = client.get(path + got.headers["location"]).text
    assert "Salvato." in page
    assert '<option value="it" lang="it" selected>' in page
    assert ticked(page) == {"email:newsletter", "push:offers"}
    with site.store.read() as connection:
        assert any(b'"locale":"it"' in row.body for row in log.read(connection, 0, 100))
    before = events(site, "Unsubscribed")
    client.post(path, data=form)
    assert events(site, "Unsubscribed") == before


def test_what_a_form_did_not_show_stays(site: Shop, client: TestClient, anna: int) -> None:
    form = {"shown": ["email:newsletter", "email:made_up", "orders", ":", "email:orders"], "on": ["email:made_up"]}
    client.post(preferences(site, anna), data=form)
    assert states(site, anna) == {
        ("email", "newsletter"): "unsubscribed", ("email", "offers"): "subscribed", ("sms", "offers"): "subscribed",
    }  # fmt: skip


def test_leaving_all_and_coming_back_by_choice(site: Shop, client: TestClient, anna: int) -> None:
    path = preferences(site, anna)
    got = client.post(path, data={"action": "none", "shown": SHOWN, "on": SHOWN}, follow_redirects=False)
    page = client.get(path + got.headers["location"]).text
    assert ticked(page) == set()
    assert suppressed(site, "email", "anna@example.com") == "unsubscribed"
    site.present = site.present.replace(hour=12)
    client.post(path, data={"action": "save", "shown": SHOWN, "on": ["email:offers"]})
    assert suppressed(site, "email", "anna@example.com") is None
    assert suppressed(site, "sms", "+48123456789") == "unsubscribed"
    assert ticked(client.get(path).text) == {"email:offers"}


@pytest.mark.parametrize("reason", ["hard_bounce", "complaint", "manual"])
def test_a_choice_opens_no_address_that_is_closed_for_another_reason(
    site: Shop, client: TestClient, anna: int, reason: str
) -> None:
    hashed = address_hash(site.secret, "email", "anna@example.com")
    with site.store.begin() as connection:
        row = suppressions.Suppression("email", hashed, reason, BEGAN)  # type: ignore[arg-type]
        suppressions.add(connection, [row])
    path = preferences(site, anna)
    client.post(path, data={"action": "none"})
    client.post(path, data={"action": "save", "shown": SHOWN, "on": ["email:newsletter"]})
    assert suppressed(site, "email", "anna@example.com") == reason
    assert "Na A•••@example.com nic teraz nie wysyłamy" in client.get(path).text


def test_the_language_is_asked_for_then_the_customers_then_the_browsers(
    site: Shop, client: TestClient, anna: int
) -> None:
    path, choose_locale = preferences(site, anna), {"Accept-Language": "de, zh-CN;q=0.8, ru;q=0.9"}
    assert '<html lang="it">' in client.get(f"{path}?lang=it", headers=choose_locale).text
    assert '<html lang="pl">' in client.get(f"{path}?lang=xx", headers=choose_locale).text
    stranger = preferences(site, site.add_customer("stranger"))
    assert '<html lang="ru">' in client.get(stranger, headers=choose_locale).text
    assert '<html lang="en">' in client.get(stranger, headers={"Accept-Language": "*;q=x,,de"}).text


def test_pages_escape_what_definitions_and_addresses_say(site: Shop, client: TestClient, anna: int) -> None:
    evil = "<img src=x onerror=alert(1)>{{ 7 | times: 6 }}{0}"
    site.apply({"topic/newsletter": {"id": "newsletter", "name": evil, "description": evil}})
    site.change(company={"name": evil, "address": evil, "url": "javascript:alert(1)"})
    profile = site.add_customer("evil", email='"><script>@x.example')
    key = site.add_message(profile, '"><script>@x.example')
    paths = [
        preferences(site, profile),
        path_of(site.links.unsubscribe(key)),
        confirming(site, requested(site, profile)),
        "/e/u/none",
    ]
    for path in paths:
        page = client.get(path, params={"lang": '"><script>', "done": "<script>", "in": "<script>"}).text
        assert "<img" not in page
        assert "<script" not in page
        assert "javascript:" not in page
        assert "42" not in page.partition("</style>")[2].partition("<nav")[0]


def test_pages_let_nothing_in(site: Shop, client: TestClient, anna: int) -> None:
    got = client.get(preferences(site, anna))
    policy = got.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self'" in policy
    assert got.headers["referrer-policy"] == "no-referrer"
    assert got.headers["cache-control"] == "no-store"
    assert got.headers["x-robots-tag"].startswith("noindex")
    for outside in ("http://", "https://", "<script", "onclick", " style="):
        assert outside not in got.text


def test_a_confirmation_needs_the_button(site: Shop, client: TestClient) -> None:
    profile = site.add_customer("new", email="new@example.com")
    wish = requested(site, profile)
    path = confirming(site, wish)
    with site.store.begin() as connection:
        consents.record(connection, [wish], BEGAN)
    asked = client.get(path)
    assert "n•••@example.com" in asked.text
    client.head(path)
    assert states(site, profile) == {("email", "newsletter"): "pending"}
    for _ in range(2):
        assert "Thank you, you are subscribed" in client.post(path).text
    assert states(site, profile) == {("email", "newsletter"): "subscribed"}
    assert events(site, "Subscribed") == 1
    with site.store.read() as connection:
        assert consents.history(connection, profile)[-1].wording == "Yes, news!"
    site.present = site.present.replace(hour=23)
    client.post(path_of(site.preferences(profile)), data={"action": "none"})
    assert client.post(path).status_code == 409
    assert states(site, profile)["email", "newsletter"] == "unsubscribed"


def test_a_confirmation_says_yes_for_its_own_address_until_it_expires(site: Shop, client: TestClient) -> None:
    """Of a request for one address nothing follows for another, whoever else has a link."""
    profile = site.add_customer("new", email="new@example.com")
    wishes = {email: requested(site, profile, email) for email in ("new@example.com", "late@example.com")}
    with site.store.begin() as connection:
        for wish in wishes.values():
            consents.record(connection, [wish], BEGAN)
    assert (
        client.post(confirming(site, requested(site, profile, "other@example.com"), "other@example.com")).status_code
        == 409
    )
    unnamed = Confirm(profile, "email", "newsletter", "new@example.com", 4_000_000_000)
    assert client.post(path_of(site.links.confirm(unnamed))).status_code == 404
    assert client.post(confirming(site, wishes["new@example.com"])).status_code == 200
    site.present = BEGAN + timedelta(days=2)
    assert client.post(confirming(site, wishes["late@example.com"], "late@example.com")).status_code == 404
    hashes = {e: address_hash(site.secret, "email", f"{e}@example.com") for e in ("new", "late", "other")}
    with site.store.read() as connection:
        agreed = consents.load(connection, [profile], list(hashes.values()))
    found = {email: agreed.effective(profile, "email", "newsletter", hashed) for email, hashed in hashes.items()}
    assert {email: one and one.state for email, one in found.items()} == {
        "new": "subscribed", "late": "pending", "other": None,
    }  # fmt: skip


def test_a_store_that_fails_is_said_in_words(
    site: Shop, client: TestClient, anna: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> object:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(site.sending, "traits", fail)
    got = client.get(preferences(site, anna), headers={"Accept-Language": "zh"})
    assert got.status_code == 503
    assert "我们这边出了点问题" in got.text
    assert "secret detail" not in got.text


def test_only_what_was_recorded_wakes_the_ticker(site: Shop, client: TestClient, anna: int) -> None:
    woken: list[str] = []
    site.wake = lambda: woken.append("tick")
    _, path = unsubscribing(site, anna)
    for link in (path, preferences(site, anna), "/e/u/forged", "/e/p/forged", "/v1/push/key"):
        client.get(link)
    client.post("/e/u/forged", data=ONE_CLICK)
    client.post("/v1/subscribe", json={"email": "a@example.com", "topic": "newsletter"})
    assert woken == []
    client.post(path, data=ONE_CLICK)
    assert woken == ["tick"]
