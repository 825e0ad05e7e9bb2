"""Web push: only the browser reads it, the service knows who sends, and a gone subscription bounces."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from py_vapid import Vapid

from channel_trials.loopback import Loopback, Says
from channel_trials.push import Browser, Trial
from keepers.channels.base import ChannelContext
from keepers.channels.push import MOST_PAYLOAD_BYTES, PushChannel, PushSettings, new_vapid_keys, public_key
from keepers.model.errors import UserError
from keepers.model.message import Content, Outcome, Outgoing

NOW = datetime(2026, 6, 1, 12)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Trial]:
    one = Trial(tmp_path)
    yield one
    one.stop()


def send(settings: PushSettings, *messages: Outgoing) -> Outcome:
    async def run() -> Outcome:
        channel = PushChannel(settings, ChannelContext(now=lambda: NOW, put=print))
        await channel.open()
        try:
            return [await channel.send(message) for message in messages][-1]
        finally:
            await channel.close()

    return asyncio.run(run())


def settings_of(service: Trial, **changed: Any) -> PushSettings:
    return msgspec.convert(service.start("accepts") | changed, PushSettings)


def test_only_the_browser_can_read_it(service: Trial) -> None:
    settings = settings_of(service)
    message = service.message()
    data = message.content.data | {"icon": "https://shop.example/icon.png"}
    content = msgspec.structs.replace(message.content, data=data)
    outcome = send(settings, msgspec.structs.replace(message, content=content))
    assert (outcome.status, outcome.provider_id) == ("sent", "/m/1")
    (call,) = service.calls
    shown = service.browser.read(call.body)
    assert (shown["title"], shown["url"]) == ("Hello", "https://shop.example/")
    assert shown["icon"] == "https://shop.example/icon.png"
    assert not {"p256dh", "auth"} & set(shown)
    with pytest.raises(Exception, match=r"(?i)tag|decrypt"):
        Browser().read(call.body)


def test_the_service_can_check_who_sends(service: Trial) -> None:
    send(settings_of(service), service.message())
    (call,) = service.calls
    assert call.headers["content-encoding"] == "aes128gcm"
    assert call.headers["ttl"] == "86400"
    assert Vapid.verify(call.headers["authorization"])
    token, key = (part.partition("=")[2] for part in call.headers["authorization"].removeprefix("vapid ").split(","))
    assert key == service.vapid.public == public_key(service.vapid.private)
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert claims["aud"] == f"http://127.0.0.1:{service.port}"
    assert claims["sub"] == "mailto:ops@shop.example"
    assert claims["exp"] == int((NOW + timedelta(hours=12)).replace(tzinfo=UTC).timestamp())


def test_a_repeated_attempt_replaces_the_one_before(service: Trial) -> None:
    send(settings_of(service), service.message(1), service.message(1), service.message(2))
    first, again, other = (call.headers["topic"] for call in service.calls)
    assert first == again != other
    assert len(first) == 32


@pytest.mark.parametrize(
    ("status", "becomes"),
    [
        (200, "sent"), (201, "sent"), (202, "sent"), (404, "bounced"), (410, "bounced"), (429, "deferred"),
        (500, "deferred"), (503, "deferred"), (400, "failed"), (401, "failed"), (403, "failed"), (413, "failed"),
    ],
)  # fmt: skip
def test_what_a_status_means(service: Trial, status: int, becomes: str) -> None:
    settings = settings_of(service)
    other = Loopback(lambda _: Says(status, b"reason", {"retry-after": "60"}))
    try:
        endpoint = f"http://127.0.0.1:{other.port}/push/1"
        outcome = send(settings, msgspec.structs.replace(service.message(), recipient=endpoint))
    finally:
        other.stop()
    assert (outcome.status, outcome.code, outcome.is_hard) == (becomes, str(status), becomes == "bounced")
    assert outcome.retry_after == (timedelta(minutes=1) if becomes == "deferred" else None)


@pytest.mark.parametrize(
    "keys",
    [{}, {"p256dh": "a", "auth": "b"}, {"p256dh": "BAAA", "auth": ""}, {"p256dh": 1, "auth": 2}, {"auth": "abcd"}],
)
def test_keys_that_are_none_bounce(service: Trial, keys: Any) -> None:
    settings = settings_of(service)
    content = Content(title="Hello", data=keys)
    outcome = send(settings, msgspec.structs.replace(service.message(), content=content))
    assert (outcome.status, outcome.code) == ("bounced", "subscription")
    assert service.calls == []


@pytest.mark.parametrize("endpoint", ["http://169.254.169.254/latest", "http://127.0.0.1:1/", "file:///etc/hosts", ""])
def test_an_endpoint_inside_the_network_is_never_called(service: Trial, endpoint: str) -> None:
    outcome = send(settings_of(service, allow=[]), msgspec.structs.replace(service.message(), recipient=endpoint))
    assert (outcome.status, outcome.code) == ("bounced", "refused")


def test_the_longest_payload_is_read_and_a_longer_one_not_sent(service: Trial) -> None:
    settings = settings_of(service)
    message = service.message()

    def of_length(length: int) -> Outgoing:
        base = len(msgspec.json.encode({"title": "", "body": "", "url": "", "tag": "x" * 32}))
        content = msgspec.structs.replace(message.content, title="", url="", text="x" * (length - base))
        return msgspec.structs.replace(message, content=content)

    assert send(settings, of_length(MOST_PAYLOAD_BYTES)).status == "sent"
    assert len(service.calls[0].body) == 4096
    service.browser.read(service.calls[0].body)
    outcome = send(settings, of_length(MOST_PAYLOAD_BYTES + 1))
    assert (outcome.status, outcome.code) == ("failed", "too_long")


@pytest.mark.parametrize("private", ["", "abc", "x" * 43 + "!", "żółć"])
def test_a_private_key_that_is_none_is_refused(private: str) -> None:
    with pytest.raises(UserError, match="private_key"):
        PushChannel(
            PushSettings(private_key=private, contact="mailto:a@shop.example"),
            ChannelContext(now=lambda: NOW, put=print),
        )


def test_push_services_are_told_where_to_complain() -> None:
    with pytest.raises(UserError, match="contact"):
        PushChannel(
            PushSettings(private_key=new_vapid_keys().private, contact="ops"),
            ChannelContext(now=lambda: NOW, put=print),
        )
