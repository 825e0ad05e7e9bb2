"""Attacks on providers' webhooks: calls sent again, also after a restart, and calls with another content."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import func, select

from keepers.app.public import provider_webhooks
from keepers.app.public.provider_webhooks import ProviderCall, take_reports
from keepers.app.use_cases.actor import COLLECT, Actor
from keepers.app.workspace.workspace import Workspace
from keepers.channels.email.providers.mailgun import Mailgun
from keepers.channels.email.providers.postmark import Postmark
from keepers.channels.email.providers.sendgrid import SIGNATURE, TIMESTAMP, SendGrid
from keepers.channels.email.providers.ses import Ses
from keepers.model.errors import UserError
from keepers.store.messages import delivery_reports
from keepers.store.schema.messages import provider_calls
from unit.channels.providers.test_ses import MAIL, NOW, TOPIC, envelope, pem, signed
from workspaces import lay_out

SIGNING = ec.generate_private_key(ec.SECP256R1())
PUBLIC = base64.b64encode(SIGNING.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
SETTINGS = f"""
[providers.ses]
topics = ["{TOPIC}"]
[providers.sendgrid]
public_key = "{PUBLIC}"
[providers.postmark]
token = "of these tests"
[providers.mailgun]
signing_key = "key-of-these-tests"
"""
STAMP = "1780315190"
"""ten seconds before NOW"""


class Sent(NamedTuple):
    headers: dict[str, str]
    body: bytes


def from_ses(number: int = 1) -> Sent:
    delivery = {"timestamp": "2026-06-01T11:59:00Z", "recipients": [f"c{number}@example.com"]}
    message = {"eventType": "Delivery", "mail": MAIL, "delivery": delivery}
    return Sent({}, signed(envelope(message, MessageId=f"m{number}")))


def from_sendgrid(number: int = 1) -> Sent:
    event = {"event": "delivered", "email": f"c{number}@example.com", "timestamp": int(STAMP), "sg_event_id": number}
    body = json.dumps([event]).encode()
    signature = base64.b64encode(SIGNING.sign(STAMP.encode() + body, ec.ECDSA(SHA256()))).decode()
    return Sent({SIGNATURE.lower(): signature, TIMESTAMP.lower(): STAMP}, body)


def from_postmark(number: int = 1) -> Sent:
    event = {"RecordType": "Delivery", "MessageID": str(number), "DeliveredAt": "2026-06-01T11:59:00Z"}
    return Sent({"x-keepers-token": "of these tests"}, json.dumps(event).encode())


def from_mailgun(number: int = 1, token: str = "") -> Sent:
    token = token or f"token{number}"
    wanted = hmac.new(b"key-of-these-tests", (STAMP + token).encode(), hashlib.sha256).hexdigest()
    event = {"event": "delivered", "timestamp": float(STAMP), "recipient": f"c{number}@example.com"}
    body = {"signature": {"timestamp": STAMP, "token": token, "signature": wanted}, "event-data": event}
    return Sent({}, json.dumps(body).encode())


SENDERS: dict[str, Any] = {
    "ses": from_ses, "sendgrid": from_sendgrid, "postmark": from_postmark, "mailgun": from_mailgun,
}  # fmt: skip


@pytest.fixture(params=["sqlite", "postgres"])
def folder(
    request: pytest.FixtureRequest, tmp_path: Path, migrated_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    address = request.getfixturevalue("postgres").migrated() if request.param == "postgres" else None
    made = lay_out(tmp_path / "shop", migrated_folder, address=address)
    with (made / "keepers.toml").open("a", encoding="utf-8") as settings:
        settings.write(SETTINGS)
    providers = {"ses": Ses(lambda _: pem()), "sendgrid": SendGrid(), "postmark": Postmark(), "mailgun": Mailgun()}
    monkeypatch.setattr(provider_webhooks, "PROVIDERS", providers)
    yield made
    if address is not None:
        request.getfixturevalue("postgres").drop(address)


def post(folder: Path, provider: str, sent: Sent, at: datetime = NOW) -> int:
    """By a process of its own, as after a restart; how many reports wait then."""
    workspace = Workspace.open(folder)
    workspace.clock = lambda: at
    try:
        call = ProviderCall(provider=provider, headers=sent.headers, body=sent.body)
        take_reports(workspace, Actor("system", provider, COLLECT, is_proven=True), call)
        with workspace.store.read() as connection:
            return delivery_reports.depth(connection)
    finally:
        workspace.close()


@pytest.mark.parametrize("provider", SENDERS)
def test_a_call_that_is_sent_again_changes_nothing_also_after_a_restart(folder: Path, provider: str) -> None:
    send = SENDERS[provider]
    first = send()
    assert post(folder, provider, first) == 1
    assert post(folder, provider, first) == 1
    assert post(folder, provider, first, NOW + timedelta(hours=6)) == 1
    assert post(folder, provider, send(2)) == 2


@pytest.mark.parametrize("provider", ["ses", "sendgrid", "mailgun"])
def test_what_is_forgotten_is_too_old_to_be_accepted(folder: Path, provider: str) -> None:
    first = SENDERS[provider]()
    post(folder, provider, first)
    kept = 0
    for hours in range(1, 40):
        at = NOW + timedelta(hours=hours)
        try:
            assert post(folder, provider, first, at) == 1
            kept = hours
        except UserError as error:
            assert "too old" in error.message  # noqa: PT017
    assert 11 <= kept <= 24
    assert post(folder, "postmark", from_postmark(), NOW + timedelta(hours=50)) == 2
    workspace = Workspace.open(folder)
    with workspace.store.read() as connection:
        assert connection.execute(select(func.count()).select_from(provider_calls)).scalar_one() == 1
    workspace.close()


def test_a_signature_of_one_call_is_not_good_for_another(folder: Path) -> None:
    """Mailgun signs a token alone."""
    assert post(folder, "mailgun", from_mailgun(1, "token")) == 1
    with pytest.raises(UserError, match="another content") as refusal:
        post(folder, "mailgun", from_mailgun(2, "token"))
    assert refusal.value.code == "signature"
    assert post(folder, "mailgun", from_mailgun(1, "token")) == 1


@pytest.mark.parametrize("provider", SENDERS)
def test_a_call_that_could_not_be_stored_is_taken_when_it_comes_again(
    folder: Path, provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    sent = SENDERS[provider]()
    with monkeypatch.context() as failing:
        failing.setattr(delivery_reports, "append", fail)
        with pytest.raises(OSError, match="disk full"):
            post(folder, provider, sent)
    assert post(folder, provider, sent) == 1
