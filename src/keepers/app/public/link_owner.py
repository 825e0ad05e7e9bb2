"""The owner of a link: customer, address and topic of a token, and the topics that can be chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection

from keepers.app.workspace.workspace import Workspace
from keepers.channels.registry import CHANNELS
from keepers.contact.addresses import address_of, country_of
from keepers.i18n.page_texts import choose_locale
from keepers.model.channels import describe_channel
from keepers.model.consent import HoldsFor, Topic, address_hash
from keepers.model.errors import NotFoundError, problem
from keepers.model.fields import text_in
from keepers.model.identity import LOCALE_TRAITS
from keepers.render.links import PATHS, BadLink, Confirm, OfMessage, Preferences, Purpose
from keepers.store.messages import messages
from keepers.store.messages.messages import MessageRow
from keepers.store.profiles import identities, profiles
from keepers.store.schema.core import EPOCH


class LinkRequest(Struct, frozen=True, kw_only=True):
    """A link as it was opened, and what decides in which language its page is shown."""

    token: str
    language: str = ""
    """the language that was asked for by `?lang=`"""
    accept_language: str = ""
    """the browser's header"""

    def locale(self, own: str = "") -> str:
        """The language of the page. `own` is the customer's locale where it is known."""
        return choose_locale(self.language, own, self.accept_language)


def nobody() -> BadLink:
    """The error of a link whose customer was erased, or whose message is kept no longer."""
    return BadLink(problem("What this link belongs to is kept no longer."))


def link_path(purpose: Purpose) -> str:
    """Where a kind of link lies under the public address; the token follows."""
    return PATHS[purpose]


def message_key(workspace: Workspace, purpose: Purpose, token: str) -> str:
    """The key of the message a link was sent in. Raises UserError for an invalid token."""
    payload = workspace.sending.links.read(purpose, token)
    assert isinstance(payload, OfMessage)
    return payload.key


def preferences_link(workspace: Workspace, token: str) -> Preferences:
    """Whose preferences a link opens. Raises UserError for an invalid token."""
    payload = workspace.sending.links.read("preferences", token)
    assert isinstance(payload, Preferences)
    return payload


def confirmation_link(workspace: Workspace, token: str) -> Confirm:
    """What a link confirms. Raises UserError for an invalid token and for a link that has expired."""
    payload = workspace.sending.links.read("confirm", token)
    assert isinstance(payload, Confirm)
    if not payload.request or payload.expires_s < (workspace.clock() - EPOCH).total_seconds():
        raise BadLink(problem("This link has expired. Subscribe again to get a new one."))
    return payload


class LinkOwner(Struct, frozen=True):
    """The owner of a link. `message` is the one it came in, where there was one; `profile_id` is the survivor's."""

    profile_id: int
    channel: str = ""
    topic: str = ""
    recipient: str = ""
    locale: str = ""
    message: MessageRow | None = None
    holds_for: HoldsFor = "person"
    """what its holder may decide for: `address` where the customer is known and this is none of their addresses, since
    anybody can say that a visitor is a customer"""

    @property
    def speaks_for(self) -> int:
        """The profile whose choices its holder may see; 0 for nobody's but the address's."""
        return self.profile_id if self.holds_for == "person" else 0

    @property
    def whom(self) -> str:
        """The address as it may stand on a page; empty when there is none to show."""
        return masked(self.channel, self.recipient)


def of_message(connection: Connection, key: str) -> LinkOwner | None:
    """Who a message was sent to; None when it is not kept any more, or its customer was erased."""
    message = messages.by_keys(connection, [key]).get(key)
    if message is None:
        return None
    try:
        profile_id = profiles.survivor(connection, message.profile_id)
    except NotFoundError:
        return None
    return LinkOwner(profile_id, message.channel, message.topic, message.recipient, message.locale, message)


def of_profile(
    connection: Connection, profile_id: int, key: str, locale: str, channel: str = "", address: str = ""
) -> LinkOwner | None:
    """Who a preference page is of; None when they were erased. `key` is the message the page was opened from, else
    `address` is where its link was sent."""
    try:
        survivor = profiles.survivor(connection, profile_id)
    except NotFoundError:
        return None
    opened_from = of_message(connection, key) if key else None
    if opened_from is not None and opened_from.profile_id == survivor:
        return opened_from
    return LinkOwner(survivor, channel, recipient=address, locale=locale)


