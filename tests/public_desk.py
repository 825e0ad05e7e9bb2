"""A workspace as customers meet it, without warehouse or ticks, for tests of the public addresses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from litestar import Litestar
from sqlalchemy import Connection

from keepers.app.operations.events import EventIntake
from keepers.app.operations.keys import KeyRing
from keepers.app.public.subscriptions import Confirmation
from keepers.app.workspace.sending import Company
from keepers.channels.email.providers.postmark import PostmarkSettings
from keepers.http.application import create_app
from keepers.http.management.router import options
from keepers.http.public.router import public_handlers
from keepers.model.consent import Topic, address_hash
from keepers.model.message import Content
from keepers.render.links import LinkSigner
from keepers.store import keys
from keepers.store.database import Store
from keepers.store.messages import message_copies, messages
from keepers.store.messages.messages import MessageRow
from keepers.store.profiles import identities

SECRET = b"of these tests and of no others."
BEGAN = datetime(2026, 3, 2, 10)
TOPICS = (
    Topic(
        "newsletter",
        {"en": "News", "ru": "Новости", "pl": "Nowości", "zh": "新品资讯", "it": "Novità"},
        {
            "en": "What is new in the shop, twice a month.",
            "ru": "Что нового в магазине, дважды в месяц.",
            "pl": "Co nowego w sklepie, dwa razy w miesiącu.",
            "zh": "店铺最新动态，每月两次。",
            "it": "Le novità del negozio, due volte al mese.",
        },
        channels=("email", "sms"),
        double_opt_in=True,
    ),
    Topic(
        "offers",
        {
            "en": "Offers for you",
            "ru": "Предложения для вас",
            "pl": "Oferty dla Ciebie",
            "zh": "专属优惠",
            "it": "Offerte per te",
        },
        {
            "en": "Discounts on what you like, at most once a week.",
            "ru": "Скидки на то, что вам нравится, не чаще раза в неделю.",
            "pl": "Zniżki na to, co lubisz, najwyżej raz w tygodniu.",
            "zh": "您喜爱商品的折扣，每周至多一次。",
            "it": "Sconti su ciò che ti piace, al massimo una volta a settimana.",
        },
        channels=("email", "sms", "push"),
    ),
    Topic(
        "tips",
        {
            "en": "Tips on what you bought",
            "ru": "Советы о покупках",
            "pl": "Porady po zakupie",
            "zh": "使用小贴士",
            "it": "Consigli sui tuoi acquisti",
        },
        "",
        channels=("email",),
        basis="legitimate_interest",
    ),
    Topic(
        "orders",
        {
            "en": "Orders and delivery",
            "ru": "Заказы и доставка",
            "pl": "Zamówienia i dostawa",
            "zh": "订单与配送",
            "it": "Ordini e consegne",
        },
        kind="transactional",
        basis="contract",
        channels=("email", "sms"),
    ),
)


class ShopDesk:
    """A `PublicDesk`. The clock stands still unless a test moves it."""

    def __init__(self, store: Store, address: str = "http://testserver.local") -> None:
        self.store = store
        self.links = LinkSigner(SECRET, address + "/e")
        self.keys = KeyRing(store.read)
        self.secret = SECRET
        self.company = Company("Łąka & Söhne", "ul. Prosta 1, 00-838 Warszawa", "https://laka.example/")
        self.proxies = 0
        self.push_key = ""
        self.country = "PL"
        self.now = BEGAN
        self.known: dict[int, dict[str, Any]] = {}
        self.wanted: list[Confirmation] = []
        self.tokens: dict[str, str] = {}
        self.providers: dict[str, Any] = {"postmark": PostmarkSettings(token="of these tests")}
        self.visited: list[str] = []
        self.topics_now = {topic.id: topic for topic in TOPICS}

    def clock(self) -> datetime:
        return self.now

    def topics(self) -> Mapping[str, Topic]:
        return self.topics_now

    def traits(self, profile_id: int) -> Mapping[str, Any]:
        return self.known.get(profile_id, {})

    def provider_settings(self, provider: str) -> Any | None:
        return self.providers.get(provider)

    def visit(self, url: str) -> None:
        self.visited.append(url)

    def queue_confirmation(self, connection: Connection, wanted: Confirmation) -> None:
        self.wanted.append(wanted)

    # What tests put in.

    def add_customer(self, user_id: str, **traits: Any) -> int:
        with self.store.begin() as connection:
            (profile_id,), _ = identities.resolve_many(connection, "user_id", [user_id], [BEGAN])
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
            address_hash=address_hash(SECRET, channel, recipient),
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
        with self.store.begin() as connection:
            self.tokens = {kind: keys.create(connection, kind, kind, BEGAN)[1] for kind in keys.KINDS}


def app_of(desk: ShopDesk, clock: Callable[[], datetime]) -> Litestar:
    """The application as it is served, with only the public addresses beside the tracking ones."""
    return create_app(
        EventIntake(desk.store, keys=desk.keys), clock=clock, handlers=public_handlers(desk), **options("0")
    )


def path_of(url: str) -> str:
    """A link without its host, to be asked of a test client."""
    return url.partition("//")[2].partition("/")[1] + url.partition("//")[2].partition("/")[2]
