"""What sites, apps and providers call: subscribe forms, the in-app inbox, browsers for push, webhooks."""

from __future__ import annotations

import base64
import hmac
from datetime import timedelta
from hashlib import sha256
from typing import Any

import msgspec
import pytest
from litestar.testing import TestClient

from keepers.app.public import provider_webhooks
from keepers.app.public.rate_limit import Allowance
from keepers.app.public.visitor_auth import signature_of
from keepers.channels.email.providers.ses import Ses
from keepers.model.consent import CONFIRMATION, Consent, address_hash
from keepers.store import definitions
from keepers.store import keys as keys_
from keepers.store.events import log
from keepers.store.messages import delivery_reports, in_app
from keepers.store.messages.in_app import InAppRow
from keepers.store.profiles import consents, identities, suppressions
from public_shop import BEGAN, Shop, path_of, signed


def form(site: Shop, **more: Any) -> dict[str, Any]:
    return {"email": "new@example.com", "topic": "newsletter", "writeKey": site.tokens["write"], **more}


def state(site: Shop, profile: int, topic: str = "newsletter", email: str = "new@example.com") -> Consent | None:
    """What counts for a customer at an address."""
    hashed = address_hash(site.secret, "email", email)
    with site.store.read() as connection:
        return consents.load(connection, [profile], [hashed]).effective(profile, "email", topic, hashed)


# Subscribe forms


def test_double_opt_in_waits_for_the_second_yes(site: Shop, client: TestClient) -> None:
    sent = form(site, wording="Yes, send me news.", source="footer", locale="pl-PL", email=" New@Example.com ")
    got = client.post("/v1/subscribe", json=sent)
    assert (got.status_code, got.json()) == (202, {"status": "pending"})
    assert got.headers["access-control-allow-origin"] == "*"
    (wanted,) = site.asked
    assert (wanted.recipient, wanted.topic, wanted.locale) == ("New@example.com", "newsletter", "pl-PL")
    said = state(site, wanted.profile_id)
    assert said is not None
    assert (said.state, said.source, said.wording) == ("pending", "footer", "Yes, send me news.")
    assert client.get(path_of(wanted.url)).status_code == 200
    assert client.post(path_of(wanted.url)).status_code == 200
    said = state(site, wanted.profile_id)
    assert said is not None
    assert (said.state, said.wording) == ("subscribed", "Yes, send me news.")
    with site.store.read() as connection:
        rows = log.read(connection, 0, 100)
    assert [row.kind for row in rows][:2] == ["profile", "identify"]
    assert b"New@example.com" in rows[1].body


def learned(site: Shop) -> list[dict[str, Any]]:
    """The traits that were recorded, consent left out."""
    with site.store.read() as connection:
        rows = [row for row in log.read(connection, 0, 1000) if row.kind == "identify"]
    found = [{k: v for k, v in msgspec.json.decode(r.body)["traits"].items() if "subscribed" not in k} for r in rows]
    return [traits for traits in found if traits]


def test_a_form_says_nothing_of_its_customer_before_the_address_confirms_it(site: Shop, client: TestClient) -> None:
    """A stranger's form changed language and spelling of whoever has the address."""
    client.post("/v1/subscribe", json=form(site, locale="pl-PL", anonymousId="device"))
    assert learned(site) == []
    (asked,) = site.asked
    assert client.post(path_of(asked.url)).status_code == 200
    assert learned(site) == [{"email": "new@example.com", "locale": "pl-PL"}]
    site.known[asked.profile_id] = {"email": "new@example.com", "language": "pl"}
    site.present += timedelta(minutes=1)
    client.post(
        "/v1/subscribe", json=form(site, email="NEW@Example.com", topic="offers", locale="zh", anonymousId="device")
    )
    assert site.asked[-1].profile_id == asked.profile_id
    assert client.post(path_of(site.asked[-1].url)).status_code == 200
    assert len(learned(site)) == 1, "what is known stays"


def test_a_later_request_changes_no_words_that_are_confirmed(site: Shop, client: TestClient) -> None:
    """An attacker's later form put other words under what the person had asked for and confirmed."""
    client.post("/v1/subscribe", json=form(site, wording="News, twice a month."))
    site.present += timedelta(seconds=1)
    client.post("/v1/subscribe", json=form(site, wording="I sell my data."))
    own, other = site.asked
    assert client.post(path_of(own.url)).status_code == 200
    said = state(site, own.profile_id)
    assert said is not None
    assert (said.state, said.wording) == ("subscribed", "News, twice a month.")
    site.present += timedelta(minutes=1)
    assert client.post(path_of(other.url)).status_code == 200, "it is subscribed to"
    assert state(site, own.profile_id) == said


