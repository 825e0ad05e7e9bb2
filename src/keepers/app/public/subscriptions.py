"""The open workspace behind the public pages and calls: links, preferences, forms, provider webhooks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta, Struct
from msgspec.structs import replace
from sqlalchemy import Connection

from keepers.app.operations.keys import KeyRing

if TYPE_CHECKING:
    from keepers.app.public.public_workspace import PublicWorkspace
from keepers.app.public.identify_visitor import anonymous_id_of, check_identifier, known, known_or_new, learn
from keepers.app.public.rate_limit import Allowance
from keepers.app.workspace.clock import clock
from keepers.app.workspace.sending import Company
from keepers.app.workspace.workspace import Workspace
from keepers.channels.base import read_fields
from keepers.channels.email.mailbox_address import parse_address
from keepers.channels.email.providers import ses
from keepers.channels.email.providers.registry import PROVIDERS
from keepers.channels.push import public_key
from keepers.model.consent import CONFIRMATION, Consent, Topic, address_hash, normal_address
from keepers.model.errors import UserError, nearest, problem
from keepers.model.texts import text_in
from keepers.render.links import LinkSigner
from keepers.store.database import Store
from keepers.store.keys import Key
from keepers.store.messages import messages
from keepers.store.messages.messages import MessageRow, key_of
from keepers.store.profiles import consents, identities, suppressions
from keepers.warehouse.profile_lookup import load_profiles


class OpenPublicDesk:
    """Implements PublicWorkspace over an open workspace."""

    def __init__(self, workspace: Workspace, keys: KeyRing) -> None:
        self._workspace = workspace
        self.keys = keys
        self.store: Store = workspace.store
        self.secret = workspace.secret
        self.links: LinkSigner = workspace.sending.links
        self.company = Company(**workspace.sending.company)
        self.proxies = workspace.settings.server.proxies
        self.country = workspace.addresses.country
        private = str(workspace.settings.channels.get("push", {}).get("private_key", ""))
        self.push_key = public_key(private) if private else ""

    def clock(self) -> datetime:
        return clock()

    def topics(self) -> Mapping[str, Topic]:
        self._workspace.sending.refresh()
        return self._workspace.sending.eligibility.topics

    def traits(self, profile_id: int) -> Mapping[str, Any]:
        found = load_profiles(self._workspace.warehouse, [profile_id]).get(profile_id)
        return found.traits if found is not None else {}

    def provider_settings(self, provider: str) -> Any | None:
        given = self._workspace.settings.providers.get(provider)
        if given is None or provider not in PROVIDERS:
            return None
        return read_fields(PROVIDERS[provider].settings, given, f"[providers.{provider}]")

    def visit(self, url: str) -> None:
        ses.fetch_from_amazon(url)

    def _name(self, wanted: Confirmation) -> str:
        """The topic as its customer reads it."""
        topic = self._workspace.sending.eligibility.topics.get(wanted.topic)
        locale = wanted.locale or self._workspace.settings.sending.locale
        return (text_in(topic.name, locale) if topic is not None else "") or wanted.topic

    def queue_confirmation(self, connection: Connection, wanted: Confirmation) -> None:
        template = self._workspace.sending.playbook.messages.get(CONFIRMATION)
        if template is None:
            raise UserError(
                problem(
                    "The playbook has no message “{message}”, which asks to confirm a subscription. `keepers init` "
                    "with any starter journey brings one, in contact.yaml.",
                    message=CONFIRMATION,
                ),
                code="no_template",
            )
        hashed = self._workspace.sending.eligibility.hash(template.channel, wanted.recipient)
        row = MessageRow(
            key=key_of("confirmation", wanted.profile_id, wanted.topic, hashed, wanted.at.isoformat()),
            profile_id=wanted.profile_id,
            message=template.id,
            channel=template.channel,
            topic=template.topic,
            recipient=wanted.recipient,
            address_hash=hashed,
            decided_at=wanted.at,
            send_after=wanted.at,
            is_transactional=True,
            priority=0,
            expires_at=wanted.at + template.expires,
            locale=wanted.locale,
            data={"trigger": {"url": wanted.url, "topic": self._name(wanted), "topic_id": wanted.topic}},
        )
        messages.queue(connection, [row])


class Confirmation(Struct, frozen=True):
    """A confirmation e-mail to queue: double opt-in asks this address to confirm."""

    profile_id: int
    recipient: str
    topic: str
    locale: str
    """the form's locale, which need not be one that there are texts in"""
    url: str
    """the signed address of the page with the button"""
    at: datetime


_CHANNEL = "email"


