"""What a stolen write key can do to a running server: describe behaviour, and nothing in anybody's name."""

from __future__ import annotations

from collections.abc import Iterator
from email import message_from_bytes, policy
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgspec
import pytest

from conftest import Postgres
from keepers.app.workspace.workspace import Workspace
from keepers.devtools.mailbox import Mailbox
from keepers.devtools.mailbox_folder import Received
from keepers.model.consent import CONFIRMATION, address_hash
from keepers.store.journeys import entry_rejections
from keepers.store.profiles import consents, identities, push_subscriptions, suppressions
from mail_shop import BODY, mailbox_at, make_mail_shop
from serving import SECRET, SERVER, WRITE, Serving, serving
from waiting import wait_for
from workspaces import opened

BUTTON = '<mj-section><mj-column><mj-button href="{{ trigger.order_url }}">See</mj-button></mj-column></mj-section>'
PLAYBOOK: dict[str, Any] = {
    "contact": {"quiet": {}, "caps": {}},
    "topics": [
        {"id": "orders", "name": "Orders", "kind": "transactional", "basis": "contract"},
        {"id": "news", "name": "News"},
    ],
    "segments": [{"id": "buyers", "who": {"did": "Order Completed"}}],
    "messages": [
        {"id": name, "channel": "email", "topic": topic, "content": {"en": {"subject": subject, "body": body}}}
        for name, topic, subject, body in (
            ("receipt", "orders", "Thanks for {{ trigger.order_id }}", BUTTON),
            ("welcome", "orders", "You are a buyer", BODY),
            ("hello", "news", "Hello", BODY),
            (CONFIRMATION, "orders", "Is it you?", "<mj-text>{{ trigger.url }}</mj-text>"),
        )
    ],
    "journeys": [
        {
            "id": "receipts",
            "enter": [{"event": "Order Completed"}],
            "reentry": {"per": "order_id"},
            "steps": [{"id": "thank", "message": "receipt"}],
        },
        {"id": "buying", "enter": [{"segment": "buyers"}], "steps": [{"id": "welcome", "message": "welcome"}]},
        {"id": "newcomers", "enter": [{"event": "Looked"}], "steps": [{"id": "hello", "message": "hello"}]},
    ],
}
NUMBERS = count(1)
API = {"Authorization": f"Bearer {SECRET}"}


class Attacked(NamedTuple):
    """A running shop, its mailbox, and who calls it."""

    server: Serving
    workspace: Workspace
    mailbox: Mailbox

    def call(self, key: str, *calls: dict[str, Any]) -> httpx.Response:
        return httpx.post(f"{self.server.address}/v1/batch", json={"batch": calls}, auth=(key, ""), timeout=30)

    def post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        return httpx.post(f"{self.server.address}{path}", json=body, timeout=30)

    def order(self, who: str, **properties: Any) -> str:
        """An order as the shop's server reports it; its id."""
        order_id = f"o{next(NUMBERS)}"
        done = track(who, "Order Completed", order_id=order_id, total=5, **properties)
        assert self.call(SERVER, done).json() == {"success": True}
        return order_id

    def settle(self) -> None:
        """Until everything that was sent before has been worked off: a receipt of somebody new has arrived."""
        who = f"last{next(NUMBERS)}"
        self.call(SERVER, identify(who, email=f"{who}@example.com"))
        order_id = self.order(who)
        wait_for(lambda: "Thanks for " + order_id in self.mails(f"{who}@example.com"))

    def mails(self, address: str) -> list[str]:
        """The subjects of what an address was sent."""
        return sorted(m.subject for m in self._received(address))

    def texts(self, address: str, kind: str = "html") -> list[str]:
        """The bodies of what an address was sent, as `html` or `plain` text."""
        found = []
        for one in self._received(address):
            message = message_from_bytes(self.mailbox.raw(one.id), policy=policy.default)
            body = message.get_body((kind,))
            assert body is not None
            found.append(str(body.get_content()))
        return found

    def _received(self, address: str) -> list[Received]:
        return [m for m in self.mailbox.messages(limit=10_000) if m.recipient == address]

    def profile(self, who: str) -> int:
        with self.workspace.store.read() as connection:
            found = identities.find(connection, "user_id", who)
        assert found is not None
        return found


def identify(who: str | None = None, device: str | None = None, **traits: Any) -> dict[str, Any]:
    return {"type": "identify", **ids(who, device), "traits": traits}


def track(who: str | None, event: str, device: str | None = None, **properties: Any) -> dict[str, Any]:
    return {"type": "track", "event": event, **ids(who, device), "properties": properties}


