"""A shop as its customers meet it: an open workspace behind the public addresses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from litestar import Litestar
from sqlalchemy import select

from keepers.app.operations.events import EventIntake
from keepers.app.public.visitor_auth import signature_of
from keepers.app.workspace.settings import Settings
from keepers.app.workspace.workspace import Workspace
from keepers.http.application import create_app
from keepers.http.management.router import options
from keepers.http.public.router import public_handlers
from keepers.model.consent import CONFIRMATION, address_hash
from keepers.model.message import Content
from keepers.playbook.active_playbook import body_text
from keepers.render.links import LinkSigner
from keepers.store import definitions, keys
from keepers.store.database import Store
from keepers.store.messages import message_copies, messages
from keepers.store.messages.messages import MessageRow
from keepers.store.profiles import identities
from keepers.store.schema.messages import messages as table
from keepers.warehouse.database import Warehouse

BEGAN = datetime(2026, 3, 2, 10)
TOPICS: tuple[dict[str, Any], ...] = (
    {
        "id": "newsletter",
        "name": {"en": "News", "ru": "Новости", "pl": "Nowości", "zh": "新品资讯", "it": "Novità"},
        "description": {
            "en": "What is new in the shop, twice a month.",
            "ru": "Что нового в магазине, дважды в месяц.",
            "pl": "Co nowego w sklepie, dwa razy w miesiącu.",
            "zh": "店铺最新动态，每月两次。",
            "it": "Le novità del negozio, due volte al mese.",
        },
        "channels": ["email", "sms"],
        "double_opt_in": True,
    },
    {
        "id": "offers",
        "name": {
            "en": "Offers for you",
            "ru": "Предложения для вас",
            "pl": "Oferty dla Ciebie",
            "zh": "专属优惠",
            "it": "Offerte per te",
        },
        "description": {
            "en": "Discounts on what you like, at most once a week.",
            "ru": "Скидки на то, что вам нравится, не чаще раза в неделю.",
            "pl": "Zniżki na to, co lubisz, najwyżej raz w tygodniu.",
            "zh": "您喜爱商品的折扣，每周至多一次。",
            "it": "Sconti su ciò che ti piace, al massimo una volta a settimana.",
        },
        "channels": ["email", "sms", "push"],
    },
    {
        "id": "tips",
        "name": {
            "en": "Tips on what you bought",
            "ru": "Советы о покупках",
            "pl": "Porady po zakupie",
            "zh": "使用小贴士",
            "it": "Consigli sui tuoi acquisti",
        },
        "channels": ["email"],
        "basis": "legitimate_interest",
    },
    {
        "id": "orders",
        "name": {
            "en": "Orders and delivery",
            "ru": "Заказы и доставка",
            "pl": "Zamówienia i dostawa",
            "zh": "订单与配送",
            "it": "Ordini e consegne",
        },
        "kind": "transactional",
        "basis": "contract",
        "channels": ["email", "sms"],
    },
)
CONFIRMING = {
    "id": CONFIRMATION,
    "channel": "email",
    "topic": "orders",
    "content": {"en": {"subject": "One last step", "body": "<mj-text>{{ trigger.url }}</mj-text>"}},
}
SETTINGS: dict[str, Any] = {
    "company": {
        "name": "Łąka & Söhne", "address": "ul. Prosta 1, 00-838 Warszawa", "url": "https://laka.example/",
    },
    "channels": {"sms": {"country": "PL"}},
    "providers": {"postmark": {"token": "of these tests"}},
}  # fmt: skip


class Asked(NamedTuple):
    """A confirmation e-mail that was queued. `url` is the page with the button."""

    profile_id: int
    recipient: str
    topic: str
    locale: str
    url: str


class Shop(Workspace):
    """A workspace over a store, as it is when a tick has seen the `known` traits of its customers. The clock stands
    still unless a test moves it."""

    def __init__(self, folder: Path, store: Store, address: str = "http://testserver.local") -> None:
        super().__init__(folder, msgspec.convert({**SETTINGS, "public": {"url": address}}, Settings))
        self.__dict__ |= {"store": store, "warehouse": empty_warehouse()}
        self.present = BEGAN
        self.clock = lambda: self.present
        self.known: dict[int, dict[str, Any]] = {}
        self.tokens: dict[str, str] = {}
        self.apply({f"topic/{topic['id']}": topic for topic in TOPICS} | {f"message/{CONFIRMATION}": CONFIRMING})
        setattr(self.sending, "traits", lambda profile_id: self.known.get(profile_id, {}))  # noqa: B010

    def apply(self, bodies: dict[str, dict[str, Any]]) -> None:
        """Definitions by their keys, such as `topic/news`."""
        with self.store.begin() as connection:
            for key, body in bodies.items():
                definitions.apply(connection, *key.split("/"), body_text(body), self.present)

    def change(self, **sections: Any) -> None:
        """Other settings."""
        changed = msgspec.to_builtins(self.settings) | sections
        self.settings = msgspec.convert(changed, Settings)

    def add_customer(self, user_id: str, **traits: Any) -> int:
        with self.store.begin() as connection:
            (profile_id,), _ = identities.resolve_many(connection, "user_id", [user_id], [BEGAN], is_unproven=False)
        self.known[profile_id] = traits
        return profile_id

    def add_message(self, profile_id: int, recipient: str, content: Content | None = None, **more: Any) -> str:
        """A sent message's key."""
        channel = more.setdefault("channel", "email")
        more.setdefault("topic", "newsletter")
        key = messages.key_of(profile_id, recipient, channel, more["topic"], len(self.known), more.pop("step", ""))
        row = MessageRow(
            key=key,
            profile_id=profile_id,
            message="welcome",
            recipient=recipient,
            address_hash=address_hash(self.secret, channel, recipient),
            decided_at=BEGAN,
            send_after=BEGAN,
            status="queued",
            sent_at=BEGAN,
            **more,
        )
        with self.store.begin() as connection:
            made = messages.queue(connection, [row])
            if content is not None:
                message_copies.put(connection, [(made[key], content)], BEGAN, timedelta(days=30))
        return key

    def add_keys(self) -> None:
        """One of each kind."""
        with self.store.begin() as connection:
            self.tokens = {kind: keys.create(connection, kind, kind, BEGAN)[1] for kind in keys.KINDS}

    @property
    def links(self) -> LinkSigner:
        return self.sending.links

    def preferences(self, profile_id: int) -> str:
        """The link to a customer's preferences, as it was sent to their e-mail address."""
        address = self.known.get(profile_id, {}).get("email", "")
        return self.links.preferences(profile_id, channel="email" if address else "", address=address)

    @property
    def asked(self) -> list[Asked]:
        """The confirmation e-mails that are queued, in their order."""
        query = select(table.c.profile_id, table.c.recipient, table.c.locale, table.c.data)
        with self.store.read() as connection:
            rows = connection.execute(query.where(table.c.message == CONFIRMATION).order_by(table.c.id)).all()
        return [_asked(*row) for row in rows]


