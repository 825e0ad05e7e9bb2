"""Erasing and exporting reach the addresses that are a person's, and none that anybody may have named for them."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import count
from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from keepers.app.customers.consents import ExportConsents, export_consents
from keepers.app.customers.erasure import EraseProfile, erase_profile
from keepers.app.customers.export import UNPROVEN, ExportProfile, export_profile
from keepers.app.public.confirmations import confirm_subscription
from keepers.app.public.link_owner import LinkRequest
from keepers.app.public.subscriptions import SubscribeForm, subscribe
from keepers.app.use_cases.actor import COLLECT, COMMAND_LINE, Actor
from keepers.model.consent import CONFIRMATION, Consent, address_hash
from keepers.store.profiles import consents, suppressions
from keepers.store.profiles.suppressions import Suppression
from keepers.store.schema.messages import messages
from unit.broadcasts.mailing import LOOSE, Shop, playbook
from unit.privacy.conftest import Shops
from workspaces import send

ANYBODY = Actor("key", "k", COLLECT, is_proven=False)
VICTIM, MALLORY = "u0@example.com", "u1@example.com"
_SECONDS = count(1)
QUOTED = "550 mailbox of Anna Kowalska: complaint"


@pytest.fixture(params=["sqlite", "postgres"])
def shop(request: pytest.FixtureRequest, shops: Shops) -> Shop:
    """A shop with the victim (u0) and Mallory (u1), both known to its server. Who looked is written to about news."""
    confirmation = {"en": {"subject": "?", "body": "<mj-text>{{ trigger.url }}</mj-text>"}}
    written = playbook(
        contact=LOOSE,
        journeys=[{"id": "j", "enter": [{"event": "Looked"}], "steps": [{"id": "m", "message": "spring"}]}],
    )
    written["topics"].append({"id": "orders", "name": "Orders", "kind": "transactional"})
    written["messages"].append(
        {"id": CONFIRMATION, "channel": "email", "topic": "orders", "content": confirmation}
    )  # fmt: skip
    made = shops.make(written, request.param)
    made.customers(size=2, at=made.workspace.clock())
    return made


def test_erasing_who_named_anothers_address_stops_nothing_there(shop: Shop) -> None:
    """By a form and a visitor that she says is her, and by a trait of a user id that she made up."""
    _names_the_victim(shop)
    public(shop, identify("made-up", device="b", email=VICTIM), track("made-up", "Looked"))
    for name in ("u1", "made-up"):
        erase_profile(shop.workspace, COMMAND_LINE, EraseProfile(id=name))
    assert reason(shop, VICTIM) is None
    assert reason(shop, MALLORY) == "erased"
    send(shop.workspace.store, shop.workspace.clock(), [track("u0", "Looked")])
    shop.send(later(shop))
    assert mails(shop) == [("spring", VICTIM, "sent", "")]


def test_what_is_known_of_the_addresss_reader_is_neither_exported_nor_blanked(shop: Shop) -> None:
    workspace = shop.workspace
    complaint = Suppression("email", hashed(shop, VICTIM), "complaint", workspace.clock(), "postmark", QUOTED)
    with workspace.store.begin() as connection:
        suppressions.add(connection, [complaint])
    public(shop, identify("atk", email=VICTIM), track("atk", "Looked"))
    shop.send(later(shop))
    # Nothing is held against them that is the reader's: not in the reason of the message either.
    assert mails(shop) == [("spring", VICTIM, "skipped", "unconfirmed_address")]
    found = exported(shop, "atk")
    assert "complaint" not in str(found)
    assert "Kowalska" not in str(found)
    assert "suppressions" not in found
    assert len(found["messages"]) == 1
    assert found[UNPROVEN] == [{"channel": "email", "address": VICTIM}]
    erase_profile(workspace, COMMAND_LINE, EraseProfile(id="atk"))
    assert _suppression(shop, VICTIM) == complaint


def test_what_became_of_a_mail_to_the_addresss_reader_is_not_exported(shop: Shop) -> None:
    _names_the_victim(shop)
    found = exported(shop, "u1")
    assert not {"messages", "message_copies", "message_history", "link_hits"} & found.keys()
    assert "/e/y/" not in str(found)  # the link that confirms, in the victim's name
    assert found[UNPROVEN] == [{"channel": "email", "address": VICTIM}]
    assert [row["state"] for row in found["consents"]] == ["subscribed", "pending"]  # by Mallory's, and her request


def test_what_the_addresss_reader_decided_outlives_who_named_it(shop: Shop) -> None:
    workspace = shop.workspace
    _names_the_victim(shop, is_confirmed=True)
    at = later(shop)
    left = Consent(
        workspace.find_profile("u1"), "email", "news", "unsubscribed", at, "one-click",
        address_hash=hashed(shop, VICTIM), holds_for="address",
    )  # fmt: skip
    with workspace.store.begin() as connection:
        consents.record(connection, [left], at)
    states = [(row["state"], row["source"]) for row in exported(shop, "u1")["consents"]]
    assert not {("unsubscribed", "one-click"), ("subscribed", "double opt-in")} & {*states}
    erase_profile(workspace, COMMAND_LINE, EraseProfile(id="u1"))
    assert reason(shop, VICTIM) is None
    victim = workspace.find_profile("u0")
    with workspace.store.read() as connection:
        agreed = consents.load(connection, [victim], [hashed(shop, VICTIM)])
    counting = agreed.effective(victim, "email", "news", hashed(shop, VICTIM))
    assert counting is not None
    assert (counting.state, counting.source) == ("unsubscribed", "one-click")
    # Of nobody: no row of a file that is imported again by customers.
    file = shop.workspace.folder / "consents.csv"
    written = export_consents(workspace, COMMAND_LINE, ExportConsents(path=str(file)))
    assert written.written == file.read_text(encoding="utf-8").count("\n") - 1
    assert "one-click" not in file.read_text(encoding="utf-8")


def test_an_address_that_its_visitor_confirmed_is_theirs(shop: Shop) -> None:
    workspace = shop.workspace
    public(shop, {"type": "page", "anonymousId": "visitor", "messageId": "p"})
    subscribe(workspace, ANYBODY, SubscribeForm(email="new@example.com", topic="news", anonymousId="visitor"))
    shop.send(later(shop))
    assert exported(shop, "visitor")[UNPROVEN] == [{"channel": "email", "address": "new@example.com"}]
    _confirm(shop)
    found = exported(shop, "visitor")
    assert UNPROVEN not in found
    assert len(found["message_copies"]) == 1
    assert erase_profile(workspace, COMMAND_LINE, EraseProfile(id="visitor")).suppressed == 1
    assert reason(shop, "new@example.com") == "erased"


def test_a_former_address_is_suppressed_when_messages_went_there(shop: Shop) -> None:
    workspace = shop.workspace
    send(workspace.store, workspace.clock(), [track("u1", "Looked")])
    shop.send(later(shop))
    for address in ("between@example.com", "now@example.com"):
        send(workspace.store, workspace.clock(), [identify("u1", email=address)])
        shop.tick(later(shop))
    assert UNPROVEN not in exported(shop, "u1")
    assert erase_profile(workspace, COMMAND_LINE, EraseProfile(id="u1")).suppressed == 2
    assert [reason(shop, one) for one in (MALLORY, "between@example.com", "now@example.com")] == [
        "erased",
        None,
        "erased",
    ]


def _names_the_victim(shop: Shop, *, is_confirmed: bool = False) -> None:
    """Mallory: a form with a new visitor and the victim's address; then she says that the visitor is her."""
    subscribe(shop.workspace, ANYBODY, SubscribeForm(email=VICTIM, topic="news", anonymousId="atk"))
    shop.send(later(shop))
    assert mails(shop) == [(CONFIRMATION, VICTIM, "sent", "")]
    if is_confirmed:
        _confirm(shop)
    public(shop, identify("u1", device="atk"))
    shop.tick(later(shop))
    assert shop.workspace.find_profile("atk") == shop.workspace.find_profile("u1")


