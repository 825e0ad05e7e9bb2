"""A Mattermost server taking incoming webhooks."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from channel_trials import ChannelTrial, Mood
from channel_trials.loopback import HttpTrial, Says
from keepers.model.message import Outgoing


class Trial(HttpTrial, ChannelTrial):
    def start(self, mood: Mood) -> dict[str, Any]:
        port = self.listen(mood, Says(200, b"ok"))
        return {"url": f"mmost://127.0.0.1:{port}/3ccdd113474722377935511fc85d3dd4?to={{to}}&rto=0.4", "timeout": 5}

    def received(self) -> list[str]:
        return [json.loads(call.body)["text"] for call in self.calls]

    def message(self, number: int = 1) -> Outgoing:
        return msgspec.structs.replace(super().message(number), channel="chat", recipient=f"customer{number}")
