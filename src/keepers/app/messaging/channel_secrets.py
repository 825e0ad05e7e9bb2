"""Secrets for the settings of channels: generated, returned once and not stored."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from keepers.app.use_cases.actor import Actor
from keepers.app.use_cases.use_case import use_case
from keepers.app.workspace.workspace import Workspace
from keepers.channels.push import new_vapid_keys
from keepers.channels.webhook import new_secret


class MakeWebhookSecret(Struct, frozen=True, kw_only=True):
    """No parameters."""


class MakePushKeys(Struct, frozen=True, kw_only=True):
    """No parameters."""


class WebhookSecret(Struct, frozen=True):
    """What calls to webhooks are signed with; shown this once."""

    secret: Annotated[str, Meta(description="For `secret` in `[channels.webhook]`.")]


class PushKeys(Struct, frozen=True):
    """A VAPID key pair (RFC 8292); shown this once."""

    private_key: Annotated[str, Meta(description="For `private_key` in `[channels.push]`.")]
    public_key: Annotated[str, Meta(description="What browsers subscribe with.")]


@use_case("POST /channels/webhook/secret", permission="manage", tag="messages")
def make_webhook_secret(workspace: Workspace, actor: Actor, request: MakeWebhookSecret) -> WebhookSecret:
    """Make a secret that calls to webhooks are signed with

    It is kept nowhere: write it into the settings.
    """
    return webhook_secret()


@use_case("POST /channels/push/keys", permission="manage", tag="messages")
def make_push_keys(workspace: Workspace, actor: Actor, request: MakePushKeys) -> PushKeys:
    """Make a key pair for push messages

    It is kept nowhere: write it into the settings.
    """
    return push_keys()


def webhook_secret() -> WebhookSecret:
    """A new secret; it needs no workspace."""
    return WebhookSecret(new_secret())


def push_keys() -> PushKeys:
    """A new pair; it needs no workspace."""
    pair = new_vapid_keys()
    return PushKeys(pair.private, pair.public)
