"""Confirmation of a double opt-in, by the link of the confirmation e-mail."""

from __future__ import annotations

from msgspec import Struct
from sqlalchemy import Connection

from keepers.app.public.choices import ChoiceContext, confirm_topic
from keepers.app.public.identify_visitor import learn
from keepers.app.public.link_owner import (
    LinkOwner,
    LinkRequest,
    OpenedLink,
    confirmation_link,
    masked,
    name_of,
    nobody,
    opened_link,
)
from keepers.app.public.subscriptions import traits_of
from keepers.app.use_cases.actor import Actor
from keepers.app.use_cases.use_case import use_case
from keepers.app.workspace.workspace import Workspace
from keepers.model.consent import Topic
from keepers.model.identity import LOCALE_TRAITS
from keepers.render.links import Confirm
from keepers.store.profiles import identities


class ConfirmationView(Struct, frozen=True):
    """What the page asks. `address` is masked."""

    locale: str
    topic: str
    address: str


class Confirmed(Struct, frozen=True):
    """The customer is subscribed, unless the link was used and they have left since."""

    locale: str
    topic: str
    is_subscribed: bool
    preferences_url: str


@use_case("GET /e/y/{token}", permission="collect")
def show_confirmation(workspace: Workspace, actor: Actor, request: LinkRequest) -> ConfirmationView:
    """Says what a link confirms, and changes nothing. Raises BadLink."""
    opened, link, topic = _opened(workspace, ChoiceContext.at(workspace), request)
    return ConfirmationView(opened.locale, name_of(topic, opened.locale), masked(link.channel, link.address))


@use_case("POST /e/y/{token}", permission="collect", lock="locked")
def confirm_subscription(workspace: Workspace, actor: Actor, request: LinkRequest) -> Confirmed:
    """Subscribes to what the link confirms; a second time changes nothing. Raises BadLink."""
    context = ChoiceContext.at(workspace)
    opened, link, topic = _opened(workspace, context, request)
    with workspace.store.begin() as connection:
        _learn(workspace, connection, opened.owner.profile_id, link)
        done = confirm_topic(connection, context, opened.owner, link)
    url = workspace.sending.links.preferences(
        opened.owner.profile_id, opened.locale, channel=link.channel, address=link.address
    )
    return Confirmed(opened.locale, name_of(topic, opened.locale), done, url)


def _learn(workspace: Workspace, connection: Connection, profile_id: int, link: Confirm) -> None:
    """Records address and locale of a customer of whom neither is known, as a visitor's word. What is known was said by
    the customer or the business, and whoever filled in the form need be neither."""
    if identities.has_user_id(connection, profile_id):
        return
    known = workspace.sending.traits(profile_id)
    has_locale = any(known.get(name) for name in LOCALE_TRAITS)
    named = traits_of(link.address, "" if has_locale else link.locale)
    learned = {name: value for name, value in named.items() if not known.get(name)}
    if learned:
        learn(connection, profile_id, learned, workspace.clock(), "public")


def _opened(workspace: Workspace, context: ChoiceContext, request: LinkRequest) -> tuple[OpenedLink, Confirm, Topic]:
    link = confirmation_link(workspace, request.token)
    topic = context.topics.get(link.topic)
    if topic is None:
        raise nobody()
    sent_to = LinkOwner(link.profile_id, link.channel, recipient=link.address)
    return opened_link(workspace, request, sent_to), link, topic
