"""SES through SNS: Amazon's signature on an expected topic, and each kind of event."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from keepers.channels.email.providers.ses import Ses, SesSettings, fetch_from_amazon
from keepers.model.errors import UserError
from keepers.model.message import DeliveryReport

NOW = datetime(2026, 6, 1, 12)
TOPIC = "arn:aws:sns:eu-west-1:123456789012:ses-feedback"
CERTIFICATE = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0f1e2d3c.pem"
SETTINGS = SesSettings(topics=[TOPIC])
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(until: datetime = NOW + timedelta(days=30)) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(KEY.public_key())
    made = made.serial_number(1).not_valid_before(NOW - timedelta(days=400)).not_valid_after(until)
    return made.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def signed(envelope: dict[str, str], key: Any = KEY) -> bytes:
    """The envelope with Amazon's signature, after the order of fields in the SNS documentation."""
    names = ["Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    to_sign = "".join(f"{name}\n{envelope[name]}\n" for name in names if name in envelope)
    kind = hashes.SHA1() if envelope["SignatureVersion"] == "1" else hashes.SHA256()
    signature = key.sign(to_sign.encode(), padding.PKCS1v15(), kind)
    return json.dumps(envelope | {"Signature": base64.b64encode(signature).decode()}).encode()


def envelope(message: Any = "{}", **changed: str) -> dict[str, str]:
    return {
        "Type": "Notification",
        "MessageId": "da41e39f-ea4d-435a-b922-c6aae3915ebe",
        "TopicArn": TOPIC,
        "Subject": "Amazon SES Email Event Notification",
        "Message": message if isinstance(message, str) else json.dumps(message),
        "Timestamp": "2026-06-01T11:59:58.123Z",
        "SignatureVersion": "2",
        "SigningCertURL": CERTIFICATE,
        "UnsubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe",
    } | changed


def ses(fetched: list[str] | None = None, content: Callable[[], bytes] = pem) -> Ses:
    def fetch(url: str) -> bytes:
        if fetched is not None:
            fetched.append(url)
        return content()

    return Ses(fetch)


@pytest.mark.parametrize("version", ["1", "2"])
def test_what_amazon_signed_is_accepted_and_the_certificate_fetched_once(version: str) -> None:
    fetched: list[str] = []
    provider = ses(fetched)
    body = signed(envelope(SignatureVersion=version))
    provider.verify({}, body, SETTINGS, NOW)
    provider.verify({}, body, SETTINGS, NOW)
    assert fetched == [CERTIFICATE]


def test_without_a_subject_it_is_signed_without_one() -> None:
    plain = envelope()
    del plain["Subject"]
    ses().verify({}, signed(plain), SETTINGS, NOW)


@pytest.mark.parametrize(
    ("body", "settings", "why"),
    [
        (signed(envelope()).replace(b"{}", b"[]"), SETTINGS, "signature"),
        (signed(envelope(), OTHER_KEY), SETTINGS, "signature"),
        (json.dumps(envelope()).encode(), SETTINGS, "signature"),
        (signed(envelope()), SesSettings(), "topics"),
        (signed(envelope(TopicArn=TOPIC + "-of-somebody")), SETTINGS, "topics"),
        (signed(envelope(Timestamp="2026-05-30T11:00:00Z")), SETTINGS, "too old"),
        (signed(envelope(Timestamp="2026-06-01T13:00:00Z")), SETTINGS, "future"),
        (signed(envelope(Type="Other")), SETTINGS, "raw message"),
        (b'{"eventType": "Bounce"}', SETTINGS, "topics"),
    ],
)
def test_anything_else_is_refused(body: bytes, settings: SesSettings, why: str) -> None:
    with pytest.raises(UserError, match=why) as refusal:
        ses().verify({}, body, settings, NOW)
    assert refusal.value.code == "signature"


@pytest.mark.parametrize(
    "url",
    [
        "http://sns.eu-west-1.amazonaws.com/x.pem",
        "https://sns.eu-west-1.amazonaws.com.evil.example/x.pem",
        "https://evil.example/sns.eu-west-1.amazonaws.com/x.pem",
        "https://evil.example#sns.eu-west-1.amazonaws.com/x.pem",
        "https://sns.eu-west-1.amazonaws.com@evil.example/x.pem",
        "https://user@sns.eu-west-1.amazonaws.com/x.pem",
        "https://sns.eu-west-1.amazonaws.com:8443/x.pem",
        "https://s3.eu-west-1.amazonaws.com/bucket/x.pem",
        "https://sns.eu-west-1.amazonaws.com/?Action=Publish&x=.pem",
        "https://sns.eu-west-1.amazonaws.com/x.pem?y=.pem",
        "https://sns.eu-west-1.amazonaws.com/x",
        "https://169.254.169.254/x.pem",
        "https://sns.s3-us-west-2.amazonaws.com/SimpleNotificationService-0f1e2d3c.pem",
        "https://sns.s3.amazonaws.com/SimpleNotificationService-0f1e2d3c.pem",
        "https://sns.s3-eu-west-1.amazonaws.com/SimpleNotificationService-0f1e2d3c.pem",
        "https://sns.elb.amazonaws.com/SimpleNotificationService-0f1e2d3c.pem",
        "https://sns.eu-west-1.elb.amazonaws.com/SimpleNotificationService-0f1e2d3c.pem",
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0f1e2d3c.pem",
        "https://sns.eu-west-1.amazonaws.com.cn/SimpleNotificationService-0f1e2d3c.pem",
        "https://sns.cn-north-1.amazonaws.com/SimpleNotificationService-0f1e2d3c.pem",
        "https://SNS.eu-west-1.amazonaws.com/SimpleNotificationService-0f1e2d3c.pem",
        "https://sns.eu-west-1.amazonaws.com/x/SimpleNotificationService-0f1e2d3c.pem",
        "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0f1e2d3c.pem\n",
        "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0f1e2d3c.pem?",
        "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0f1e2d3c.pem#",
        "https://sns.eu-west-1.amazonaws.com\\@evil.example/SimpleNotificationService-0f1e2d3c.pem",
        "",
    ],
)
def test_a_certificate_kept_elsewhere_is_not_even_fetched(url: str) -> None:
    fetched: list[str] = []
    with pytest.raises(UserError, match="Amazon"):
        ses(fetched).verify({}, signed(envelope(SigningCertURL=url)), SETTINGS, NOW)
    assert fetched == []


def test_an_expired_or_unreadable_certificate_is_refused() -> None:
    with pytest.raises(UserError, match="not valid now"):
        ses(content=lambda: pem(until=NOW - timedelta(days=1))).verify({}, signed(envelope()), SETTINGS, NOW)
    with pytest.raises(UserError, match="cannot be read"):
        ses(content=lambda: b"<html>").verify({}, signed(envelope()), SETTINGS, NOW)


def test_certificates_are_kept_for_a_day_and_few_are_fetched() -> None:
    fetched: list[str] = []
    provider = ses(fetched, lambda: pem(until=NOW + timedelta(days=300)))
    for hours in (0, 23, 25):
        at = NOW + timedelta(hours=hours)
        provider.verify({}, signed(envelope(Timestamp=at.isoformat() + "Z")), SETTINGS, at)
    assert len(fetched) == 2
    later = NOW + timedelta(days=2)

    def named(number: int) -> bytes:
        url = CERTIFICATE.replace("0f1e2d3c", f"{number:08x}")
        return signed(envelope(Timestamp=later.isoformat() + "Z", SigningCertURL=url), OTHER_KEY)

    for number in range(40):
        with pytest.raises(UserError, match="signature does not fit" if number < 10 else "too many"):
            provider.verify({}, named(number), SETTINGS, later)
    assert len(fetched) == 2 + 10


def test_a_subscription_is_confirmed_by_fetching_amazons_url() -> None:
    url = f"https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=y"
    asked = envelope("You have chosen to subscribe", Type="SubscriptionConfirmation", Token="y", SubscribeURL=url)
    del asked["Subject"]
    body = signed(asked)
    fetched: list[str] = []
    provider = ses(fetched)
    provider.verify({}, body, SETTINGS, NOW)
    assert provider.confirm(body)
    assert provider.reports(body) == []
    for other in (
        "https://evil.example/",
        url.replace("eu-west-1.amazonaws", "s3-eu-west-1.amazonaws"),
        url.replace("Confirm", "Delete"),
        url.replace(TOPIC, TOPIC + "x"),
        url.replace("/?", "/bucket?"),
    ):
        assert not provider.confirm(signed(asked | {"SubscribeURL": other}))
    assert not provider.confirm(signed(envelope()))
    assert fetched == [CERTIFICATE, url]


MAIL = {
    "timestamp": "2026-06-01T11:00:00.000Z",
    "source": "Shop <hello@shop.example>",
    "messageId": "0102018f-7c19-example-000000",
    "destination": ["anna@example.com"],
    "headersTruncated": False,
    "headers": [
        {"name": "From", "value": "Shop <hello@shop.example>"},
        {"name": "Message-ID", "value": "<abc@shop.example>"},
    ],
    "commonHeaders": {"messageId": "0102018f-7c19-example-000000", "subject": "Hello"},
    "tags": {"keepers-key": ["run-1:hello:1"], "ses:configuration-set": ["keepers"]},
}


def told(**event: Any) -> list[DeliveryReport]:
    return ses().reports(signed(envelope({"mail": MAIL} | event)))


def bounce(kind: str, sort: str, **recipient: str) -> dict[str, Any]:
    one = {"emailAddress": "anna@example.com", "action": "failed"} | recipient
    when = "2026-06-01T11:00:05.669Z"
    return {"bounceType": kind, "bounceSubType": sort, "bouncedRecipients": [one], "timestamp": when}


def test_a_bounce_names_message_recipient_and_reason() -> None:
    (report,) = told(
        eventType="Bounce",
        bounce=bounce("Permanent", "General", status="5.1.1", diagnosticCode="smtp; 550 5.1.1 user unknown"),
    )
    assert report == DeliveryReport(
        "bounced",
        "email",
        datetime(2026, 6, 1, 11, 0, 5, 669000),
        key="run-1:hello:1",
        message_id="<abc@shop.example>",
        provider_id="0102018f-7c19-example-000000",
        recipient="anna@example.com",
        is_hard=True,
        fault="recipient",
        detail="smtp; 550 5.1.1 user unknown",
        code="5.1.1",
        source="ses",
    )


@pytest.mark.parametrize(
    ("kind", "sort", "is_hard"),
    [
        ("Permanent", "General", True), ("Permanent", "NoEmail", True), ("Permanent", "Suppressed", True),
        ("Permanent", "OnAccountSuppressionList", True), ("Permanent", "ContentRejected", False),
        ("Transient", "General", False), ("Transient", "MailboxFull", False), ("Transient", "MessageTooLarge", False),
        ("Undetermined", "Undetermined", False),
    ],
)  # fmt: skip
def test_hard_is_what_will_not_work_another_day(kind: str, sort: str, is_hard: bool) -> None:
    (report,) = told(notificationType="Bounce", bounce=bounce(kind, sort))
    assert (report.kind, report.is_hard) == ("bounced", is_hard)


def test_complaints_but_not_the_opposite() -> None:
    complaint = {
        "complainedRecipients": [{"emailAddress": "Anna <anna@example.com>"}, {"emailAddress": "bob@example.com"}],
        "timestamp": "2026-06-01T11:00:05Z",
        "complaintFeedbackType": "abuse",
    }
    reports = told(eventType="Complaint", complaint=complaint)
    assert [(r.kind, r.recipient) for r in reports] == [
        ("complained", "anna@example.com"),
        ("complained", "bob@example.com"),
    ]
    assert told(eventType="Complaint", complaint=complaint | {"complaintFeedbackType": "not-spam"}) == []


def test_deliveries_opens_clicks_and_unsubscriptions() -> None:
    at = "2026-06-01T11:00:05Z"
    (report,) = told(
        eventType="Delivery",
        delivery={"timestamp": at, "recipients": ["anna@example.com"], "smtpResponse": "250 2.0.0 OK"},
    )
    assert (report.kind, report.detail) == ("delivered", "250 2.0.0 OK")
    (report,) = told(eventType="Open", open={"timestamp": at, "ipAddress": "192.0.2.1", "userAgent": "Mozilla/5.0"})
    assert (report.kind, report.user_agent, report.ip) == ("opened", "Mozilla/5.0", "192.0.2.1")
    (report,) = told(eventType="Click", click={"timestamp": at, "link": "https://shop.example/", "userAgent": "x"})
    assert (report.kind, report.url) == ("clicked", "https://shop.example/")
    (report,) = told(eventType="Subscription", subscription={"timestamp": at, "contactList": "x"})
    assert report.kind == "unsubscribed"
    (report,) = told(eventType="Reject", reject={"reason": "Bad content"})
    assert (report.kind, report.is_hard, report.detail) == ("bounced", False, "Bad content")


@pytest.mark.parametrize("kind", ["Send", "DeliveryDelay", "Rendering Failure", "Whatever"])
def test_what_is_no_news_is_left_out(kind: str) -> None:
    assert told(eventType=kind) == []


@pytest.mark.parametrize("message", ["Successfully validated SNS topic", "[]", "3", '{"eventType": "Bounce"}'])
def test_what_is_no_event_tells_nothing(message: str) -> None:
    assert ses().reports(signed(envelope(message))) == []


def test_nothing_is_fetched_from_anywhere_else() -> None:
    with pytest.raises(UserError, match="not Amazon"):
        fetch_from_amazon("https://127.0.0.1/x.pem")


def test_the_certificate_is_valid_in_this_test_only_around_now() -> None:
    assert x509.load_pem_x509_certificate(pem()).not_valid_after_utc > NOW.replace(tzinfo=UTC)
