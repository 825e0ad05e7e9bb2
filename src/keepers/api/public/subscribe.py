"""Subscribe forms: `POST /v1/subscribe` takes an address for a topic; double opt-in asks the address itself first."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from litestar import Request, Response, post
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta, Struct
from msgspec.structs import replace
from sqlalchemy import Connection

from keepers.api.public.allowance import Allowance
from keepers.api.public.answering import in_thread
from keepers.api.public.calls import body_of, said
from keepers.api.public.desk import Confirmation, PublicDesk
from keepers.api.public.subjects import anonymous_id_of, check_identifier, known, known_or_new, learn
from keepers.api.public.visitors import key_of
from keepers.api.public.visits import client_address
from keepers.channels.addresses import parse_address
from keepers.model.consent import Consent, Topic, address_hash, network_address_hash, normal_address
from keepers.model.errors import UserError, nearest
from keepers.store import consents, identities, messages, suppressions
from keepers.store.keys import Key

FORMS_PER_VISITOR = (20, timedelta(hours=1))
MAILS_PER_ADDRESS = (3, timedelta(hours=1))
"""so that a form is no way to fill somebody's inbox"""
_CHANNEL = "email"


class SubscribeForm(Struct, frozen=True, forbid_unknown_fields=True):
    """What a form sends."""

    email: Annotated[str, Meta(max_length=320)]
    topic: Annotated[str, Meta(max_length=200)]
    wording: Annotated[str, Meta(max_length=4000)] = ""
    """the words beside the button or box: kept as what was agreed to"""
    source: Annotated[str, Meta(max_length=200)] = "form"
    """where: `footer`, `checkout`"""
    locale: Annotated[str, Meta(max_length=35, pattern=r"^[A-Za-z0-9_-]*$")] = ""
    userId: Annotated[str, Meta(max_length=512)] | None = None  # noqa: N815 - the name on the wire
    anonymousId: Annotated[str, Meta(max_length=512)] | None = None  # noqa: N815
    writeKey: str = ""  # noqa: N815


class Subscribed(Struct, frozen=True):
    """`pending`: a mail is on its way that asks for the second yes. Says nothing about who was known before."""

    status: Literal["pending", "subscribed"]


def subscribe_handler(desk: PublicDesk) -> HTTPRouteHandler:
    """`POST /v1/subscribe`, with a write or server key: 202, or a problem (401, 403, 422, 429)."""
    visitors, mailed = Allowance(*FORMS_PER_VISITOR), Allowance(*MAILS_PER_ADDRESS)

    @post("/subscribe", status_code=202, include_in_schema=False)
    async def subscribe(request: Request[Any, Any, Any]) -> Response[bytes]:
        form = await body_of(request, SubscribeForm)

        def answer() -> Response[bytes]:
            key = key_of(desk, request, form.writeKey)
            if key is None:
                raise HTTPException("Send a write key, as `writeKey` or by Basic authentication.", status_code=401)
            if key.kind == "secret":
                raise HTTPException("A management key may not be used in forms. Use a write key.", status_code=403)
            if key.kind == "write":
                visitor = network_address_hash(desk.secret, client_address(request.scope, desk.proxies))
                _allow(visitors, visitor, desk)
            return said(_subscribe(desk, key, form, mailed), 202)

        return await in_thread(answer)

    return subscribe


def _allow(visitors: Allowance, visitor: str, desk: PublicDesk) -> None:
    wait = visitors.take(visitor, desk.clock())
    if wait is not None:
        seconds = str(int(wait.total_seconds()) + 1)
        raise HTTPException("Too many forms from this address. Try again later.", status_code=429,
                            headers={"Retry-After": seconds})  # fmt: skip


def _subscribe(desk: PublicDesk, key: Key, form: SubscribeForm, mailed: Allowance) -> Subscribed:
    email = str(parse_address(form.email))
    topic = _topic(desk, form.topic)
    now = desk.clock()
    hashed = address_hash(desk.secret, _CHANNEL, email)
    owner = _owner(desk, key, form, email)
    with desk.store.begin() as connection:
        stopped = suppressions.find(connection, [hashed]).get((_CHANNEL, hashed))
        profile_id = known_or_new(connection, *owner, now)
        learn(connection, profile_id, {"email": email} | ({"locale": form.locale} if form.locale else {}), now)
        # Who left the topic or everything comes back by their own second yes, not by what anybody types into a form.
        has_left = stopped is not None or _has_left(connection, desk, profile_id, email, hashed, topic.id)
        asked = replace(topic, double_opt_in=True) if has_left else topic
        wish = Consent(profile_id, _CHANNEL, topic.id, "pending", now, form.source or "form", form.wording)
        consents.ask(connection, wish, asked, now)
        is_closed = stopped is not None and stopped.reason != "unsubscribed"
        if asked.double_opt_in and not is_closed and mailed.take(hashed, now) is None:
            url = desk.links.confirm(profile_id, _CHANNEL, topic.id)
            wanted = Confirmation(profile_id, email, topic.id, form.locale, url, now)
            desk.queue_confirmation(connection, wanted)
    return Subscribed("pending" if topic.double_opt_in else "subscribed")


def _has_left(connection: Connection, desk: PublicDesk, profile_id: int, email: str, hashed: str, topic: str) -> bool:
    """Whether anybody who reads at the address has left the topic."""
    by_address = known(connection, "anonymous_id", anonymous_id_of(desk.secret, _CHANNEL, email))
    readers = {profile_id, by_address or profile_id, *messages.profiles_at(connection, hashed)}
    held = consents.current(connection, sorted(readers))
    said = [consents.standing(own, _CHANNEL, topic) for own in held.values()]
    return any(one is not None and one.state == "unsubscribed" for one in said)


def _topic(desk: PublicDesk, name: str) -> Topic:
    topics = {t.id: t for t in desk.topics().values() if t.kind == "marketing" and _CHANNEL in t.channels}
    if name not in topics:
        raise UserError(f"There is no topic “{name}” that takes e-mail.{nearest(name, topics)}", field="topic")
    return topics[name]


def _owner(desk: PublicDesk, key: Key, form: SubscribeForm, email: str) -> tuple[Any, str]:
    """Whose wish it is: the kind and value of an identifier.

    A server says who it is. A form is believed as far as nothing is taken from anybody: a visitor who has no
    address yet, or this very one, is it; else somebody known by the address alone.
    """
    if key.kind == "server" and form.userId is not None:
        check_identifier(form.userId)
        return "user_id", form.userId
    if form.anonymousId is not None:
        check_identifier(form.anonymousId)
        with desk.store.read() as connection:
            visitor = known(connection, "anonymous_id", form.anonymousId)
            is_user = visitor is not None and _is_user(connection, visitor)
        own = desk.traits(visitor).get("email") if visitor is not None else None
        if own is None and not is_user:
            return "anonymous_id", form.anonymousId
        if isinstance(own, str) and normal_address(_CHANNEL, own) == normal_address(_CHANNEL, email):
            return "anonymous_id", form.anonymousId
    return "anonymous_id", anonymous_id_of(desk.secret, _CHANNEL, email)


def _is_user(connection: Connection, profile_id: int) -> bool:
    owned = identities.of_profiles(connection, [profile_id]).get(profile_id, [])
    return any(identity.kind == "user_id" for identity in owned)