def test_one_address_is_one_customer_however_often_it_is_typed(site: Shop, client: TestClient) -> None:
    for email in ("new@example.com", "NEW@example.com", "new@EXAMPLE.COM"):
        assert client.post("/v1/subscribe", json=form(site, email=email)).status_code == 202
    assert len({wanted.profile_id for wanted in site.asked}) == 1


def test_a_topic_without_double_opt_in_is_subscribed_to_at_once_by_the_business_alone(
    site: Shop, client: TestClient
) -> None:
    got = client.post("/v1/subscribe", json=form(site, topic="offers", anonymousId="device-1"))
    assert got.json() == {"status": "pending"}
    assert [wanted.recipient for wanted in site.asked] == ["new@example.com"]
    with site.store.read() as connection:
        profile = identities.find(connection, "anonymous_id", "device-1")
    assert profile is not None
    assert state(site, profile, "offers").state == "pending"  # type: ignore[union-attr]
    server = form(site, topic="offers", userId="u1") | {"writeKey": site.tokens["server"]}
    assert client.post("/v1/subscribe", json=server).json() == {"status": "subscribed"}
    with site.store.read() as connection:
        profile = identities.find(connection, "user_id", "u1")
    assert profile is not None
    assert state(site, profile, "offers").state == "subscribed"  # type: ignore[union-attr]
    assert len(site.asked) == 1


def test_who_left_everything_comes_back_by_a_second_yes_only(site: Shop, client: TestClient) -> None:
    hashed = address_hash(site.secret, "email", "new@example.com")
    with site.store.begin() as connection:
        suppressions.add(connection, [suppressions.Suppression("email", hashed, "unsubscribed", BEGAN)])
    got = client.post("/v1/subscribe", json=form(site, topic="offers"))
    # The answer is that of anybody else: a form does not tell who has left.
    assert got.json() == {"status": "pending"}
    (wanted,) = site.asked
    assert state(site, wanted.profile_id, "offers").state == "pending"  # type: ignore[union-attr]
    site.known[wanted.profile_id] = {"email": "new@example.com"}
    assert client.post(path_of(wanted.url)).status_code == 200
    with site.store.read() as connection:
        assert suppressions.find(connection, [hashed]) == {}


@pytest.mark.parametrize("left", ["offers", "*"])
def test_who_left_a_topic_comes_back_by_a_second_yes_only(site: Shop, client: TestClient, left: str) -> None:
    anna = site.add_customer("anna", email="new@example.com")
    site.add_message(anna, "New@example.com")
    with site.store.begin() as connection:
        consents.record(
            connection, [Consent(anna, "email", left, "unsubscribed", BEGAN, "one-click", holds_for="person")], BEGAN
        )
    got = client.post("/v1/subscribe", json=form(site, topic="offers"))
    assert got.json() == {"status": "pending"}
    (wanted,) = site.asked
    assert state(site, wanted.profile_id, "offers").state == "pending"  # type: ignore[union-attr]


def test_an_address_that_complained_gets_no_mail_from_a_form(site: Shop, client: TestClient) -> None:
    hashed = address_hash(site.secret, "email", "new@example.com")
    with site.store.begin() as connection:
        suppressions.add(connection, [suppressions.Suppression("email", hashed, "complaint", BEGAN)])
    assert client.post("/v1/subscribe", json=form(site)).json() == {"status": "pending"}
    assert site.asked == []


def test_a_form_takes_no_known_customers_profile(site: Shop, client: TestClient) -> None:
    anna = site.add_customer("anna", email="anna@example.com")
    with site.store.begin() as connection:
        identities.append(
            connection, [identities.KnownIdentity("anonymous_id", "annas-device", anna, is_unproven=False)]
        )
    client.post("/v1/subscribe", json=form(site, anonymousId="annas-device"))
    client.post("/v1/subscribe", json=form(site, anonymousId="annas-device", email="Anna@example.com"))
    client.post("/v1/subscribe", json=form(site, userId="anna", email="third@example.com"))
    stranger, herself, third = [wanted.profile_id for wanted in site.asked]
    assert herself == anna
    assert stranger != anna
    assert third not in (anna, stranger)
    server = form(site, userId="anna", email="fourth@example.com") | {"writeKey": site.tokens["server"]}
    client.post("/v1/subscribe", json=server)
    assert site.asked[-1].profile_id == anna


