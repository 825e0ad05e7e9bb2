"""Browsers for push: whose they are, what they agree to, and what is refused."""

from __future__ import annotations

import base64
import os
from typing import Any

import pytest
from litestar.testing import TestClient

from keepers.channels.push import new_vapid_keys
from keepers.model.consent import Consent
from keepers.store.profiles import consents, identities, push_subscriptions
from keepers.store.profiles.identities import KnownIdentity
from public_shop import BEGAN, Shop, signed


def browser(endpoint: str = "https://push.example.com/send/abc", **keys: str) -> dict[str, Any]:
    given = {"p256dh": _text(b"\x04" + os.urandom(64)), "auth": _text(os.urandom(16)), **keys}
    return {"endpoint": endpoint, "expirationTime": None, "keys": given}


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def browsers(site: Shop, kind: str, value: str) -> list[str]:
    with site.store.read() as connection:
        profile = identities.find(connection, kind, value)
        if profile is None:
            return []
        return [s.endpoint for s in push_subscriptions.of_profiles(connection, [profile]).get(profile, [])]


def test_a_browser_is_added_and_forgotten(site: Shop, client: TestClient) -> None:
    wish = signed(site, "carl", subscription=browser())
    for _ in range(2):
        assert client.post("/v1/push/subscriptions", json=wish).json() == {"success": True}
    assert browsers(site, "user_id", "carl") == ["https://push.example.com/send/abc"]
    with site.store.read() as connection:
        carl = identities.find(connection, "user_id", "carl")
        assert carl is not None
        (agreed,) = consents.history(connection, carl)
    assert (agreed.channel, agreed.topic, agreed.state) == ("push", "*", "subscribed")
    anonymous = {"subscription": browser(), "anonymousId": "device", "writeKey": site.tokens["write"]}
    assert client.post("/v1/push/subscriptions", json=anonymous).status_code == 200
    assert browsers(site, "user_id", "carl") == []
    assert len(browsers(site, "anonymous_id", "device")) == 1
    gone = {"endpoint": "https://push.example.com/send/abc", "writeKey": site.tokens["write"]}
    assert client.request("DELETE", "/v1/push/subscriptions", json=gone).status_code == 200
    assert browsers(site, "anonymous_id", "device") == []


def agreed_to_push(site: Shop, user_id: str) -> list[tuple[str, str]]:
    """What a customer said of push: (state, whom it holds for)."""
    with site.store.read() as connection:
        profile = identities.find(connection, "user_id", user_id)
        assert profile is not None
        return [(one.state, one.holds_for) for one in consents.history(connection, profile)]


def test_a_browser_that_does_not_count_takes_the_place_of_none(site: Shop, client: TestClient) -> None:
    """The attacker's came before the customer's own, which then brought no consent to push."""
    with site.store.begin() as connection:
        (who,), _ = identities.resolve_many(connection, "user_id", ["carl"], [BEGAN], is_unproven=False)
        identities.append(connection, [KnownIdentity("anonymous_id", "device", who, True)])
    theirs = {"subscription": browser("https://push.example.com/a"), "anonymousId": "device"}
    for key in ("write", "server"):
        got = client.post("/v1/push/subscriptions", json=theirs | {"writeKey": site.tokens[key]})
        assert got.status_code == 200
        assert browsers(site, "user_id", "carl") == []
        assert agreed_to_push(site, "carl") == []
    own = signed(site, "carl", subscription=browser("https://push.example.com/b"))
    assert client.post("/v1/push/subscriptions", json=own).status_code == 200
    assert browsers(site, "user_id", "carl") == ["https://push.example.com/b"]
    assert agreed_to_push(site, "carl") == [("subscribed", "person")]


def test_a_browser_that_comes_back_brings_back_nobody_who_left(site: Shop, client: TestClient) -> None:
    wish = signed(site, "carl", subscription=browser())
    client.post("/v1/push/subscriptions", json=wish)
    with site.store.begin() as connection:
        who = identities.find(connection, "user_id", "carl")
        assert who is not None
        left = Consent(who, "push", "offers", "unsubscribed", site.present, "preference page", holds_for="person")
        consents.record(connection, [left], site.present)
        push_subscriptions.remove(connection, [wish["subscription"]["endpoint"]])
    client.post("/v1/push/subscriptions", json=wish)
    assert agreed_to_push(site, "carl") == [("subscribed", "person"), ("unsubscribed", "person")]


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://push.example.com/x", "https://127.0.0.1/x", "https://[::1]/x", "https://localhost/x",
        "https://0x7f.1/x", "https://10.1/x", "https://a@push.example.com/x", "https://push.example.com:8080/x",
        "https://push.example.com/\n", "https://metadata.internal/x", "file:///etc/passwd", "https://[", "",
    ],
)  # fmt: skip
def test_endpoints_that_are_no_push_service_are_refused(site: Shop, client: TestClient, endpoint: str) -> None:
    got = client.post("/v1/push/subscriptions", json=signed(site, "carl", subscription=browser(endpoint)))
    assert got.status_code == 422
    assert browsers(site, "user_id", "carl") == []


def test_a_browser_needs_keys_and_somebody_it_belongs_to(site: Shop, client: TestClient) -> None:
    write = {"writeKey": site.tokens["write"]}
    for wish, status in (
        (signed(site, "carl", subscription=browser(auth="AAAA")), 422),
        (signed(site, "carl", subscription=browser(p256dh="é")), 422),
        (signed(site, "carl", subscription={"endpoint": "https://push.example.com/"}), 422),
        ({"subscription": browser(), **write}, 422),
        ({"subscription": browser(), "userId": "carl", **write}, 401),
        ({"subscription": browser(), "anonymousId": "device"}, 401),
        ({"subscription": browser(), "anonymousId": "guest", **write}, 422),
    ):
        assert client.post("/v1/push/subscriptions", json=wish).status_code == status, wish
    assert client.request("DELETE", "/v1/push/subscriptions", json={"endpoint": "x"}).status_code == 401


def test_the_public_key_for_push_is_told_where_there_is_one(site: Shop, client: TestClient) -> None:
    assert client.get("/v1/push/key").status_code == 404
    pair = new_vapid_keys()
    site.change(channels={"push": {"private_key": pair.private}})
    assert client.get("/v1/push/key").json() == {"publicKey": pair.public}