def ids(who: str | None, device: str | None) -> dict[str, str]:
    return {name: value for name, value in (("userId", who), ("anonymousId", device)) if value is not None}


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    folder: Path = tmp_path_factory.mktemp("attacked")
    database: Postgres | None = request.getfixturevalue("postgres") if request.param == "postgres" else None
    address = database.migrated() if database is not None else None
    store = f"[store]\nurl = {msgspec.json.encode(address).decode()}\n" if address else ""
    limits = '[limits]\nvisitor_per_minute = 300\n[company]\nurl = "https://shop.example/"\n'
    with mailbox_at(folder / "mailbox") as mailbox:
        made = make_mail_shop(folder / "shop", mailbox, PLAYBOOK, f"{store}{limits}")
        with serving(made) as server, opened(made) as workspace:
            yield Attacked(server, workspace, mailbox)
    if database is not None and address is not None:
        database.drop(address)


def test_orders_by_a_browser_send_nothing_to_strangers(shop: Attacked) -> None:
    """One batch of 61 orders sent 60 e-mails to a stranger, with a subject of the attacker's."""
    stranger = "stranger@example.com"
    calls = [identify(f"fake{n}", email=stranger) for n in range(30)]
    calls += [track(f"fake{n}", "Order Completed", order_id=f"You have won {n}", total=1) for n in range(30)]
    assert shop.call(WRITE, *calls, track("fake0", "Looked")).status_code == 200
    shop.settle()
    assert shop.mails(stranger) == []
    with shop.workspace.store.read() as connection:
        refused = entry_rejections.of_profile(connection, shop.profile("fake0"))
    assert {one.journey: one.reason for one in refused} == {"receipts": "not_trusted", "buying": "not_trusted"}


@pytest.mark.parametrize("first", ["the shop", "the attacker", "a visitor who is then said to be the customer"])
def test_a_customers_address_is_not_changed_in_whatever_order(shop: Attacked, first: str) -> None:
    """A victim's next order mail, with number and first name, went to the attacker."""
    n = next(NUMBERS)
    victim, hers, his = f"victim{n}", f"victim{n}@example.com", f"attacker{n}@example.com"
    by_shop = identify(victim, email=hers, firstName="Vera")
    if first == "the shop":
        shop.call(SERVER, by_shop)
    attack = [identify(victim, email=his, firstName="<b>Click here</b>", locale="pl")]
    if first.startswith("a visitor"):
        attack = [identify(device=f"d{n}", email=his), identify(victim, device=f"d{n}")]
    shop.call(WRITE, *attack)
    shop.call(SERVER, by_shop)
    shop.order(victim)
    shop.settle()
    assert shop.mails(his) == []
    assert len(shop.mails(hers)) == 2
    shown = httpx.get(f"{shop.server.address}/api/v1/profiles/{victim}", headers=API, timeout=30).json()["traits"]
    assert (shown["email"], shown["firstName"]) == (hers, "Vera")


@pytest.mark.parametrize("first", ["the order", "the claim"])
def test_a_guests_address_does_not_become_a_customers(shop: Attacked, first: str) -> None:
    """The attacker orders as a guest, so the shop's own server reports their address for their visitor."""
    n = next(NUMBERS)
    victim, hers, his, cookie = f"victim{n}", f"victim{n}@example.com", f"attacker{n}@example.com", f"cookie{n}"
    shop.call(SERVER, identify(victim, email=hers))
    shop.call(WRITE, track(None, "Looked", device=cookie))
    steps = [(SERVER, identify(device=cookie, email=his)), (WRITE, identify(victim, device=cookie))]
    for key, call in steps if first == "the order" else reversed(steps):
        assert shop.call(key, call).status_code == 200
    shop.order(victim)
    shop.settle()
    assert "Thanks for" in " ".join(shop.mails(hers))
    assert not any(subject.startswith("Thanks for") for subject in shop.mails(his))


def test_an_alias_moves_nothing_of_a_customer(shop: Attacked) -> None:
    n = next(NUMBERS)
    victim, hers = f"victim{n}", f"victim{n}@example.com"
    shop.call(SERVER, identify(victim, email=hers))
    shop.call(WRITE, identify(f"attacker{n}", email=f"attacker{n}@example.com"))
    shop.call(WRITE, {"type": "alias", "previousId": victim, "userId": f"attacker{n}"})
    shop.call(WRITE, {"type": "alias", "previousId": f"attacker{n}", "userId": victim})
    shop.order(victim)
    shop.settle()
    assert shop.profile(victim) != shop.profile(f"attacker{n}")
    assert len(shop.mails(hers)) == 2
    assert shop.mails(f"attacker{n}@example.com") == []


