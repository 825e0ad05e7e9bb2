"""A push service and the browsers behind it, which decrypt what they get."""

from __future__ import annotations

import base64
import json
import os
from typing import Any

import http_ece
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from channel_trials import TEXT, ChannelTrial, Mood
from channel_trials.loopback import HttpTrial, Says
from keepers.channels.push import new_vapid_keys
from keepers.model.message import Content, Outgoing


def text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


class Browser:
    """One subscription: its keys as a page would send them, and reading what is encrypted for it."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.auth = os.urandom(16)

    @property
    def keys(self) -> dict[str, str]:
        point = self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return {"p256dh": text(point), "auth": text(self.auth)}

    def read(self, body: bytes) -> dict[str, Any]:
        shown = http_ece.decrypt(body, private_key=self.key, auth_secret=self.auth, version="aes128gcm")
        read: dict[str, Any] = json.loads(shown)
        return read


class Trial(HttpTrial, ChannelTrial):
    def start(self, mood: Mood) -> dict[str, Any]:
        self.browser = Browser()
        self.vapid = new_vapid_keys()
        self.port = self.listen(mood, Says(201, headers={"location": "/m/1"}))
        contact = "mailto:ops@shop.example"
        return {"private_key": self.vapid.private, "contact": contact, "allow": ["127.0.0.0/8"], "timeout": 0.4}

    def received(self) -> list[str]:
        return [self.browser.read(call.body)["body"] for call in self.calls]

    def message(self, number: int = 1) -> Outgoing:
        content = Content(title="Hello", text=TEXT, url="https://shop.example/", data=dict(self.browser.keys))
        endpoint = f"http://127.0.0.1:{self.port}/push/{number}"
        return msgspec.structs.replace(super().message(number), channel="push", recipient=endpoint, content=content)