class SubscribeForm(Struct, frozen=True, forbid_unknown_fields=True):
    """What a form sends."""

    email: Annotated[str, Meta(max_length=320)]
    topic: Annotated[str, Meta(max_length=200)]
    wording: Annotated[str, Meta(max_length=4000)] = ""
    """the text beside the button or box: stored as what was agreed to"""
    source: Annotated[str, Meta(max_length=200)] = "form"
    """where: `footer`, `checkout`"""
    locale: Annotated[str, Meta(max_length=35, pattern=r"^[A-Za-z0-9_-]*$")] = ""
    userId: Annotated[str, Meta(max_length=512)] | None = None  # noqa: N815 - the name on the wire
    anonymousId: Annotated[str, Meta(max_length=512)] | None = None  # noqa: N815
    writeKey: str = ""  # noqa: N815


class Subscribed(Struct, frozen=True):
    """`pending`: a confirmation e-mail is queued. The answer does not reveal whether the address was known."""

    status: Literal["pending", "subscribed"]


def _subscribe(workspace: PublicWorkspace, key: Key, form: SubscribeForm, mailed: Allowance) -> Subscribed:
    email = str(parse_address(form.email))
    topic = _topic(workspace, form.topic)
    now = workspace.clock()
    hashed = address_hash(workspace.secret, _CHANNEL, email)
    owner = _owner(workspace, key, form, email)
    with workspace.store.begin() as connection:
        stopped = suppressions.find(connection, [hashed]).get((_CHANNEL, hashed))
        profile_id = known_or_new(connection, *owner, now)
        learn(connection, profile_id, {"email": email} | ({"locale": form.locale} if form.locale else {}), now)
        # After leaving a topic or everything, only the customer's own confirmation subscribes again, not a form.
        has_left = stopped is not None or _has_left(connection, workspace, profile_id, email, hashed, topic.id)
        asked = replace(topic, double_opt_in=True) if has_left else topic
        pending = Consent(profile_id, _CHANNEL, topic.id, "pending", now, form.source or "form", form.wording)
        consents.request(connection, pending, asked, now)
        is_closed = stopped is not None and stopped.reason != "unsubscribed"
        if asked.double_opt_in and not is_closed and mailed.spend(hashed, now) is None:
            url = workspace.links.confirm(profile_id, _CHANNEL, topic.id)
            wanted = Confirmation(profile_id, email, topic.id, form.locale, url, now)
            workspace.queue_confirmation(connection, wanted)
    return Subscribed("pending" if topic.double_opt_in else "subscribed")


def _has_left(
    connection: Connection, workspace: PublicWorkspace, profile_id: int, email: str, hashed: str, topic: str
) -> bool:
    """Whether any profile with the address has left the topic."""
    by_address = known(connection, "anonymous_id", anonymous_id_of(workspace.secret, _CHANNEL, email))
    readers = {profile_id, by_address or profile_id, *messages.profiles_at(connection, hashed)}
    held = consents.current(connection, sorted(readers))
    said = [consents.effective(own, _CHANNEL, topic) for own in held.values()]
    return any(one is not None and one.state == "unsubscribed" for one in said)


def _topic(workspace: PublicWorkspace, name: str) -> Topic:
    topics = {t.id: t for t in workspace.topics().values() if t.kind == "marketing" and _CHANNEL in t.channels}
    if name not in topics:
        raise UserError(
            problem("There is no topic “{name}” that takes e-mail.", near=nearest(name, topics), name=name),
            field="topic",
        )
    return topics[name]


def _owner(workspace: PublicWorkspace, key: Key, form: SubscribeForm, email: str) -> tuple[Any, str]:
    """The identifier that a form's subscription is recorded for: its kind and value.

    A server says who it is. A form is believed as far as nothing is taken from anybody: a visitor who has no
    address yet, or this very one, is it; else somebody known by the address alone.
    """
    if key.kind == "server" and form.userId is not None:
        check_identifier(form.userId)
        return "user_id", form.userId
    if form.anonymousId is not None:
        check_identifier(form.anonymousId)
        with workspace.store.read() as connection:
            visitor = known(connection, "anonymous_id", form.anonymousId)
            is_user = visitor is not None and _is_user(connection, visitor)
        own = workspace.traits(visitor).get("email") if visitor is not None else None
        if own is None and not is_user:
            return "anonymous_id", form.anonymousId
        if isinstance(own, str) and normal_address(_CHANNEL, own) == normal_address(_CHANNEL, email):
            return "anonymous_id", form.anonymousId
    return "anonymous_id", anonymous_id_of(workspace.secret, _CHANNEL, email)


def _is_user(connection: Connection, profile_id: int) -> bool:
    owned = identities.of_profiles(connection, [profile_id]).get(profile_id, [])
    return any(identity.kind == "user_id" for identity in owned)
