"""SendGrid: the signature over timestamp and raw body, and each kind of event."""

from __future__ import annotations

import base64
import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from keepers.channels.email.providers.sendgrid import MACHINE, SIGNATURE, TIMESTAMP, SendGrid, SendGridSettings
from keepers.model.errors import UserError
from keepers.model.message import DeliveryReport

NOW = datetime(2026, 6, 1, 12)
STAMP = "1780315200"
KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
SETTINGS = SendGridSettings(public_key=base64.b64encode(PUBLIC).decode())
EVENT: dict[str, Any] = {
    "email": "anna@example.com",
    "timestamp": 1780315199,
    "smtp-id": "<abc@shop.example>",
    "sg_event_id": "sg_event_id",
    "sg_message_id": "14c5d75ce93.dfd.64b469.filter0001.16648.5515E0B88.0",
    "keepers-key": "run-1:hello:1",
}
BODY = json.dumps([EVENT | {"event": "delivered", "response": "250 OK"}]).encode()


def headers(body: bytes = BODY, stamp: str = STAMP, key: Any = KEY) -> dict[str, str]:
    signature = key.sign(stamp.encode() + body, ec.ECDSA(SHA256()))
    return {SIGNATURE.lower(): base64.b64encode(signature).decode(), TIMESTAMP: stamp}


def test_what_sendgrid_signed_is_accepted() -> None:
    SendGrid().verify(headers(), BODY, SETTINGS, NOW)
    pem = "-----BEGIN PUBLIC KEY-----\n" + SETTINGS.public_key + "\n-----END PUBLIC KEY-----\n"
    SendGrid().verify(headers(), BODY, SendGridSettings(public_key=pem), NOW)


@pytest.mark.parametrize(
    ("sent", "body", "settings", "why"),
    [
        (headers(), BODY + b" ", SETTINGS, "signature"),
        (headers() | {TIMESTAMP: "1780315201"}, BODY, SETTINGS, "signature"),
        (headers(key=ec.generate_private_key(ec.SECP256R1())), BODY, SETTINGS, "signature"),
        (headers() | {SIGNATURE.lower(): "no base64!"}, BODY, SETTINGS, "signature"),
        ({}, BODY, SETTINGS, "signature"),
        (headers(), BODY, SendGridSettings(), "public_key is not set"),
        (headers(), BODY, SendGridSettings(public_key="aGVsbG8="), "elliptic"),
        (headers(stamp="1780000000"), BODY, SETTINGS, "too old"),
        (headers(stamp="1790000000"), BODY, SETTINGS, "future"),
        (headers(stamp="nan"), BODY, SETTINGS, "too old"),
    ],
)
def test_anything_else_is_refused(sent: dict[str, str], body: bytes, settings: SendGridSettings, why: str) -> None:
    with pytest.raises(UserError, match=why) as refusal:
        SendGrid().verify(sent, body, settings, NOW)
    assert refusal.value.code == "signature"


def reports_of(**event: Any) -> list[DeliveryReport]:
    return SendGrid().reports(json.dumps([EVENT | event]).encode())


def test_a_report_names_message_and_recipient() -> None:
    assert SendGrid().reports(BODY) == [
        DeliveryReport(
            "delivered",
            "email",
            NOW - timedelta(seconds=1),
            key="run-1:hello:1",
            message_id="<abc@shop.example>",
            provider_id="14c5d75ce93.dfd.64b469",
            recipient="anna@example.com",
            detail="250 OK",
            source="sendgrid",
        )
    ]


@pytest.mark.parametrize(
    ("event", "kind", "is_hard"),
    [
        ({"event": "bounce", "type": "bounce", "status": "5.1.1", "reason": "550 no such user"}, "bounced", True),
        ({"event": "bounce", "type": "blocked", "status": "5.7.1", "reason": "550 blocked"}, "bounced", False),
        ({"event": "dropped", "reason": "Bounced Address"}, "bounced", True),
        ({"event": "dropped", "reason": "Invalid"}, "bounced", True),
        ({"event": "dropped", "reason": "Spam Reporting Address"}, "complained", False),
        ({"event": "dropped", "reason": "Unsubscribed Address"}, "unsubscribed", False),
        ({"event": "dropped", "reason": "Spam Content (if spam checker app enabled)"}, "bounced", False),
        ({"event": "spamreport"}, "complained", False),
        ({"event": "unsubscribe"}, "unsubscribed", False),
        ({"event": "group_unsubscribe", "asm_group_id": 10}, "unsubscribed", False),
        ({"event": "open", "useragent": "Mozilla/5.0"}, "opened", False),
        ({"event": "click", "url": "https://shop.example/"}, "clicked", False),
    ],
)
def test_what_an_event_means(event: dict[str, Any], kind: str, is_hard: bool) -> None:
    (report,) = reports_of(**event)
    assert (report.kind, report.is_hard) == (kind, is_hard)
    assert (report.url, report.user_agent) == (event.get("url", ""), event.get("useragent", ""))


def test_an_open_that_sendgrid_takes_for_a_machines_says_so() -> None:
    (report,) = reports_of(event="open", sg_machine_open=True)
    assert report.is_machine
    assert report.detail == MACHINE
    (report,) = reports_of(event="open", sg_machine_open=False)
    assert not report.is_machine
    assert report.detail == ""


def test_no_news_and_broken_items_are_left_out_and_the_rest_is_kept() -> None:
    body = [
        {"event": "processed"},
        7,
        None,
        {"event": "bounce"},
        EVENT | {"event": "deferred"},
        EVENT | {"event": "open"},
    ]
    assert [r.kind for r in SendGrid().reports(json.dumps(body).encode())] == ["opened"]
    with pytest.raises(UserError) as refusal:
        SendGrid().reports(b"event=open")
    assert refusal.value.code == "json"
