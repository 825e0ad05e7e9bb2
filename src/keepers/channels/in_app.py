"""In-app messages: written into the customer's inbox, which a site or app fetches through the API."""

from __future__ import annotations

import asyncio

from msgspec import Struct

from keepers.channels.base import ChannelContext, ChannelKind
from keepers.model.errors import problem
from keepers.model.message import Outcome, Outgoing


class InAppSettings(Struct, frozen=True, forbid_unknown_fields=True):
    max_text: int = 2000
    """Longest text of an in-app message, in characters; a longer one is not sent."""


class InAppChannel:
    """Puts messages into the inbox kept in the operational store."""

    def __init__(self, settings: InAppSettings, around: ChannelContext) -> None:
        self.settings = settings
        self.put = around.put

    async def open(self) -> None:
        pass

    async def send(self, message: Outgoing) -> Outcome:
        content = message.content
        if not (content.title or content.text):
            return Outcome("failed", problem("The message has neither title nor text."), "empty")
        if len(content.text) > self.settings.max_text:
            reason = problem("The text is longer than {most} characters.", most=self.settings.max_text)
            return Outcome("failed", reason, "too_long")
        await asyncio.to_thread(self.put, message)
        return Outcome("sent", provider_id=message.key)

    async def close(self) -> None:
        pass


KIND = ChannelKind(
    id="in_app",
    settings=InAppSettings,
    make=InAppChannel,
    event_name="In-App",
    position=5,
    article="an",
    parts=("title", "text", "url", "icon", "image"),
    required=("title", "text"),
    is_repeatable=True,
    needs_settings=False,
    engagement={"received": "In-App Sent", "opened": "In-App Read"},
    docs="An inbox on your own site or in your own app, fetched through the API.",
)