class OpenedLink(Struct, frozen=True):
    """A link that was opened: whose it is, what is known of them, their language, and that of the page."""

    owner: LinkOwner
    traits: Mapping[str, Any]
    own_locale: str
    locale: str


def opened_link(workspace: Workspace, request: LinkRequest, sent_to: LinkOwner, key: str = "") -> OpenedLink:
    """Reads whose a link is that was sent to a profile at an address. `key` is the message it stands in.

    Raises BadLink.
    """
    with workspace.store.read() as connection:
        owner = of_profile(connection, sent_to.profile_id, key, sent_to.locale, sent_to.channel, sent_to.recipient)
    if owner is None:
        raise nobody()
    owner, traits = with_rights(workspace, owner)
    own = own_locale(traits, sent_to.locale or owner.locale)
    return OpenedLink(owner, traits, own, request.locale(own))


def with_rights(workspace: Workspace, owner: LinkOwner) -> tuple[LinkOwner, Mapping[str, Any]]:
    """The owner with what the holder of the link may decide for, and the traits that they may see."""
    traits = workspace.sending.traits(owner.profile_id)
    with workspace.store.read() as connection:
        is_known = identities.has_user_id(connection, owner.profile_id)
    if not is_known:
        return owner, traits
    country = workspace.addresses.country
    own = hashes(workspace.secret, addresses(LinkOwner(owner.profile_id), traits, country))
    linked = hashes(workspace.secret, addresses(owner, {}, country))
    if linked and set(linked) <= set(own):
        return owner, traits
    return replace(owner, holds_for="address"), {}


def own_locale(traits: Mapping[str, Any], otherwise: str) -> str:
    """The language a customer is written to in, by their traits."""
    return next((t for name in LOCALE_TRAITS if isinstance(t := traits.get(name), str) and t), otherwise)


def addresses(owner: LinkOwner, traits: Mapping[str, Any], country: str) -> list[tuple[str, str]]:
    """Every (channel, recipient) a customer can be written to at: those of their traits, and that of the message.

    `country` is where telephone numbers without + belong when the customer's own is not known.
    """
    found: dict[tuple[str, str], None] = {}
    if owner.recipient:
        found[(owner.channel, owner.recipient)] = None
    for channel, kind in CHANNELS.items():
        value = traits.get(kind.address_trait) if kind.address_trait else None
        address = address_of(channel, value, country_of(traits) or country)
        if address:
            found[(channel, address)] = None
    return list(found)


def hashes(secret: bytes, found: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The same as (channel, keyed hash), as suppressions know them; spellings of one inbox fall together."""
    return list(dict.fromkeys((channel, address_hash(secret, channel, to)) for channel, to in found))


def marketing(topics: Mapping[str, Topic]) -> list[Topic]:
    """The topics a customer may choose, in the playbook's order."""
    return [topic for topic in topics.values() if topic.kind == "marketing"]


def channels_of(topics: Mapping[str, Topic]) -> list[str]:
    """The channels marketing goes out on, in the order they are named."""
    return list(dict.fromkeys(channel for topic in marketing(topics) for channel in topic.channels))


def always_sent(topics: Mapping[str, Topic], locale: str) -> list[str]:
    """The names of the topics that cannot be chosen: transactional ones."""
    return [name_of(topic, locale) for topic in topics.values() if topic.kind == "transactional"]


def name_of(topic: Topic, locale: str) -> str:
    """A topic's name in a language, or its id."""
    return text_in(topic.name, locale) or topic.id


def masked(channel: str, recipient: str) -> str:
    """An address as it may stand on a page that anybody with the link can see: `a•••@example.com`, `+48•••789`."""
    if "@" in recipient:
        local, _, domain = recipient.rpartition("@")
        return f"{local[:1]}•••@{domain}"
    return describe_channel(channel).masked(recipient)