def test_forms_are_limited_per_visitor_and_mails_per_address(site: Shop, client: TestClient) -> None:
    answers = []
    for _ in range(21):
        site.present += timedelta(seconds=1)
        answers.append(client.post("/v1/subscribe", json=form(site)))
    assert [a.status_code for a in answers] == [202] * 20 + [429]
    assert int(answers[-1].headers["retry-after"]) > 3000
    assert len(site.asked) == 2
    site.present += timedelta(hours=1)
    assert client.post("/v1/subscribe", json=form(site)).status_code == 202
    assert len(site.asked) == 2
    site.present += timedelta(days=1)
    for spelling in ("new+1@example.com", "NEW+2@example.com", "new@example.com", "New+3@example.com"):
        assert client.post("/v1/subscribe", json=form(site, email=spelling)).status_code == 202
    assert [asked.recipient for asked in site.asked[2:]] == ["new+1@example.com", "NEW+2@example.com"]
    # Within 30 days it was four by this network, whatever followed the plus sign.
    site.present += timedelta(days=20)
    assert client.post("/v1/subscribe", json=form(site, email="new+4@example.com")).status_code == 202
    assert len(site.asked) == 4
    site.present += timedelta(days=11)
    client.post("/v1/subscribe", json=form(site))
    assert len(site.asked) == 5


def test_forms_of_others_do_not_keep_a_person_from_subscribing(site: Shop, client: TestClient) -> None:
    """Six forms of an attacker used up the confirmations of a stranger for 30 days."""
    site.change(server={"proxies": 1})

    def asks(address: str) -> bool:
        before = len(site.asked)
        site.present += timedelta(seconds=1)
        got = client.post("/v1/subscribe", json=form(site), headers={"X-Forwarded-For": address})
        assert got.status_code == 202
        return len(site.asked) > before

    # From one provider's network, every day of a week, with as many addresses of it as there are.
    for day in range(7):
        sent = sum(asks(f"203.0.{day}.{n}") for n in range(1, 8))
        assert sent == (2 if day < 2 else 0)
        assert day or asks("198.51.100.1")
        site.present += timedelta(days=1)
    assert asks("198.51.100.1")
    # From many networks at once: the day is used up, then the week, and no longer.
    taken = []
    for day in range(8):
        site.present += timedelta(days=1)
        taken.append(sum(asks(f"{n}.{day}.0.1") for n in range(100, 106)))
    assert sum(taken[:7]) <= 6
    assert max(taken) <= 3
    site.present += timedelta(days=7)
    assert asks("198.51.100.1")


def test_forms_use_up_nothing_of_what_the_business_may_have_confirmed(site: Shop, client: TestClient) -> None:
    """An attacker's forms ended the double opt-in of the shop's own server for that address."""
    for n in range(10):
        client.post("/v1/subscribe", json=form(site, email=f"new+{n}@example.com"))
    assert len(site.asked) == 2
    server = form(site, userId="anna") | {"writeKey": site.tokens["server"]}
    for _ in range(4):
        site.present += timedelta(seconds=1)
        assert client.post("/v1/subscribe", json=server).json() == {"status": "pending"}
    assert [wanted.recipient for wanted in site.asked[2:]] == ["new@example.com"] * 3


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"email": "nobody"}, 422),
        ({"email": "a@b.example\r\nBcc: x@y.example"}, 422),
        ({"email": "a" * 400 + "@example.com"}, 422),
        ({"email": 5}, 422),
        ({"topic": "orders"}, 422),
        ({"topic": "none"}, 422),
        ({"anonymousId": "null"}, 422),
        ({"anonymousId": "a\0b"}, 400),
        ({"locale": "<script>"}, 422),
        ({"consent": True}, 422),
        ({"writeKey": ""}, 401),
        ({"writeKey": "kw_unknown"}, 401),
    ],
)
def test_forms_that_cannot_be_used_are_told_why(
    site: Shop, client: TestClient, change: dict[str, Any], status: int
) -> None:
    got = client.post("/v1/subscribe", json=form(site, **change))
    assert got.status_code == status, got.text
    assert got.json()["detail"]
    assert got.headers["access-control-allow-origin"] == "*"
    assert site.asked == []


def test_a_form_that_no_message_can_confirm_leaves_nothing(site: Shop, client: TestClient) -> None:
    with site.store.begin() as connection:
        definitions.retire(connection, "message", CONFIRMATION)
    got = client.post("/v1/subscribe", json=form(site))
    assert got.json()["code"] == "no_template"
    with site.store.read() as connection:
        assert log.last_seq(connection) == 0


def test_a_management_key_has_no_business_in_a_form(site: Shop, client: TestClient) -> None:
    assert client.post("/v1/subscribe", json=form(site, writeKey=site.tokens["secret"])).status_code == 403


