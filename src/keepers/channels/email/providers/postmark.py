"""Postmark's webhooks: one event each, recognised by the login or header they were set up with.

https://postmarkapp.com/developer/webhooks/webhooks-overview
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from keepers.channels.email.providers.base import KEY, body_id, decoded, header, inner, instant, refused, text
from keepers.channels.email.reply_reasons import judge_bounce
from keepers.model.errors import problem
from keepers.model.message import DeliveryReport, Fault, ReportKind

REMEMBERED = timedelta(days=7)
"""how long a call is remembered. Postmark signs and dates nothing: whoever can repeat a call knows the login."""
TOKEN_HEADER = "X-Keepers-Token"
_HARD = ("HardBounce", "BadEmailAddress")
_FAULTS: dict[str, Fault] = {
    "Blocked": "reputation",
    "DMARCPolicy": "reputation",
    "VirusNotification": "content",
    "DnsError": "server",
    "Transient": "server",
    "SMTPApiError": "server",
}
"""of types that say whose it is; of the others the server's words do"""
_COMPLAINTS = ("SpamComplaint", "SpamNotification")
_NO_BOUNCES = ("AutoResponder", "AddressChange", "ChallengeVerification", "OpenRelayTest", "Subscribe", "Unsubscribe")
"""replies recorded as bounces although the message arrived"""
_TIMES = ("DeliveredAt", "BouncedAt", "ReceivedAt", "ChangedAt")


class PostmarkSettings(Struct, frozen=True, forbid_unknown_fields=True):
    user: str = ""
    """User name of the webhook's HTTP login, as entered at Postmark."""
    password: str = ""
    """Its password."""
    token: str = ""
    """In place of a login: the value of a custom header X-Keepers-Token, as entered at Postmark."""


class Postmark:
    """Reads Postmark's webhooks."""

    id = "postmark"
    settings = PostmarkSettings

    def verify(self, headers: Mapping[str, str], body: bytes, settings: PostmarkSettings, now: datetime) -> None:
        if not settings.token and not settings.password:
            raise refused("Postmark", problem("neither password nor token is set"))
        token = header(headers, TOKEN_HEADER)
        if settings.token and hmac.compare_digest(token.encode(), settings.token.encode()):
            return
        login = f"{settings.user}:{settings.password}".encode()
        if settings.password and hmac.compare_digest(_login(header(headers, "Authorization")), login):
            return
        raise refused(
            "Postmark",
            problem("its login, or its header {header}, is not the one in the settings", header=TOKEN_HEADER),
        )

    def call_id(self, body: bytes) -> str:
        return body_id(body)

    def valid_for(self, settings: PostmarkSettings) -> timedelta:
        return REMEMBERED

    def reports(self, body: bytes) -> list[DeliveryReport]:
        event = decoded(body)
        found = _kind(event)
        at = next((moment for name in _TIMES if (moment := instant(text(event, name)))), None)
        if found is None or at is None:
            return []
        kind, is_hard = found
        detail, sort = text(event, "Details") or text(event, "Description"), text(event, "Type")
        judged = judge_bounce(detail, "", is_hard=is_hard, fault=_FAULTS.get(sort))
        is_hard, fault = judged if kind == "bounced" else (False, None)
        return [
            DeliveryReport(
                kind,
                "email",
                at,
                key=text(event, "Metadata", KEY),
                provider_id=text(event, "MessageID"),
                recipient=text(event, "Email") or text(event, "Recipient"),
                is_hard=is_hard,
                fault=fault,
                detail=detail,
                code=sort,
                url=text(event, "OriginalLink"),
                user_agent=text(event, "UserAgent"),
                ip=text(event, "Geo", "IP"),
                source="postmark",
            )
        ]

    def confirm(self, body: bytes) -> bool:
        return False


def _login(value: str) -> bytes:
    scheme, _, encoded = value.partition(" ")
    try:
        return base64.b64decode(encoded.strip(), validate=True) if scheme.lower() == "basic" else b""
    except (binascii.Error, ValueError):
        return b""


def _kind(event: Any) -> tuple[ReportKind, bool] | None:
    """The kind of a record and whether it is a hard bounce; None for what is not reported."""
    record, kind = text(event, "RecordType"), text(event, "Type")
    match record:
        case "Delivery":
            return "delivered", False
        case "Open":
            return "opened", False
        case "Click":
            return "clicked", False
        case "SpamComplaint":
            return "complained", False
        case "Bounce" if kind in _COMPLAINTS:
            return "complained", False
        case "Bounce" if kind == "Unsubscribe":
            return "unsubscribed", False
        case "Bounce" if kind not in _NO_BOUNCES:
            return "bounced", kind in _HARD
        case "SubscriptionChange" if inner(event, "SuppressSending") is True:
            # Bounces and complaints have records of their own.
            by_hand = text(event, "SuppressionReason") == "ManualSuppression"
            return ("unsubscribed", False) if by_hand and text(event, "Origin") == "Recipient" else None
    return None
