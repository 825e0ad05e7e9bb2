"""Mailgun: the signature and its replay window, and each kind of event."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import datetime
from typing import Any

import pytest

from keepers.channels.email.providers.mailgun import Mailgun, MailgunSettings
from keepers.model.errors import UserError
from keepers.model.message import DeliveryReport

NOW = datetime(2026, 6, 1, 12)
STAMP = "1780315190"
TOKEN = "b1ae9d8dbb8e2ab5e20d0b3e8d9d7f0a6c1e4f1b2d3c4e5f60"
SETTINGS = MailgunSettings(signing_key="key-of-this-test")
EVENT: dict[str, Any] = {
    "event": "delivered",
    "id": "CPgfbmQMTCKtHW6uIWtuVe",
    "timestamp": 1780315189.927,
    "recipient": "anna@example.com",
    "message": {"headers": {"message-id": "abc@shop.example", "to": "anna@example.com"}, "size": 867},
    "delivery-status": {"code": 250, "message": "OK", "attempt-no": 1},
    "user-variables": {"keepers-key": "run-1:hello:1"},
}


def body(stamp: str = STAMP, token: str = TOKEN, key: str = SETTINGS.signing_key, **event: Any) -> bytes:
    signature = hmac.new(key.encode(), (stamp + token).encode(), hashlib.sha256).hexdigest()
    signed = {"timestamp": stamp, "token": token, "signature": signature}
    return json.dumps({"signature": signed, "event-data": EVENT | event}).encode()


def test_what_mailgun_signed_is_accepted() -> None:
    Mailgun().verify({}, body(), SETTINGS, NOW)


@pytest.mark.parametrize(
    ("sent", "settings", "why"),
    [
        (body(key="another"), SETTINGS, "signature"),
        (body().replace(STAMP.encode(), b"1780315191", 1), SETTINGS, "signature"),
        (body(token=""), SETTINGS, "signature"),
        (b"{}", SETTINGS, "signature"),
        (b'{"signature": [1]}', SETTINGS, "signature"),
        (body(key=""), MailgunSettings(), "not set"),
        (body(stamp="1780200000"), SETTINGS, "too old"),
        (body(stamp="1780320000"), SETTINGS, "future"),
        (body(stamp="soon"), SETTINGS, "too old"),
    ],
)
def test_anything_else_is_refused(sent: bytes, settings: MailgunSettings, why: str) -> None:
    with pytest.raises(UserError, match=why) as refusal:
        Mailgun().verify({}, sent, settings, NOW)
    assert refusal.value.code == "signature"


def test_the_window_is_a_setting() -> None:
    an_hour_old = body(stamp="1780311600")
    Mailgun().verify({}, an_hour_old, SETTINGS, NOW)
    with pytest.raises(UserError, match="too old"):
        Mailgun().verify({}, an_hour_old, MailgunSettings(SETTINGS.signing_key, window=900), NOW)


def test_a_report_names_message_and_recipient() -> None:
    assert Mailgun().reports(body()) == [
        DeliveryReport(
            "delivered",
            "email",
            datetime(2026, 6, 1, 11, 59, 49, 927000),
            key="run-1:hello:1",
            message_id="<abc@shop.example>",
            recipient="anna@example.com",
            detail="OK",
            code="250",
            source="mailgun",
        )
    ]


def failed(severity: str, reason: str, **status: Any) -> dict[str, Any]:
    return {"event": "failed", "severity": severity, "reason": reason, "delivery-status": status}


@pytest.mark.parametrize(
    ("event", "kind", "is_hard"),
    [
        (failed("permanent", "bounce", code=550, **{"enhanced-code": "5.1.1"}), "bounced", True),
        (failed("permanent", "suppress-bounce", code=605, message=""), "bounced", True),
        (failed("permanent", "bounce", code=552, **{"bounce-type": "soft"}), "bounced", False),
        (failed("permanent", "old", code=499), "bounced", False),
        (failed("permanent", "espblock", code=550), "bounced", False),
        (failed("permanent", "generic", code=554), "bounced", False),
        (failed("permanent", "generic", code=550, **{"enhanced-code": "5.1.10"}), "bounced", True),
        (failed("permanent", "suppress-complaint", code=607), "complained", False),
        (failed("permanent", "suppress-unsubscribe", code=606), "unsubscribed", False),
        ({"event": "rejected", "reject": {"reason": "Sandbox"}}, "bounced", False),
        ({"event": "complained"}, "complained", False),
        ({"event": "unsubscribed"}, "unsubscribed", False),
    ],
)
def test_what_an_event_means(event: dict[str, Any], kind: str, is_hard: bool) -> None:
    (report,) = Mailgun().reports(body(**event))
    assert (report.kind, report.is_hard) == (kind, is_hard)


def test_opens_and_clicks_carry_agent_and_address() -> None:
    seen = {"ip": "192.0.2.1", "client-info": {"user-agent": "Mozilla/5.0", "client-type": "browser"}}
    (report,) = Mailgun().reports(body(event="opened", **seen))
    assert (report.kind, report.user_agent, report.ip) == ("opened", "Mozilla/5.0", "192.0.2.1")
    (report,) = Mailgun().reports(body(event="clicked", url="https://shop.example/", **seen))
    assert (report.kind, report.url) == ("clicked", "https://shop.example/")


@pytest.mark.parametrize(
    "event",
    [failed("temporary", "generic", code=421), {"event": "accepted"}, {"event": "stored"}, {"timestamp": "never"}],
)
def test_what_is_no_news_is_left_out(event: dict[str, Any]) -> None:
    assert Mailgun().reports(body(**event)) == []


@pytest.mark.parametrize("sent", [b"[]", b"3", b"{}", b'{"event-data": 1}'])
def test_what_is_no_event_tells_nothing(sent: bytes) -> None:
    assert Mailgun().reports(sent) == []