@pytest.mark.parametrize("body", [b"", b"[", b"[]", b"\xff", b"null", b"[" * 30_000])
def test_bodies_that_are_no_form_are_refused(site: Shop, client: TestClient, body: bytes) -> None:
    assert client.post("/v1/subscribe", content=body).status_code in (400, 422)
    assert client.post("/v1/subscribe", content=b" " * 40_000).status_code == 413


def test_pages_of_other_origins_may_call(site: Shop, client: TestClient) -> None:
    for path in ("/v1/subscribe", "/v1/inbox", "/v1/inbox/7/read", "/v1/push/subscriptions"):
        got = client.options(path, headers={"Origin": "https://shop.example"})
        assert got.status_code == 204
        assert got.headers["access-control-allow-origin"] == "*"
        assert "content-type" in got.headers["access-control-allow-headers"]
    plain = client.post("/v1/subscribe", content=b"{}", headers={"Content-Type": "text/plain"})
    assert plain.status_code == 422


# The in-app inbox


@pytest.fixture
def anna(site: Shop) -> int:
    """With three messages, the oldest expired and one with a dangerous address."""
    anna = site.add_customer("anna", email="anna@example.com")
    keys = [site.add_message(anna, "anna", channel="in_app", step=f"s{n}") for n in range(3)]
    assert len(set(keys)) == 3
    rows = [
        InAppRow(anna, 1, "Old", "gone", "", BEGAN, None, BEGAN),
        InAppRow(anna, 2, "Hello", "<b>Text</b>", "javascript:alert(1)", BEGAN),
        InAppRow(anna, 3, "Sale", "Today", "/sale", BEGAN + timedelta(minutes=1)),
    ]
    with site.store.begin() as connection:
        in_app.put(connection, rows)
    return anna


def test_a_signature_is_made_as_documented(site: Shop) -> None:
    key = sha256(site.tokens["server"].encode()).digest()
    assert signature_of(site.tokens["server"], "анна") == hmac.new(key, "анна".encode(), sha256).hexdigest()
    assert signature_of(site.tokens["server"], "a", 5) == hmac.new(key, b"a\n5", sha256).hexdigest()


def test_the_inbox_is_fetched_and_read(site: Shop, client: TestClient, anna: int) -> None:
    got = client.get("/v1/inbox", params=signed(site, "anna")).json()
    assert got["unread"] == 2
    assert [(m["title"], m["text"], m["url"], m["readAt"]) for m in got["messages"]] == [
        ("Sale", "Today", "/sale", None),
        ("Hello", "<b>Text</b>", "", None),
    ]
    newest = got["messages"][0]["id"]
    for _ in range(2):
        assert client.post(f"/v1/inbox/{newest}/read", json=signed(site, "anna")).json() == {"unread": 1}
    unread = client.get("/v1/inbox", params=signed(site, "anna", unread="true")).json()
    assert [m["title"] for m in unread["messages"]] == ["Hello"]
    with site.store.read() as connection:
        assert [row.event for row in log.read(connection, 0, 100)].count("In-App Read") == 1
    assert client.post("/v1/inbox/all/read", json=signed(site, "anna")).json() == {"unread": 0}


def test_the_inbox_goes_on_page_by_page(site: Shop, client: TestClient, anna: int) -> None:
    first = client.get("/v1/inbox", params=signed(site, "anna", limit=1)).json()
    second = client.get("/v1/inbox", params=signed(site, "anna", limit=1, before=first["next"])).json()
    assert [m["title"] for m in first["messages"] + second["messages"]] == ["Sale", "Hello"]
    assert second["next"] is None


def test_only_the_customer_and_the_server_see_an_inbox(site: Shop, client: TestClient, anna: int) -> None:
    site.add_customer("bob")
    past = int((BEGAN - timedelta(days=1)).timestamp())
    late = {"userId": "anna", "signature": signature_of(site.tokens["server"], "anna", past), "expires": past}
    tries: list[tuple[dict[str, Any], str | None, int]] = [
        ({"userId": "anna"}, None, 401),
        ({"userId": "anna", "signature": signature_of(site.tokens["server"], "bob")}, None, 403),
        ({"userId": "anna", "signature": signature_of(site.tokens["write"], "anna")}, None, 403),
        ({"userId": "anna", "signature": "é"}, None, 403),
        (signed(site, "anna", expires=99999999999), None, 403),
        (late, None, 401),
        ({"userId": "anna"}, "write", 403),
        ({"userId": "anna"}, "secret", 403),
        ({"userId": "anna"}, "server", 200),
        ({"userId": "anna\n9"}, "server", 400),
        ({"userId": "null"}, "server", 422),
        ({}, "server", 400),
    ]  # fmt: skip
    for params, kind, status in tries:
        headers = {"Authorization": f"Bearer {site.tokens[kind]}"} if kind else {}
        assert client.get("/v1/inbox", params=params, headers=headers).status_code == status, (params, kind)
    basic = base64.b64encode(f"{site.tokens['server']}:".encode()).decode()
    got = client.get("/v1/inbox", params={"userId": "anna"}, headers={"Authorization": f"Basic {basic}"})
    assert got.json()["unread"] == 2
    mine = client.get("/v1/inbox", params=signed(site, "bob")).json()
    assert mine == {"unread": 0, "messages": [], "next": None}
    client.post("/v1/inbox/2/read", json=signed(site, "bob"))
    assert client.get("/v1/inbox", params=signed(site, "anna")).json()["unread"] == 2


