"""Subscribe forms, and the e-mails by which double opt-in has an address confirmed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct
from msgspec.structs import replace
from sqlalchemy import Connection

from keepers.app.public.identify_visitor import anonymous_id_of, check_identifier, known, known_or_new, learn
from keepers.app.public.rate_limit import one_person
from keepers.app.use_cases.actor import Actor
from keepers.app.use_cases.use_case import use_case
from keepers.app.workspace.workspace import Workspace
from keepers.channels.email.mailbox_address import parse_address
from keepers.channels.networks import block_of
from keepers.model.consent import CONFIRMATION, Consent, Topic, address_hash, normal_address, request_id
from keepers.model.errors import UserError, nearest, problem
from keepers.model.fields import text_in
from keepers.model.identity import identifier_hash
from keepers.render.definition import MessageTemplate
from keepers.render.links import Confirm
from keepers.store.messages import messages
from keepers.store.messages.messages import MessageRow, key_of
from keepers.store.profiles import confirmation_requests, consents, identities, suppressions
from keepers.store.profiles.confirmation_requests import ConfirmationRequest
from keepers.store.schema.core import EPOCH

CHANNEL = "email"
"""the channel of the addresses that forms take"""
_DAY, _WEEK, _MONTH = timedelta(days=1), timedelta(days=7), timedelta(days=30)
FOR_SERVER = ((3, _DAY), (6, _MONTH))
"""most confirmation e-mails to one person within a span that the business's server may ask for"""
FOR_ANYBODY = ((3, _DAY), (6, _WEEK))
"""the same of all forms together: what others used up is back within days"""
FOR_NETWORK = ((2, _DAY), (4, _MONTH))
"""the same of the forms from one network: less than all, so that it cannot use up what others may ask for"""


class Confirmation(Struct, frozen=True):
    """A confirmation e-mail to queue: double opt-in asks this address to confirm."""

    profile_id: int
    recipient: str
    topic: Topic
    locale: str
    """the form's locale, which need not be one that there are texts in"""
    url: str
    """the signed address of the page with the button"""
    at: datetime


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


@use_case("POST /v1/subscribe", permission="collect", lock="locked")
def subscribe(workspace: Workspace, actor: Actor, request: SubscribeForm) -> Subscribed:
    """Subscribes an address to a topic; with double opt-in, once it has confirmed. Raises UserError."""
    form = request
    email = str(parse_address(form.email))
    topic = _topic(workspace, form.topic)
    now = workspace.clock()
    hashed = address_hash(workspace.secret, CHANNEL, email)
    owner = _owner(workspace, actor, form, email)
    if topic.double_opt_in or not actor.is_proven:
        _confirmation_template(workspace)
    # In a transaction of its own: it locks the counters, which come after messages in the order of locks.
    with workspace.store.begin() as connection:
        profile_id = known_or_new(connection, *owner, now, is_proven=actor.is_proven)
    with workspace.store.begin() as connection:
        stopped = suppressions.find(connection, [hashed]).get((CHANNEL, hashed))
        # After leaving a topic or everything, only the customer's own confirmation subscribes again, not a form.
        has_left = stopped is not None or _has_left(connection, workspace, profile_id, email, hashed, topic.id)
        # A write key is public, so its forms always have the address asked.
        requested = replace(topic, double_opt_in=True) if has_left or not actor.is_proven else topic
        is_closed = stopped is not None and stopped.reason != "unsubscribed"
        may_mail = requested.double_opt_in and not is_closed and _may_ask(workspace, connection, actor, email, now)
        pending = Consent(
            profile_id, CHANNEL, topic.id, "pending", now, form.source or "form", wording=form.wording,
            address_hash=hashed, holds_for="person" if actor.is_proven else "address",
        )  # fmt: skip
        if may_mail:
            expires = now + _confirmation_template(workspace).expires
            expires_s = int((expires - EPOCH).total_seconds())
            confirmed = Confirm(profile_id, CHANNEL, topic.id, email, expires_s, request_id(pending), form.locale)
            url = workspace.sending.links.confirm(confirmed)
            _queue_confirmation(workspace, connection, Confirmation(profile_id, email, topic, form.locale, url, now))
        if actor.is_proven:
            learn(connection, profile_id, traits_of(email, form.locale), now, "server")
        consents.request(connection, pending, requested, now)
    return Subscribed("pending" if topic.double_opt_in or not actor.is_proven else "subscribed")


def traits_of(email: str, locale: str) -> dict[str, str]:
    """What a form says of its customer. Anybody fills in forms, so it is recorded when the address has confirmed it."""
    return {"email": email} | ({"locale": locale} if locale else {})


