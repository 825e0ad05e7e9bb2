"""An SMSEagle gateway (an SMS appliance for one's own network) speaking its JSON API."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from channel_trials import ChannelTrial, Mood
from channel_trials.loopback import HttpTrial, Says
from keepers.model.message import Outgoing


class Trial(HttpTrial, ChannelTrial):
    def start(self, mood: Mood) -> dict[str, Any]:
        port = self.listen(mood, Says(200, b'{"result":[{"message_id":4753,"status":"ok"}]}'))
        url = f"smseagle://token@127.0.0.1:{port}/{{to}}?rto=0.4"
        return {"url": url, "country": "PL", "timeout": 5}

    def received(self) -> list[str]:
        return [json.loads(call.body)["params"]["message"] for call in self.calls]

    def message(self, number: int = 1) -> Outgoing:
        recipient = f"+48 600 100 {200 + number}"
        return msgspec.structs.replace(super().message(number), channel="sms", recipient=recipient)