def test_a_revoked_server_key_ends_its_signatures(site: Shop, client: TestClient, anna: int) -> None:
    expires = int((site.present - BEGAN.replace(year=1970, month=1, day=1, hour=0)).total_seconds())
    later = expires + 10_000_000
    good = {"userId": "anna", "signature": signature_of(site.tokens["server"], "anna", later), "expires": later}
    assert client.get("/v1/inbox", params=good).status_code == 200
    with site.store.begin() as connection:
        key = next(k for k in keys_.read_all(connection) if k.kind == "server")
        keys_.revoke(connection, key.id, BEGAN)
    assert client.get("/v1/inbox", params=good).status_code == 403


@pytest.mark.parametrize("message", ["x", "-1", "1.5", "9" * 30, "%00", "٣"])
def test_ids_that_are_none_are_refused(site: Shop, client: TestClient, anna: int, message: str) -> None:
    assert client.post(f"/v1/inbox/{message}/read", json=signed(site, "anna")).status_code in (400, 404, 422)


# Webhooks of providers


DELIVERED = {
    "RecordType": "Delivery", "MessageID": "883953f4", "Recipient": "anna@example.com",
    "DeliveredAt": "2026-03-02T09:59:00Z", "Metadata": {},
}  # fmt: skip


def test_a_providers_news_wait_in_the_store(site: Shop, client: TestClient) -> None:
    got = client.post("/e/in/postmark", json=DELIVERED, headers={"X-Keepers-Token": "of these tests"})
    assert (got.status_code, got.json()) == (200, {"success": True})
    with site.store.read() as connection:
        ((_, report),) = delivery_reports.read(connection, 10)
    assert (report.kind, report.provider_id, report.source) == ("delivered", "883953f4", "postmark")


@pytest.mark.parametrize(
    ("provider", "token", "content", "status"),
    [
        ("postmark", "wrong", b"{}", 401),
        ("postmark", "", b"{}", 401),
        ("postmark", "of these tests", b"{", 422),
        ("mailgun", "of these tests", b"{}", 404),
        ("postmork", "of these tests", b"{}", 404),
        ("postmark", "of these tests", b"x" * 6_000_000, 413),
    ],
)
def test_webhooks_that_are_not_a_providers_leave_nothing(
    site: Shop, client: TestClient, provider: str, token: str, content: bytes, status: int
) -> None:
    got = client.post(f"/e/in/{provider}", content=content, headers={"X-Keepers-Token": token})
    assert got.status_code == status
    with site.store.read() as connection:
        assert delivery_reports.depth(connection) == 0


def test_a_provider_that_asks_to_be_confirmed_is_visited(
    site: Shop, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    visited: list[str] = []

    def fetch(url: str) -> bytes:
        visited.append(url)
        return b""

    topic = "arn:aws:sns:eu-west-1:123456789012:feedback"
    site.change(providers={"ses": {"topics": [topic]}})
    monkeypatch.setattr(Ses, "verify", lambda *_: None)
    monkeypatch.setattr(provider_webhooks, "PROVIDERS", {"ses": Ses(fetch)})
    url = f"https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn={topic}"
    asked = {"Type": "SubscriptionConfirmation", "TopicArn": topic, "MessageId": "1", "SubscribeURL": url}
    for _ in range(3):
        assert client.post("/e/in/ses", json=asked).status_code == 200
    assert visited == [url]


def test_an_allowance_never_grows_without_end() -> None:
    allowance = Allowance(1, timedelta(hours=1), most_names=3)
    assert [allowance.spend(str(n), BEGAN) for n in range(10)] == [None] * 10
    assert allowance.spend("9", BEGAN) == timedelta(hours=1)
    assert allowance.spend("9", BEGAN + timedelta(hours=1)) is None
    assert allowance.spend("9", BEGAN - timedelta(hours=1)) is None
