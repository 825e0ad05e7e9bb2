"""Mailgun's webhooks: one event each, signed with HMAC-SHA-256 over timestamp and token.

https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from keepers.channels.email.providers.base import KEY, bracketed, decoded, inner, instant, is_recent, refused, text
from keepers.channels.email.reply_reasons import judge_bounce
from keepers.model.errors import problem
from keepers.model.message import DeliveryReport, Fault, ReportKind

_KINDS: dict[str, ReportKind] = {
    "delivered": "delivered",
    "failed": "bounced",
    "rejected": "bounced",
    "complained": "complained",
    "unsubscribed": "unsubscribed",
    "opened": "opened",
    "clicked": "clicked",
}
_NOT_THE_ADDRESS = ("old", "espblock", "generic")
"""reasons of permanent failures that are not about the address"""
_FAULTS: dict[str, Fault] = {"espblock": "reputation", "old": "server"}
"""of reasons that say whose it is"""
_NOT_TRIED: dict[str, ReportKind] = {"suppress-complaint": "complained", "suppress-unsubscribe": "unsubscribed"}
"""failures that repeat an earlier complaint or unsubscription"""


class MailgunSettings(Struct, frozen=True, forbid_unknown_fields=True):
    signing_key: str = ""
    """The HTTP webhook signing key of the account."""
    window: float = 43_200.0
    """How old a webhook may be, in seconds: Mailgun repeats for eight hours what was not taken."""


class Mailgun:
    """Reads Mailgun's webhooks."""

    id = "mailgun"
    settings = MailgunSettings

    def verify(self, headers: Mapping[str, str], body: bytes, settings: MailgunSettings, now: datetime) -> None:
        if not settings.signing_key:
            raise refused("Mailgun", problem("its signing_key is not set"))
        signature = inner(decoded(body), "signature")
        stamp, token = text(signature, "timestamp"), text(signature, "token")
        wanted = hmac.new(settings.signing_key.encode(), (stamp + token).encode(), hashlib.sha256).hexdigest()
        if not token or not hmac.compare_digest(wanted.encode(), text(signature, "signature").encode()):
            raise refused("Mailgun", problem("its signature does not fit the signing_key"))
        if not is_recent(instant(stamp), now, timedelta(seconds=settings.window)):
            raise refused("Mailgun", problem("it is too old or from the future"))

    def call_id(self, body: bytes) -> str:
        # The signature covers the token alone, so a token with another body is refused.
        return text(inner(decoded(body), "signature"), "token")

    def valid_for(self, settings: MailgunSettings) -> timedelta:
        return timedelta(seconds=settings.window)

    def reports(self, body: bytes) -> list[DeliveryReport]:
        event = inner(decoded(body), "event-data")
        kind, at = _KINDS.get(text(event, "event")), instant(text(event, "timestamp"))
        if kind is None or at is None:
            return []
        if kind == "bounced" and text(event, "severity") == "temporary":
            return []  # Mailgun keeps trying and reports when it gives up.
        if kind == "bounced":
            kind = _NOT_TRIED.get(text(event, "reason"), kind)
        detail, code = _detail(event), _code(event)
        judged = judge_bounce(detail, code, is_hard=_is_hard(event), fault=_FAULTS.get(text(event, "reason")))
        is_hard, fault = judged if kind == "bounced" else (False, None)
        return [
            DeliveryReport(
                kind,
                "email",
                at,
                key=text(event, "user-variables", KEY),
                message_id=bracketed(text(event, "message", "headers", "message-id")),
                recipient=text(event, "recipient"),
                is_hard=is_hard,
                fault=fault,
                detail=detail,
                code=code,
                url=text(event, "url"),
                user_agent=text(event, "client-info", "user-agent"),
                ip=text(event, "ip"),
                source="mailgun",
            )
        ]

    def confirm(self, body: bytes) -> bool:
        return False


def _is_hard(event: Any) -> bool:
    """Permanent, and about the address: what ran out of attempts or met a block may work another day."""
    if text(event, "severity") != "permanent" or text(event, "delivery-status", "bounce-type") == "soft":
        return False
    return text(event, "reason") not in _NOT_THE_ADDRESS or _code(event).startswith("5.1.")


def _detail(event: Any) -> str:
    places = (("delivery-status", "message"), ("delivery-status", "description"), ("reject", "reason"), ("reason",))
    return next((found for place in places if (found := text(event, *place))), "")


def _code(event: Any) -> str:
    return text(event, "delivery-status", "enhanced-code") or text(event, "delivery-status", "code")
