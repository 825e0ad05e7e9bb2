"""Postmark: its login or header, and each kind of record."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import Any

import pytest

from keepers.channels.email.providers.postmark import Postmark, PostmarkSettings
from keepers.model.errors import UserError
from keepers.model.message import DeliveryReport

NOW = datetime(2026, 6, 1, 12)
LOGIN = PostmarkSettings(user="shop", password="sesam:öffne")
TOKEN = PostmarkSettings(token="a-long-token")


def basic(login: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(login.encode()).decode()}


def test_the_login_or_the_header_opens_the_door() -> None:
    Postmark().verify(basic("shop:sesam:öffne"), b"{}", LOGIN, NOW)
    Postmark().verify({"x-keepers-token": "a-long-token"}, b"{}", TOKEN, NOW)


@pytest.mark.parametrize(
    ("headers", "settings"),
    [
        ({}, LOGIN),
        (basic("shop:wrong"), LOGIN),
        (basic(":"), PostmarkSettings()),
        ({}, PostmarkSettings()),
        ({"authorization": "Basic !!"}, LOGIN),
        ({"authorization": "Bearer x"}, LOGIN),
        ({"x-keepers-token": "another"}, TOKEN),
        ({"x-keepers-token": ""}, LOGIN),
        (basic(":"), TOKEN),
    ],
)
def test_nothing_else_does(headers: dict[str, str], settings: PostmarkSettings) -> None:
    with pytest.raises(UserError) as refusal:
        Postmark().verify(headers, b"{}", settings, NOW)
    assert refusal.value.code == "signature"
    assert "sesam" not in refusal.value.message


COMMON = {
    "MessageID": "883953f4-6105-42a2-a16a-77a8eac79483",
    "MessageStream": "outbound",
    "Metadata": {"keepers-key": "run-1:hello:1"},
    "Tag": "welcome",
}


def reports_of(**record: Any) -> list[DeliveryReport]:
    return Postmark().reports(json.dumps(COMMON | record).encode())


def bounce(kind: str) -> list[DeliveryReport]:
    return reports_of(
        RecordType="Bounce",
        Type=kind,
        Email="anna@example.com",
        BouncedAt="2026-06-01T13:28:10.2735393+02:00",
        Details="smtp;550 5.1.1 unknown user",
    )


def test_a_bounce_names_message_recipient_and_reason() -> None:
    assert bounce("HardBounce") == [
        DeliveryReport(
            "bounced",
            "email",
            datetime(2026, 6, 1, 11, 28, 10, 273539),
            key="run-1:hello:1",
            provider_id="883953f4-6105-42a2-a16a-77a8eac79483",
            recipient="anna@example.com",
            is_hard=True,
            fault="recipient",
            detail="smtp;550 5.1.1 unknown user",
            code="HardBounce",
            source="postmark",
        )
    ]


@pytest.mark.parametrize(
    ("kind", "kind_of_report", "is_hard"),
    [
        ("HardBounce", "bounced", True), ("BadEmailAddress", "bounced", True),
        ("SoftBounce", "bounced", False), ("Transient", "bounced", False), ("DnsError", "bounced", False),
        ("Blocked", "bounced", False), ("DMARCPolicy", "bounced", False), ("Unknown", "bounced", False),
        ("SpamNotification", "complained", False), ("SpamComplaint", "complained", False),
        ("Unsubscribe", "unsubscribed", False),
    ],
)  # fmt: skip
def test_what_a_bounce_means(kind: str, kind_of_report: str, is_hard: bool) -> None:
    (report,) = bounce(kind)
    assert (report.kind, report.is_hard) == (kind_of_report, is_hard)


@pytest.mark.parametrize("kind", ["AutoResponder", "AddressChange", "ChallengeVerification", "Subscribe"])
def test_an_answer_of_a_living_mailbox_is_no_bounce(kind: str) -> None:
    assert bounce(kind) == []


def test_deliveries_opens_clicks_and_complaints() -> None:
    at = "2026-06-01T11:00:00Z"
    (report,) = reports_of(RecordType="Delivery", Recipient="anna@example.com", DeliveredAt=at, Details="250 OK")
    assert (report.kind, report.recipient, report.detail) == ("delivered", "anna@example.com", "250 OK")
    (report,) = reports_of(
        RecordType="Open", ReceivedAt=at, UserAgent="Mozilla/5.0", Geo={"IP": "192.0.2.1"}, FirstOpen=True
    )
    assert (report.kind, report.user_agent, report.ip) == ("opened", "Mozilla/5.0", "192.0.2.1")
    (report,) = reports_of(RecordType="Click", ReceivedAt=at, OriginalLink="https://shop.example/", UserAgent="x")
    assert (report.kind, report.url) == ("clicked", "https://shop.example/")
    (report,) = reports_of(RecordType="SpamComplaint", Email="anna@example.com", BouncedAt=at)
    assert report.kind == "complained"


def test_a_subscription_ended_by_the_customer_is_told_and_other_changes_are_not() -> None:
    change = {"RecordType": "SubscriptionChange", "Recipient": "anna@example.com", "ChangedAt": "2026-06-01T11:00:00Z"}
    (report,) = reports_of(**change, SuppressSending=True, SuppressionReason="ManualSuppression", Origin="Recipient")
    assert report.kind == "unsubscribed"
    assert reports_of(**change, SuppressSending=True, SuppressionReason="HardBounce", Origin="Recipient") == []
    assert reports_of(**change, SuppressSending=True, SuppressionReason="ManualSuppression", Origin="Customer") == []
    assert reports_of(**change, SuppressSending=False, SuppressionReason=None) == []


@pytest.mark.parametrize("body", [b"[]", b"3", b'{"RecordType": "Bounce"}', b'{"RecordType": "Inbound"}', b"{}"])
def test_what_is_no_record_tells_nothing(body: bytes) -> None:
    assert Postmark().reports(body) == []
