"""Confirmation of a double opt-in, by the link of the confirmation e-mail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from keepers.app.public.choices import ChoiceContext, confirm_topic
from keepers.app.public.link_owner import (
    LinkOwner,
    LinkRequest,
    addresses,
    confirmation_link,
    masked,
    name_of,
    nobody,
    of_profile,
    own_locale,
)
from keepers.app.use_cases.actor import Actor
from keepers.app.use_cases.use_case import use_case
from keepers.app.workspace.workspace import Workspace
from keepers.model.consent import Topic


class ConfirmationView(Struct, frozen=True):
    """What the page asks. `address` is masked, and empty when it is not known."""

    locale: str
    topic: str
    address: str


class Confirmed(Struct, frozen=True):
    """The customer is subscribed, unless the link was used and they have left since."""

    locale: str
    topic: str
    is_subscribed: bool
    preferences_url: str


class _OpenedLink(Struct, frozen=True):
    owner: LinkOwner
    traits: Mapping[str, Any]
    channel: str
    topic: Topic
    locale: str


@use_case("GET /e/y/{token}", permission="collect")
def show_confirmation(workspace: Workspace, actor: Actor, request: LinkRequest) -> ConfirmationView:
    """Says what a link confirms, and changes nothing. Raises BadLink."""
    opened = _opened(workspace, ChoiceContext.at(workspace), request)
    reached = addresses(opened.owner, opened.traits, workspace.addresses.country)
    found = [shown for channel, to in reached if channel == opened.channel and (shown := masked(channel, to))]
    return ConfirmationView(opened.locale, name_of(opened.topic, opened.locale), next(iter(found), ""))


@use_case("POST /e/y/{token}", permission="collect", lock="locked")
def confirm_subscription(workspace: Workspace, actor: Actor, request: LinkRequest) -> Confirmed:
    """Subscribes to what the link confirms; a second time changes nothing. Raises BadLink."""
    context = ChoiceContext.at(workspace)
    opened = _opened(workspace, context, request)
    with workspace.store.begin() as connection:
        done = confirm_topic(connection, context, opened.owner, opened.traits, opened.channel, opened.topic.id)
    url = workspace.sending.links.preferences(opened.owner.profile_id, opened.locale)
    return Confirmed(opened.locale, name_of(opened.topic, opened.locale), done, url)


def _opened(workspace: Workspace, context: ChoiceContext, request: LinkRequest) -> _OpenedLink:
    link = confirmation_link(workspace, request.token)
    with workspace.store.read() as connection:
        owner = of_profile(connection, link.profile_id, "", "")
    topic = context.topics.get(link.topic)
    if owner is None or topic is None:
        raise nobody()
    traits = workspace.sending.traits(owner.profile_id)
    return _OpenedLink(owner, traits, link.channel, topic, request.locale(own_locale(traits, "")))
