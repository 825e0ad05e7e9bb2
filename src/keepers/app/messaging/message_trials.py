"""Message trials: a preview for a customer, and a test send to an own address."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from keepers.app.messaging.messages import MessageCopy
from keepers.app.use_cases.actor import Actor
from keepers.app.use_cases.use_case import use_case
from keepers.app.workspace.workspace import Workspace
from keepers.channels.base import Channel
from keepers.i18n.problems import problem_text
from keepers.model.errors import NotFoundError, UserError, nearest, problem
from keepers.model.message import Outcome, Outgoing
from keepers.render.definition import MessageTemplate
from keepers.store.messages.messages import key_of
from keepers.warehouse.profile_lookup import ProfileSnapshot, load_profiles

MessageId = Annotated[str, Meta(min_length=1, max_length=200, description="The message's id in the playbook.")]
TrialProfile = Annotated[str, Meta(max_length=512, description="A customer; without one their data are missing.")]
TrialLocale = Annotated[str, Meta(max_length=35, description="The text of this locale; else the customer's.")]


class PreviewMessage(Struct, frozen=True, kw_only=True):
    """Which message, for whom."""

    message: MessageId
    profile: TrialProfile = ""
    locale: TrialLocale = ""


class SendTestMessage(Struct, frozen=True, kw_only=True):
    """Which message, and where to."""

    message: MessageId
    to: Annotated[str, Meta(min_length=1, max_length=2000, description="An address of your own on its channel.")]
    profile: TrialProfile = ""
    locale: TrialLocale = ""


class MessagePreview(Struct, frozen=True):
    """A message as a customer would get it now."""

    message: str
    channel: str
    topic: str
    profile: str | None
    content: MessageCopy


class TrialSent(Struct, frozen=True):
    """A message that went to an address of one's own."""

    message: str
    to: str
    status: Literal["sent"]
    detail: Annotated[str, Meta(description="The channel's answer.")]


@use_case("POST /messages/preview", permission="read", problems=(404, 422))
def preview_message(workspace: Workspace, actor: Actor, request: PreviewMessage) -> MessagePreview:
    """A message as a customer would get it now

    Links lead nowhere, no code is taken, and nothing is sent.
    """
    template = _template(workspace, request.message)
    profile = _find_profile(workspace, request.profile)
    content = workspace.sending.message_builder.preview(request.message, profile, workspace.clock(), {}, request.locale)
    copy = MessageCopy(**msgspec.structs.asdict(content))
    return MessagePreview(request.message, template.channel, template.topic, request.profile or None, copy)


@use_case(
    "POST /messages/test",
    permission="send",
    lock="locked",
    problems=(404, 422),
    audit={"message": "target", "to": "hidden", "profile": "profile", "locale": "plain"},
)
def send_test_message(workspace: Workspace, actor: Actor, request: SendTestMessage) -> TrialSent:
    """Send a message to an address of your own

    Through its real channel. Consent, caps and quiet hours are not checked, and nothing is counted.
    """
    template = _template(workspace, request.message)
    profile = _find_profile(workspace, request.profile)
    now = workspace.clock()
    key = key_of("test", request.message, request.to, now.isoformat())
    outgoing = workspace.sending.message_builder.test(request.message, profile, request.to, key, now, request.locale)
    channel = workspace.sending.channels().get(template.channel)
    if channel is None:
        raise UserError(
            problem(
                "The channel {channel} is not set up: write [channels.{channel}] into keepers.toml.",
                channel=template.channel,
            ),
            code="settings",
        )
    outcome = asyncio.run(_send(channel, outgoing))
    if outcome.status != "sent":
        raise UserError(
            problem(
                "The message was not sent ({status}): {reason}",
                status=", ".join(part for part in (outcome.status, outcome.code) if part),
                reason=outcome.detail or problem("no reason was given"),
            ),
            code="not_sent",
        )
    return TrialSent(request.message, request.to, outcome.status, problem_text(outcome.detail, actor.locale))


async def _send(channel: Channel, outgoing: Outgoing) -> Outcome:
    await channel.open()
    try:
        return await channel.send(outgoing)
    finally:
        await channel.close()


def _template(workspace: Workspace, name: str) -> MessageTemplate:
    workspace.sending.refresh()
    known = workspace.active_playbook().playbook.messages
    if name not in known:
        raise NotFoundError(problem("There is no message “{name}” in force.", near=nearest(name, known), name=name))
    return known[name]


def _find_profile(workspace: Workspace, name: str) -> ProfileSnapshot | None:
    if not name:
        return None
    profile_id = workspace.find_profile(name)
    return load_profiles(workspace.warehouse, [profile_id]).get(profile_id)
