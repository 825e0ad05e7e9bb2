"""SendGrid's event webhook: a list of events, signed with ECDSA (P-256, SHA-256) over timestamp and body.

https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from msgspec import Struct

from keepers.channels.email.providers.base import (
    KEY,
    body_id,
    bracketed,
    decoded,
    header,
    inner,
    instant,
    is_recent,
    refused,
    text,
)
from keepers.channels.email.reply_reasons import judge_bounce
from keepers.model.errors import problem
from keepers.model.message import DeliveryReport, Fault, ReportKind

SIGNATURE = "X-Twilio-Email-Event-Webhook-Signature"
TIMESTAMP = "X-Twilio-Email-Event-Webhook-Timestamp"
_KINDS: dict[str, ReportKind] = {
    "delivered": "delivered",
    "bounce": "bounced",
    "dropped": "bounced",
    "spamreport": "complained",
    "unsubscribe": "unsubscribed",
    "group_unsubscribe": "unsubscribed",
    "open": "opened",
    "click": "clicked",
}
_DROPPED: dict[str, tuple[ReportKind, bool]] = {
    "bounced address": ("bounced", True),
    "invalid": ("bounced", True),
    "spam reporting address": ("complained", False),
    "unsubscribed address": ("unsubscribed", False),
}
"""messages that SendGrid did not try to send: kind and whether hard, by the reason in lower case"""


_FAULTS: dict[str, Fault] = {
    "content": "content",
    "reputation": "reputation",
    "frequency or volume too high": "server",
    "technical": "server",
    "mailbox unavailable": "recipient",
    "invalid address": "recipient",
}
"""by `bounce_classification`, in lower case"""


class SendGridSettings(Struct, frozen=True, forbid_unknown_fields=True):
    public_key: str = ""
    """The verification key shown with “Signed Event Webhook”, base64."""
    window: float = 86_400.0
    """How old a webhook may be, in seconds: SendGrid repeats for a day what was not taken."""


class SendGrid:
    """Reads SendGrid's event webhook."""

    id = "sendgrid"
    settings = SendGridSettings

    def verify(self, headers: Mapping[str, str], body: bytes, settings: SendGridSettings, now: datetime) -> None:
        if not settings.public_key:
            raise refused("SendGrid", problem("its public_key is not set"))
        stamp = header(headers, TIMESTAMP)
        try:
            signature = base64.b64decode(header(headers, SIGNATURE), validate=True)
            _key(settings.public_key).verify(signature, stamp.encode() + body, ECDSA(SHA256()))
        except (InvalidSignature, binascii.Error, ValueError):
            raise refused("SendGrid", problem("its signature does not fit the public_key")) from None
        if not is_recent(instant(stamp), now, timedelta(seconds=settings.window)):
            raise refused("SendGrid", problem("it is too old or from the future"))

    def call_id(self, body: bytes) -> str:
        return body_id(body)

    def valid_for(self, settings: SendGridSettings) -> timedelta:
        return timedelta(seconds=settings.window)

    def reports(self, body: bytes) -> list[DeliveryReport]:
        events = decoded(body)
        found = (_report(event) for event in (events if isinstance(events, list) else [events]))
        return [report for report in found if report]

    def confirm(self, body: bytes) -> bool:
        return False


@lru_cache(maxsize=4)
def _key(encoded: str) -> EllipticCurvePublicKey:
    bare = re.sub(r"-----[^-]+-----|\s", "", encoded)
    try:
        key = load_der_public_key(base64.b64decode(bare, validate=True))
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, EllipticCurvePublicKey):
        raise refused("SendGrid", problem("its public_key is not an elliptic-curve key in base64"))
    return key


def _report(event: Any) -> DeliveryReport | None:
    name = text(event, "event")
    kind, at = _KINDS.get(name), instant(text(event, "timestamp"))
    if kind is None or at is None:
        return None
    reason = text(event, "reason")
    # A bounce of type “blocked” is about the message or its sender; the address may work tomorrow.
    is_hard = name == "bounce" and text(event, "type") != "blocked"
    if name == "dropped":
        kind, is_hard = _DROPPED.get(reason.lower(), ("bounced", False))
    code = text(event, "status")
    named = _FAULTS.get(text(event, "bounce_classification").lower())
    judged = judge_bounce(reason, code, is_hard=is_hard, fault=named)
    is_hard, fault = judged if kind == "bounced" else (False, None)
    is_machine = inner(event, "sg_machine_open") is True
    return DeliveryReport(
        kind,
        "email",
        at,
        key=text(event, KEY),
        message_id=bracketed(text(event, "smtp-id")),
        provider_id=re.split(r"\.(?:filter|recvd)", text(event, "sg_message_id"), maxsplit=1)[0],
        recipient=text(event, "email"),
        is_hard=is_hard,
        fault=fault,
        detail=MACHINE if is_machine else reason or text(event, "response"),
        code=code,
        url=text(event, "url"),
        user_agent=text(event, "useragent"),
        ip=text(event, "ip"),
        is_machine=is_machine,
        source="sendgrid",
    )


MACHINE = "machine open"
"""the detail of an open that SendGrid attributes to a privacy proxy"""
