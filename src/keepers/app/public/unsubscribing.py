"""Unsubscribing by the link of a message: from its topic or from everything."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from keepers.app.public.choices import ChoiceContext, stop_all, stop_topic
from keepers.app.public.link_owner import (
    LinkOwner,
    LinkRequest,
    always_sent,
    channels_of,
    message_key,
    name_of,
    nobody,
    of_message,
    own_locale,
    with_rights,
)
from keepers.app.use_cases.actor import Actor
from keepers.app.use_cases.use_case import use_case
from keepers.app.workspace.workspace import Workspace

REASONS = ("too_often", "not_relevant", "never_asked", "other")
"""the reasons for leaving that the form offers"""
SOURCE = "unsubscribe page"


class UnsubscribeView(Struct, frozen=True):
    """What the page offers. `address` is masked; `topic` is empty where the message has none that can be left."""

    locale: str
    address: str
    topic: str
    channels: list[str]
    """ids of the channels that marketing goes out on"""
    always_sent: list[str]
    """names of the topics that cannot be left"""
    preferences_url: str


class UnsubscribeForm(LinkRequest, frozen=True, kw_only=True):
    """What the form says. `reason` is one of REASONS, or empty."""

    scope: Literal["topic", "all"]
    reason: str = ""


class Unsubscribed(Struct, frozen=True):
    """What is not sent any more: a topic, or all marketing where it is empty."""

    locale: str
    topic: str
    preferences_url: str


class LeaveByOneClick(Struct, frozen=True, kw_only=True):
    token: str


class LeftByOneClick(Struct, frozen=True):
    """`success` whatever the link led to: there is nothing left to send."""

    success: bool = True


@use_case("GET /e/u/{token}", permission="collect")
def show_unsubscribe(workspace: Workspace, actor: Actor, request: LinkRequest) -> UnsubscribeView:
    """Says what can be left, and changes nothing. Raises BadLink."""
    owner, locale = _opened(workspace, request)
    topics = workspace.sending.topics()
    topic = _topic_of(workspace, owner, locale)
    url = _preferences(workspace, owner, locale)
    return UnsubscribeView(locale, owner.whom, topic, channels_of(topics), always_sent(topics, locale), url)


@use_case("POST /e/u/{token}", permission="collect", lock="locked")
def unsubscribe(workspace: Workspace, actor: Actor, request: UnsubscribeForm) -> Unsubscribed:
    """No more of the message's topic, or no more marketing at all. Raises BadLink."""
    owner, locale = _opened(workspace, request)
    context = ChoiceContext.at(workspace)
    owner, traits = with_rights(workspace, owner)
    source = f"{SOURCE}: {request.reason}" if request.reason in REASONS else SOURCE
    with workspace.store.begin() as connection:
        if request.scope == "topic":
            stop_topic(connection, context, owner, source)
        else:
            stop_all(connection, context, owner, traits, source)
    left = _topic_of(workspace, owner, locale) if request.scope == "topic" else ""
    return Unsubscribed(locale, left, _preferences(workspace, owner, locale))


@use_case("POST /e/u/{token}", permission="collect", lock="locked")
def leave_by_one_click(workspace: Workspace, actor: Actor, request: LeaveByOneClick) -> LeftByOneClick:
    """Unsubscribes from the message's topic at once, as a mail program asks for it (RFC 8058). Raises BadLink."""
    key = message_key(workspace, "unsubscribe", request.token)
    context = ChoiceContext.at(workspace)
    with workspace.store.read() as connection:
        owner = of_message(connection, key)
    if owner is not None:
        owner, _ = with_rights(workspace, owner)
        with workspace.store.begin() as connection:
            stop_topic(connection, context, owner, "one-click")
    return LeftByOneClick()


def _opened(workspace: Workspace, request: LinkRequest) -> tuple[LinkOwner, str]:
    """The owner of the link, and the language of the page: that of the message it was opened from."""
    key = message_key(workspace, "unsubscribe", request.token)
    with workspace.store.read() as connection:
        owner = of_message(connection, key)
    if owner is None:
        raise nobody()
    own = owner.locale or own_locale(workspace.sending.traits(owner.profile_id), "")
    return owner, request.locale(own)


def _topic_of(workspace: Workspace, owner: LinkOwner, locale: str) -> str:
    """The name of the topic that can be left; empty where the message has none."""
    topic = workspace.sending.topics().get(owner.topic)
    return name_of(topic, locale) if topic is not None and topic.kind == "marketing" else ""


def _preferences(workspace: Workspace, owner: LinkOwner, locale: str) -> str:
    key = owner.message.key if owner.message is not None else ""
    return workspace.sending.links.preferences(owner.profile_id, locale, key)