def _may_ask(workspace: Workspace, connection: Connection, actor: Actor, email: str, now: datetime) -> bool:
    """Whether a person may be asked once more, and counts it: a form must not flood the inbox of whoever it names.

    Whatever follows a plus sign is one person. What anybody may ask for uses up nothing of what the business may.
    """
    person = address_hash(workspace.secret, CHANNEL, one_person(normal_address(CHANNEL, email)))
    network = "" if actor.is_proven else identifier_hash(workspace.secret, "network", block_of(actor.address))
    sent = confirmation_requests.since(connection, person, now - _MONTH, is_proven=actor.is_proven)
    limits = [(sent, FOR_SERVER if actor.is_proven else FOR_ANYBODY)]
    if not actor.is_proven:
        limits.append(([one for one in sent if one.network_hash == network], FOR_NETWORK))
    for counted, most_within in limits:
        if any(sum(one.at > now - span for one in counted) >= most for most, span in most_within):
            return False
    mail = ConfirmationRequest(now, network)
    confirmation_requests.remember(connection, person, mail, now - _MONTH, is_proven=actor.is_proven)
    return True


def _queue_confirmation(workspace: Workspace, connection: Connection, wanted: Confirmation) -> None:
    """Queues the confirmation e-mail in the caller's transaction. It is transactional and sent at once."""
    sending, template = workspace.sending, _confirmation_template(workspace)
    topic = wanted.topic
    name = text_in(topic.name, wanted.locale or workspace.settings.sending.locale) or topic.id
    hashed = sending.eligibility.hash(template.channel, wanted.recipient)
    row = MessageRow(
        key=key_of("confirmation", wanted.profile_id, topic.id, hashed, wanted.at.isoformat()),
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
        data={"trigger": {"url": wanted.url, "topic": name, "topic_id": topic.id}},
    )
    messages.queue(connection, [row])


def _confirmation_template(workspace: Workspace) -> MessageTemplate:
    """Raises UserError where the playbook has none."""
    template = workspace.sending.playbook.messages.get(CONFIRMATION)
    if template is None:
        raise UserError(
            problem(
                "The playbook has no message “{message}”, which asks to confirm a subscription. `keepers init` "
                "with any starter journey brings one, in contact.yaml.",
                message=CONFIRMATION,
            ),
            code="no_template",
        )
    return template


def _has_left(
    connection: Connection, workspace: Workspace, profile_id: int, email: str, hashed: str, topic: str
) -> bool:
    """Whether any profile with the address has left the topic."""
    by_address = known(connection, "anonymous_id", anonymous_id_of(workspace.secret, CHANNEL, email))
    readers = {profile_id, by_address or profile_id, *messages.profiles_at(connection, hashed)}
    agreed = consents.load(connection, sorted(readers), [hashed])
    statements = [agreed.effective(reader, CHANNEL, topic, hashed) for reader in sorted(readers)]
    return any(one is not None and one.state == "unsubscribed" for one in statements)


def _topic(workspace: Workspace, name: str) -> Topic:
    topics = {t.id: t for t in workspace.sending.topics().values() if t.kind == "marketing" and CHANNEL in t.channels}
    if name not in topics:
        raise UserError(
            problem("There is no topic “{name}” that takes e-mail.", near=nearest(name, topics), name=name),
            field="topic",
        )
    return topics[name]


def _owner(workspace: Workspace, actor: Actor, form: SubscribeForm, email: str) -> tuple[Any, str]:
    """The identifier that a form's subscription is recorded for: its kind and value.

    A server says who it is. A form is believed as far as nothing is taken from anybody: a visitor who has no
    address yet, or this very one, is it; else somebody known by the address alone.
    """
    if actor.kind == "key" and form.userId is not None:
        check_identifier(form.userId)
        return "user_id", form.userId
    if form.anonymousId is not None:
        check_identifier(form.anonymousId)
        with workspace.store.read() as connection:
            visitor = known(connection, "anonymous_id", form.anonymousId)
            is_user = visitor is not None and _is_user(connection, visitor)
        own = workspace.sending.traits(visitor).get("email") if visitor is not None else None
        if own is None and not is_user:
            return "anonymous_id", form.anonymousId
        if isinstance(own, str) and normal_address(CHANNEL, own) == normal_address(CHANNEL, email):
            return "anonymous_id", form.anonymousId
    return "anonymous_id", anonymous_id_of(workspace.secret, CHANNEL, email)


def _is_user(connection: Connection, profile_id: int) -> bool:
    owned = identities.of_profiles(connection, [profile_id]).get(profile_id, [])
    return any(identity.kind == "user_id" for identity in owned)
