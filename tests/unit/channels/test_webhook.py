"""Webhooks: signed, bounded, never redirected, and what each answer means."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from channel_trials.loopback import Answering, Loopback, Says
from keepers.channels.base import ChannelContext
from keepers.channels.webhook import WebhookChannel, WebhookSettings, new_secret
from keepers.model.errors import UserError
from keepers.model.message import Content, Outcome, Outgoing

NOW = datetime(2026, 6, 1, 12)


class StandingClock(datetime):
    """The clock of the library that verifies: five minutes from its own it accepts nothing."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> StandingClock:
        return cls(NOW.year, NOW.month, NOW.day, NOW.hour, tzinfo=tz)


class Receiver:
    """A loopback server to call, and calling it."""

    def __init__(self) -> None:
        self.loopback: Loopback | None = None

    def answers(self, answering: Answering | Says) -> None:
        self.loopback = Loopback((lambda _: answering) if isinstance(answering, Says) else answering)

    @property
    def calls(self) -> Any:
        assert self.loopback
        return self.loopback.calls

    def call(self, *keys: str, settings: WebhookSettings | None = None, **data: Any) -> Outcome:
        if self.loopback:
            data.setdefault("url", f"http://127.0.0.1:{self.loopback.port}/hook")
        settings = settings or WebhookSettings(allow=["127.0.0.1"], timeout=0.5)

        async def run() -> Outcome:
            channel = WebhookChannel(settings, ChannelContext(now=lambda: NOW, put=print))
            await channel.open()
            try:
                for key in keys or ("run-1:call:1",):
                    message = Outgoing(1, key, "webhook", "", 1, Content(data=data))
                    outcome = await channel.send(message)
                return outcome
            finally:
                await channel.close()

        return asyncio.run(run())


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setattr("standardwebhooks.webhooks.datetime", StandingClock)
    one = Receiver()
    yield one
    if one.loopback:
        one.loopback.stop()


def test_a_receiver_with_the_standard_library_accepts_the_signature(receiver: Receiver) -> None:
    secret = new_secret()
    receiver.answers(Says())
    settings = WebhookSettings(secret=secret, allow=["127.0.0.1"])
    assert receiver.call(settings=settings, body={"total": 12.5, "who": "Łucja"}).status == "sent"
    (call,) = receiver.calls
    assert Webhook(secret).verify(call.body, call.headers) == {"total": 12.5, "who": "Łucja"}
    assert call.headers["content-type"] == "application/json"
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(call.body, call.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(call.body + b" ", call.headers)


def test_while_the_secret_changes_either_verifies(receiver: Receiver) -> None:
    new, old = new_secret(), new_secret()
    receiver.answers(Says())
    receiver.call(settings=WebhookSettings(secret=new, previous_secret=old, allow=["127.0.0.1"]))
    (call,) = receiver.calls
    for secret in (new, old):
        Webhook(secret).verify(call.body, call.headers)


def test_every_attempt_carries_the_same_id_and_another_message_another(receiver: Receiver) -> None:
    receiver.answers(Says())
    receiver.call("run-1:call:1", "run-1:call:1", "run-1:call:2")
    first, again, other = (call.headers["webhook-id"] for call in receiver.calls)
    assert first == again != other
    assert "webhook-signature" not in receiver.calls[0].headers, "no secret, no signature"


@pytest.mark.parametrize(
    ("status", "becomes"),
    [
        (200, "sent"), (201, "sent"), (204, "sent"),
        (301, "failed"), (307, "failed"), (400, "failed"), (401, "failed"), (404, "failed"), (410, "failed"),
        (422, "failed"), (408, "deferred"), (409, "deferred"), (425, "deferred"), (429, "deferred"),
        (500, "deferred"), (502, "deferred"), (503, "deferred"),
    ],
)  # fmt: skip
def test_what_a_status_means(receiver: Receiver, status: int, becomes: str) -> None:
    receiver.answers(Says(status, headers={"location": "http://127.0.0.1:1/"}))
    outcome = receiver.call()
    assert (outcome.status, outcome.code) == (becomes, str(status))
    assert len(receiver.calls) == 1, "neither repeated nor redirected"


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("120", timedelta(minutes=2)),
        ("Mon, 01 Jun 2026 12:05:00 GMT", timedelta(minutes=5)),
        ("Mon, 01 Jun 2026 11:00:00 GMT", timedelta(0)),
        ("999999999", timedelta(days=1)),
        ("soon", None),
        ("-5", None),
    ],
)
def test_the_time_the_other_side_names_is_kept(receiver: Receiver, header: str, wait: timedelta | None) -> None:
    receiver.answers(Says(429, headers={"retry-after": header}))
    assert receiver.call().retry_after == wait


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (b'{"plan": "pro", "seats": [1, 2]}', {"plan": "pro", "seats": [1, 2]}),
        (b"3", 3),
        (b"OK", "OK"),
        (b"", None),
        (b"\xff\xfe", None),
        (b'{"a": "x\\u0000y"}', {"a": "xy"}),
        (b'"' + b"x" * 65_534 + b'"', "x" * 65_534),
        (b'"' + b"x" * 65_535 + b'"', None),
        (b"[" * 30_000, "[" * 30_000),
    ],
)
def test_the_answer_is_kept_for_the_run_while_it_is_short(receiver: Receiver, body: bytes, kept: Any) -> None:
    receiver.answers(Says(200, body))
    assert receiver.call().answer == {"status": 200, "body": kept}