def _confirm(shop: Shop) -> None:
    (data,) = shop.rows("data")
    token = msgspec.json.decode(data)["trigger"]["url"].rpartition("/")[2]
    assert confirm_subscription(shop.workspace, ANYBODY, LinkRequest(token=token)).is_subscribed
    shop.tick(later(shop))


def public(shop: Shop, *calls: dict[str, Any]) -> None:
    send(shop.workspace.store, shop.workspace.clock(), calls, trust="public")
    shop.tick(later(shop))


def identify(who: str, *, device: str | None = None, **traits: str) -> dict[str, Any]:
    named = {"anonymousId": device} if device is not None else {}
    return {"type": "identify", "userId": who, "traits": traits, **named}


def track(who: str, event: str) -> dict[str, Any]:
    return {"type": "track", "userId": who, "event": event}


def later(shop: Shop) -> datetime:
    """Later than any call of this before."""
    return shop.workspace.clock() + timedelta(seconds=next(_SECONDS))


def hashed(shop: Shop, address: str) -> str:
    return address_hash(shop.workspace.secret, "email", address)


def reason(shop: Shop, address: str) -> str | None:
    found = _suppression(shop, address)
    return found.reason if found is not None else None


def _suppression(shop: Shop, address: str) -> Suppression | None:
    with shop.workspace.store.read() as connection:
        return suppressions.find(connection, [hashed(shop, address)]).get(("email", hashed(shop, address)))


def mails(shop: Shop) -> list[tuple[str, str, str, str]]:
    columns = messages.c
    query = select(columns.message, columns.recipient, columns.status, columns.reason).order_by(columns.id)
    with shop.workspace.store.read() as connection:
        return [tuple(row) for row in connection.execute(query)]  # type: ignore[misc]


def exported(shop: Shop, name: str) -> dict[str, list[dict[str, Any]]]:
    """Section → its rows."""
    page = export_profile(shop.workspace, COMMAND_LINE, ExportProfile(id=name, limit=1000))
    assert page.next is None
    found: dict[str, list[dict[str, Any]]] = {}
    for row in page.items:
        found.setdefault(row.section, []).append(row.data)
    return found
