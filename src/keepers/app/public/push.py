"""Browsers' subscriptions."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from binascii import Error as Base64Error
from ipaddress import ip_address
from typing import Annotated
from urllib.parse import urlsplit

from msgspec import Meta, Struct
from sqlalchemy import Connection

from keepers.app.public.identify_visitor import check_identifier, known_or_new
from keepers.app.use_cases.actor import Actor
from keepers.app.use_cases.use_case import use_case
from keepers.app.workspace.workspace import Workspace
from keepers.channels.push import public_key
from keepers.model.consent import ALL_TOPICS, Consent
from keepers.model.errors import NotFoundError, UserError, problem
from keepers.model.identity import IdentityKind
from keepers.store.profiles import consents, push_subscriptions
from keepers.store.profiles.push_subscriptions import PushSubscription

LONGEST_ENDPOINT = 2_000


CHANNEL = "push"
_SOURCE = "browser permission"


class BrowserKeys(Struct, frozen=True):
    """`PushSubscription.toJSON().keys`, base64url: a P-256 point of 65 bytes, and 16 bytes."""

    p256dh: Annotated[str, Meta(max_length=200)]
    auth: Annotated[str, Meta(max_length=100)]


class BrowserSubscription(Struct, frozen=True):
    """What `PushSubscription.toJSON()` gives in a browser; `expirationTime` is not used."""

    endpoint: Annotated[str, Meta(max_length=LONGEST_ENDPOINT)]
    keys: BrowserKeys


class Subscribe(Struct, frozen=True, forbid_unknown_fields=True):
    """A browser and whose it is: a signed `userId`, or with a write key an `anonymousId`."""

    subscription: BrowserSubscription
    userId: Annotated[str, Meta(max_length=512)] | None = None  # noqa: N815 - the names on the wire
    anonymousId: Annotated[str, Meta(max_length=512)] | None = None  # noqa: N815
    signature: Annotated[str, Meta(max_length=128)] | None = None
    expires: int | None = None
    wording: Annotated[str, Meta(max_length=4000)] = ""
    writeKey: str = ""  # noqa: N815


class Unsubscribe(Struct, frozen=True, forbid_unknown_fields=True):
    """A browser subscription to remove. Its endpoint is secret, so a write key suffices."""

    endpoint: Annotated[str, Meta(max_length=LONGEST_ENDPOINT)]
    writeKey: str = ""  # noqa: N815


class PushKey(Struct, frozen=True, rename="camel"):
    """The `applicationServerKey` for `pushManager.subscribe`."""

    public_key: str


class Kept(Struct, frozen=True):
    success: bool = True


def check_subscription(subscription: BrowserSubscription) -> None:
    """Refuses subscriptions that no browser produces: other than an https URL of a named host, or keys of other sizes.

    Endpoints are called from the server, so what is plainly not a push service stays out here already; the channel
    judges the address again when it calls. Raises UserError.
    """
    endpoint = subscription.endpoint
    try:
        parts = urlsplit(endpoint)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise UserError(problem("The endpoint is not a URL."), field="subscription.endpoint") from None
    is_plain = endpoint.isascii() and all(33 <= ord(c) < 127 for c in endpoint) and "\\" not in endpoint
    if not is_plain or parts.scheme != "https" or parts.username is not None or port not in (None, 443):
        raise UserError(
            problem("The endpoint is not the https address of a push service."), field="subscription.endpoint"
        )
    if "." not in host or _is_address(host) or host.endswith((".local", ".internal", ".localhost")):
        raise UserError(problem("The endpoint's host is not one of a push service."), field="subscription.endpoint")
    for name, size in (("p256dh", 65), ("auth", 16)):
        if _size(getattr(subscription.keys, name)) != size:
            raise UserError(
                problem("keys.{name} is not {size} bytes in base64url.", name=name, size=size),
                field=f"subscription.keys.{name}",
            )


class AddBrowser(Struct, frozen=True, kw_only=True):
    """A browser of the customer behind an identifier. `wording` is what was agreed to."""

    kind: IdentityKind
    value: str
    subscription: BrowserSubscription
    wording: str = ""


class ForgetBrowser(Struct, frozen=True, kw_only=True):
    """The endpoint of a subscription is secret, which authorises the call."""

    endpoint: str


class ReadPushKey(Struct, frozen=True, kw_only=True):
    pass


@use_case("GET /v1/push/key", permission="collect")
def read_push_key(workspace: Workspace, actor: Actor, request: ReadPushKey) -> PushKey:
    """The public VAPID key for browsers, URL-safe base64. Raises NotFoundError where web push is not set up."""
    private = str(workspace.settings.channels.get("push", {}).get("private_key", ""))
    if not private:
        raise NotFoundError(problem("Web push is not set up: [channels.push] in keepers.toml has no key."))
    return PushKey(public_key(private))


@use_case("POST /v1/push/subscriptions", permission="collect", lock="locked")
def add_browser(workspace: Workspace, actor: Actor, request: AddBrowser) -> Kept:
    """Records a browser, and with the first one that counts the customer's consent to push, unless they chose before.
    Raises UserError.

    Without proof of who it is, both count while nobody says so. Nobody proves that a visitor is who they are said to be
    later, so a visitor's browser is theirs alone, also when a server names it.
    """
    check_identifier(request.value)
    check_subscription(request.subscription)
    now, browser = workspace.clock(), request.subscription
    keys = {"p256dh": browser.keys.p256dh, "auth": browser.keys.auth}
    is_customers = actor.is_proven and request.kind == "user_id"
    with workspace.store.begin() as connection:
        profile_id = known_or_new(connection, request.kind, request.value, now, is_proven=actor.is_proven)
        before = push_subscriptions.of_profiles(connection, [profile_id])
        added = PushSubscription(browser.endpoint, profile_id, keys, now, is_unproven=not is_customers)
        push_subscriptions.put(connection, added)
        is_first = not before and bool(push_subscriptions.of_profiles(connection, [profile_id]))
        if is_first and not _has_chosen(connection, profile_id):
            # The browser's permission counts as consent to all topics; later choices are made per topic.
            agreed = Consent(
                profile_id, CHANNEL, ALL_TOPICS, "subscribed", now, _SOURCE, wording=request.wording,
                holds_for="person" if is_customers else "visitor",
            )  # fmt: skip
            consents.record(connection, [agreed], now)
    return Kept()


@use_case("DELETE /v1/push/subscriptions", permission="collect", lock="locked")
def forget_browser(workspace: Workspace, actor: Actor, request: ForgetBrowser) -> Kept:
    """Removes a browser's subscription; one that is not known changes nothing."""
    with workspace.store.begin() as connection:
        push_subscriptions.remove(connection, [request.endpoint])
    return Kept()


def _has_chosen(connection: Connection, profile_id: int) -> bool:
    """Whether anything that the customer said of push counts: a browser that comes back brings back nobody who left."""
    agreed = consents.load(connection, [profile_id])
    topics = [topic for channel, topic in agreed.pairs(profile_id) if channel == CHANNEL]
    return any(agreed.effective(profile_id, CHANNEL, topic) is not None for topic in topics)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        # Spellings such as 0x7f.1 or 127.1 are read as addresses by resolvers: a name's last label is no number.
        last = host.rstrip(".").rpartition(".")[2]
        return last[:1].isdigit()
    return True


def _size(text: str) -> int:
    try:
        return len(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (Base64Error, ValueError):
        return -1