def test_method_headers_and_a_text_body_are_the_authors(receiver: Receiver) -> None:
    receiver.answers(Says())
    receiver.call(method="put", headers={"X-Token": "abc"}, body="plain")
    receiver.call(method="GET")
    put, get = receiver.calls
    assert (put.method, put.headers["x-token"], put.body) == ("PUT", "abc", b"plain")
    assert (get.method, get.body) == ("GET", b"")


@pytest.mark.parametrize(
    "data",
    [
        {"method": "TRACE"},
        {"headers": {"Host": "metadata.internal"}},
        {"headers": {"Content-Length": "3"}},
        {"headers": {"webhook-id": "mine"}},
        {"headers": {"X-A": "b\r\nX-C: d"}},
        {"headers": {"X A": "b"}},
        {"headers": ["a"]},
        {"url": "ftp://example.com"},
        {"url": "http://user:secret@example.com"},
        {"url": 7},
    ],
)
def test_what_cannot_be_called_fails_with_a_sentence(receiver: Receiver, data: dict[str, Any]) -> None:
    receiver.answers(Says())
    outcome = receiver.call(**data)
    assert outcome.status == "failed"
    assert str(outcome.detail).endswith(".") or "headers" in str(outcome.detail)
    assert receiver.calls == []


def test_an_inner_address_is_refused_unless_allowed(receiver: Receiver) -> None:
    receiver.answers(Says())
    outcome = receiver.call(settings=WebhookSettings())
    assert (outcome.status, outcome.code) == ("failed", "refused")
    assert "allow" in str(outcome.detail)
    assert receiver.calls == []


def test_an_unknown_host_is_tried_again(receiver: Receiver) -> None:
    assert receiver.call(url="http://nobody.invalid/").status == "deferred"


@pytest.mark.parametrize("secret", ["whsec_", "whsec_c2hvcnQ=", "not base64 at all", "whsec_" + "A" * 200])
def test_a_secret_that_is_none_is_refused(secret: str) -> None:
    if secret == "whsec_":
        secret += "!"
    with pytest.raises(UserError, match="secret"):
        WebhookChannel(WebhookSettings(secret=secret), ChannelContext(now=lambda: NOW, put=print))


def test_over_tls_the_name_is_what_the_certificate_must_show(tmp_path: Path, certificate: Any) -> None:
    from keepers.channels.http.answers import UnansweredError
    from keepers.channels.http.safe_http import Caller
    from keepers.channels.http.ssrf import Guard

    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(*certificate("hooks.example", tmp_path))
    trusting = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    loopback = Loopback(lambda call: Says(200, json.dumps(call.headers["host"]).encode()), server)

    async def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    async def call(host: str) -> Any:
        caller = Caller(Guard(["127.0.0.1"], resolve), 2.0, context=trusting)
        try:
            return await caller.call("GET", f"https://{host}:{loopback.port}/", {}, None, 1000)
        finally:
            await caller.close()

    try:
        assert asyncio.run(call("hooks.example")).status == 200
        with pytest.raises(UnansweredError, match="certificate"):
            asyncio.run(call("other.example"))
    finally:
        loopback.stop()
