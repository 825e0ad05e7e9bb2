"""Chat messages (Telegram, Slack, Mattermost, Matrix …) through Apprise."""

from __future__ import annotations

from msgspec import Struct

from keepers.channels.apprise_service import AppriseService
from keepers.channels.base import ChannelContext, ChannelKind
from keepers.model.errors import problem
from keepers.model.message import Outcome, Outgoing


class ChatSettings(Struct, frozen=True, forbid_unknown_fields=True):
    url: str = ""
    """The service as an Apprise URL, with {to} where the customer's name in it goes: tgram://BOT_TOKEN/{to}. Without
    {to} every message goes to the one place the URL names, such as your team's room."""
    timeout: float = 30.0
    """Seconds one hand-over to the service may take."""


class ChatChannel:
    """Sends title and text of a message to a chat."""

    def __init__(self, settings: ChatSettings, around: ChannelContext) -> None:
        self._service = AppriseService(settings.url, settings.timeout, "chat", needs_place=False)

    async def open(self) -> None:
        self._service.open()

    async def send(self, message: Outgoing) -> Outcome:
        content = message.content
        if not content.text.strip():
            return Outcome("failed", problem("The message has no text."), "empty")
        if not message.recipient.strip():
            return Outcome("bounced", problem("The customer has no name in this chat."), "address")
        return await self._service.send(message.recipient.strip(), content.title, content.text)

    async def close(self) -> None:
        pass


KIND = ChannelKind(
    id="chat",
    settings=ChatSettings,
    make=ChatChannel,
    address_trait="chat",
    event_name="Chat",
    engagement={"received": "Chat Sent"},
    position=3,
    parts=("text",),
    required=("text",),
    is_counted=True,
    quiet={"from": "20:00", "to": "09:00", "sundays": True, "holidays": True},
    docs="Messages in Telegram, Slack, Mattermost and every other service that Apprise supports.",
)
