"""The preferences of a customer: topics by channel, language, and leaving everything."""

from __future__ import annotations

from msgspec import Struct

from keepers.app.public.choices import ChoiceContext, Choices, choices_of, choose, choose_language, stop_all
from keepers.app.public.link_owner import (
    LinkOwner,
    LinkRequest,
    OpenedLink,
    addresses,
    always_sent,
    marketing,
    masked,
    name_of,
    opened_link,
    preferences_link,
)
from keepers.app.use_cases.actor import Actor
from keepers.app.use_cases.use_case import use_case
from keepers.app.workspace.workspace import Workspace
from keepers.i18n.catalogues import languages
from keepers.i18n.page_texts import channel_name, choose_locale
from keepers.model.consent import Topic
from keepers.model.fields import text_in

SOURCE = "preference page"


class ChannelChoice(Struct, frozen=True):
    """One box to tick: a channel of a topic. `value` is `<channel>:<topic>`."""

    value: str
    channel: str
    is_on: bool
    is_pending: bool


class TopicChoices(Struct, frozen=True):
    """A topic and its channels, named in the page's language."""

    name: str
    description: str
    choices: list[ChannelChoice]


class PreferencesView(Struct, frozen=True):
    """What the page shows. Addresses are masked."""

    locale: str
    own_locale: str
    """the locale the customer is written to in; empty when it is not known"""
    addresses: list[str]
    blocked: list[str]
    """addresses, or names of channels, that nothing is sent to because messages came back or were complained about"""
    topics: list[TopicChoices]
    always_sent: list[str]
    """names of the topics that cannot be chosen"""


class SavePreferences(LinkRequest, frozen=True, kw_only=True):
    """The form as it was sent. What it did not show stays as it is."""

    shown: list[str]
    on: list[str]
    written_in: str = ""
    """the language chosen for messages; one that there are no texts in is passed over"""
    leaves_all: bool = False


class SavedPreferences(Struct, frozen=True):
    """`locale` is the language the page is shown in next."""

    locale: str
    left_all: bool


@use_case("GET /e/p/{token}", permission="collect")
def show_preferences(workspace: Workspace, actor: Actor, request: LinkRequest) -> PreferencesView:
    """Shows what a customer chose and can choose. Raises BadLink."""
    opened = _open(workspace, request)
    locale = opened.locale
    context = ChoiceContext.at(workspace)
    with workspace.store.read() as connection:
        choices = choices_of(connection, context, opened.owner, opened.traits)
    found = addresses(opened.owner, opened.traits, workspace.addresses.country)
    blocked = [masked(c, to) or channel_name(c, locale) for c, to in found if c in choices.blocked]
    return PreferencesView(
        locale,
        opened.own_locale,
        list(dict.fromkeys(shown for channel, to in found if (shown := masked(channel, to)))),
        list(dict.fromkeys(blocked)),
        [_topic(topic, choices, locale) for topic in marketing(context.topics)],
        always_sent(context.topics, locale),
    )


@use_case("POST /e/p/{token}", permission="collect", lock="locked")
def save_preferences(workspace: Workspace, actor: Actor, request: SavePreferences) -> SavedPreferences:
    """Records what a customer chose: what is ticked, or to leave everything. Raises BadLink."""
    opened = _open(workspace, request)
    owner, locale = opened.owner, opened.locale
    shown, on = ([_pair(value) for value in values] for values in (request.shown, request.on))
    chosen = request.written_in
    context = ChoiceContext.at(workspace)
    with workspace.store.begin() as connection:
        if request.leaves_all:
            stop_all(connection, context, owner, opened.traits, SOURCE)
        else:
            choose(connection, context, owner, opened.traits, shown, set(on), SOURCE)
            if chosen in languages() and chosen != choose_locale("", opened.own_locale, ""):
                choose_language(connection, context, owner, chosen)
                locale = chosen
    return SavedPreferences(locale, request.leaves_all)


def _open(workspace: Workspace, request: LinkRequest) -> OpenedLink:
    link = preferences_link(workspace, request.token)
    sent_to = LinkOwner(link.profile_id, link.channel, recipient=link.address, locale=link.locale)
    return opened_link(workspace, request, sent_to, link.key)


def _pair(value: str) -> tuple[str, str]:
    channel, _, topic = value.partition(":")
    return channel, topic


def _topic(topic: Topic, choices: Choices, locale: str) -> TopicChoices:
    return TopicChoices(
        name_of(topic, locale),
        text_in(topic.description, locale),
        [
            ChannelChoice(
                f"{channel}:{topic.id}",
                channel_name(channel, locale),
                choices.is_on((channel, topic.id)),
                choices.states.get((channel, topic.id)) == "pending",
            )
            for channel in topic.channels
        ],
    )