@contextmanager
def opened(store: Store, folder: Path, address: str = "http://testserver.local") -> Iterator[Shop]:
    shop = Shop(folder, store, address)
    try:
        yield shop
    finally:
        del shop.__dict__["warehouse"]
        shop.close()


@cache
def empty_warehouse() -> Warehouse:
    """One for all shops, which write nothing to it: making one takes longer than most tests."""
    return Warehouse.open(None, threads=1)


def _asked(profile_id: int, recipient: str, locale: str, data: Any) -> Asked:
    trigger = (data if isinstance(data, dict) else msgspec.json.decode(data))["trigger"]
    return Asked(profile_id, recipient, trigger["topic_id"], locale, trigger["url"])


def app_of(shop: Shop, clock: Callable[[], datetime]) -> Litestar:
    """The application as it is served, with only the public addresses beside the tracking ones."""
    return create_app(
        EventIntake(shop.store, keys=shop.key_ring), clock=clock, handlers=public_handlers(shop), **options("0")
    )


def path_of(url: str) -> str:
    """A link without its host, to be asked of a test client."""
    return url.partition("//")[2].partition("/")[1] + url.partition("//")[2].partition("/")[2]


def signed(shop: Shop, user_id: str, **more: Any) -> dict[str, Any]:
    """A request of a logged-in visitor."""
    return {"userId": user_id, "signature": signature_of(shop.tokens["server"], user_id), **more}
