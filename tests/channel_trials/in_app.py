"""An inbox in memory."""

from __future__ import annotations

from typing import Any

import msgspec

from channel_trials import ChannelTrial, Mood
from keepers.model.message import Outgoing


class Trial(ChannelTrial):
    moods = ("accepts",)

    def start(self, mood: Mood) -> dict[str, Any]:
        self.inbox: dict[str, Outgoing] = {}
        return {}

    def put(self, message: Outgoing) -> None:
        self.inbox[message.key] = message

    def received(self) -> list[str]:
        return [message.content.text for message in self.inbox.values()]

    def message(self, number: int = 1) -> Outgoing:
        return msgspec.structs.replace(super().message(number), channel="in_app", recipient="1")

    def stop(self) -> None:
        pass