def test_a_form_subscribes_nobody_and_brings_back_nobody_who_left(shop: Attacked) -> None:
    n = next(NUMBERS)
    victim, hers = f"victim{n}", f"victim{n}@example.com"
    shop.call(SERVER, identify(victim, email=hers))
    shop.settle()
    left = {"channel": "email", "topic": "news", "state": "unsubscribed", "source": "letter"}
    path = f"{shop.server.address}/api/v1/profiles/{victim}/consents/record"
    assert httpx.post(path, json=left, headers=API, timeout=30).status_code == 200
    for more in ({}, {"userId": victim}, {"anonymousId": f"d{n}"}):
        body = {"email": hers, "topic": "news", "writeKey": WRITE, **more}
        assert shop.post("/v1/subscribe", body).json() == {"status": "pending"}
    shop.call(WRITE, identify(victim, device=f"d{n}"), track(victim, "Looked"))
    shop.settle()
    # From one network two a day.
    assert shop.mails(hers) == ["Is it you?"] * 2
    hashed = address_hash(shop.workspace.secret, "email", hers)
    who = shop.profile(victim)
    with shop.workspace.store.read() as connection:
        found = consents.load(connection, [who], [hashed]).effective(who, "email", "news", hashed)
    assert found is not None
    assert found.state == "unsubscribed"


def test_leaving_by_ones_own_link_leaves_for_nobody_else(shop: Attacked) -> None:
    """The attacker subscribes an inbox of their own, is said to be the customer, and then leaves everything."""
    n = next(NUMBERS)
    victim, hers, his = f"victim{n}", f"victim{n}@example.com", f"attacker{n}@example.com"
    shop.call(SERVER, identify(victim, email=hers))
    shop.post("/v1/subscribe", {"email": his, "topic": "news", "writeKey": WRITE, "anonymousId": f"d{n}"})
    (text,) = wait_for(lambda: shop.texts(his, "plain"))
    url = next(word for word in text.split() if "/e/y/" in word)
    page = httpx.post(url, timeout=30).text
    preferences = f"{shop.server.address}/e/p/{page.partition('/e/p/')[2].partition(chr(34))[0]}"
    shop.call(WRITE, identify(victim, device=f"d{n}", phone="+48601100200"))
    shop.settle()
    shown = httpx.get(preferences, timeout=30)
    assert shown.status_code == 200
    assert "v•••@example.com" not in shown.text
    assert httpx.post(preferences, data={"action": "none"}, timeout=30).status_code in (200, 303)
    who = shop.profile(victim)
    hashes = {to: address_hash(shop.workspace.secret, "email", to) for to in (hers, his)}
    with shop.workspace.store.read() as connection:
        agreed = consents.load(connection, [who], list(hashes.values()))
        stopped = {found.hash for found in suppressions.find(connection, list(hashes.values())).values()}
        sms = agreed.effective(who, "sms", "news")
    states = {to: agreed.effective(who, "email", "news", hashed) for to, hashed in hashes.items()}
    assert (states[hers], sms) == (None, None)
    assert states[his] is not None
    assert states[his].state == "unsubscribed"
    assert stopped == {hashes[his]}


def test_a_browser_of_a_visitor_is_none_of_the_customers(shop: Attacked) -> None:
    n = next(NUMBERS)
    victim, device = f"victim{n}", f"d{n}"
    shop.call(SERVER, identify(victim, email=f"victim{n}@example.com"))
    keys = {"p256dh": "B" * 87, "auth": "A" * 22}
    browser = {"endpoint": f"https://push.example/{n}", "keys": keys}
    body = {"subscription": browser, "anonymousId": device, "writeKey": WRITE}
    assert shop.post("/v1/push/subscriptions", body).status_code == 200
    shop.call(WRITE, identify(victim, device=device))
    shop.settle()
    who = shop.profile(victim)
    with shop.workspace.store.read() as connection:
        assert push_subscriptions.of_profiles(connection, [who]) == {}
        assert consents.load(connection, [who]).effective(who, "push", "news") is None
    assert shop.post("/v1/push/subscriptions", body | {"anonymousId": None, "userId": victim}).status_code == 401


def test_an_event_does_not_decide_where_a_link_leads(shop: Attacked) -> None:
    n = next(NUMBERS)
    who, address = f"buyer{n}", f"buyer{n}@example.com"
    shop.call(SERVER, identify(who, email=address))
    shop.order(who, order_url="https://evil.example/pay")
    shop.order(who, order_url="https://www.shop.example/orders/1")
    shop.settle()
    pages = [page for page in shop.texts(address) if ">See<" in page.replace(" ", "").replace("\n", "")]
    assert len(pages) == 2
    assert not any("evil.example" in page for page in pages)
    assert sum("/e/c/" in page for page in pages) == 1


def test_one_visitor_does_not_send_without_end_and_the_server_may(shop: Attacked) -> None:
    calls = [track("flood", "Seen") for _ in range(200)]
    assert shop.call(WRITE, *calls).status_code == 200
    refused = shop.call(WRITE, *calls)
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many")
    assert int(refused.headers["retry-after"]) <= 60
    assert "one visitor" in refused.json()["message"]
    assert shop.call(SERVER, *calls, *calls).status_code == 200
    assert shop.call(WRITE, track("somebody else", "Seen")).status_code == 200
