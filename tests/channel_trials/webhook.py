"""A receiver of webhooks."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from channel_trials import TEXT, ChannelTrial, Mood
from channel_trials.loopback import HttpTrial, Says
from keepers.model.message import Content, Outgoing

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="


class Trial(HttpTrial, ChannelTrial):
    def start(self, mood: Mood) -> dict[str, Any]:
        self.port = self.listen(mood, Says(200, b'{"ok":true}'))
        return {"secret": SECRET, "allow": ["127.0.0.1"], "timeout": 0.4}

    def received(self) -> list[str]:
        return [json.loads(call.body)["text"] for call in self.calls]

    def message(self, number: int = 1) -> Outgoing:
        url = f"http://127.0.0.1:{self.port}/hook?n={number}"
        content = Content(data={"method": "POST", "body": {"text": TEXT, "number": number}})
        return msgspec.structs.replace(super().message(number), channel="webhook", recipient=url, content=content)
