"""What SES reports about a message: bounces, complaints, deliveries, opens, clicks, unsubscriptions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from keepers.channels.email.providers.base import KEY, bracketed, inner, instant, items, text
from keepers.channels.email.reply_reasons import judge_bounce
from keepers.model.message import DeliveryReport, Fault, ReportKind

_FAULTS: dict[str, Fault] = {
    "MailboxFull": "recipient",
    "ContentRejected": "content",
    "AttachmentRejected": "content",
    "MessageTooLarge": "content",
}
"""of the sub-types that say whose it is"""


def reports_of(event: Any) -> list[DeliveryReport]:
    """One report per recipient concerned. Both forms are read: feedback notifications (`notificationType`) and
    published events (`eventType`)."""
    if instant(text(event, "mail", "timestamp")) is None:
        return []
    match text(event, "eventType") or text(event, "notificationType"):
        case "Bounce":
            return list(_bounces(event))
        case "Complaint":
            return list(_complaints(event))
        case "Delivery":
            at = instant(text(event, "delivery", "timestamp"))
            detail = text(event, "delivery", "smtpResponse")
            return [_of(event, "delivered", at, who, detail=detail) for who in _texts(event, "delivery", "recipients")]
        case "Reject":
            at = instant(text(event, "mail", "timestamp"))
            detail = text(event, "reject", "reason")
            # SES itself refused it, for a virus.
            return [_of(event, "bounced", at, who, fault="content", detail=detail) for who in _recipients(event)]
        case "Open":
            return [_of(event, "opened", instant(text(event, "open", "timestamp")), who) for who in _recipients(event)]
        case "Click":
            at, url = instant(text(event, "click", "timestamp")), text(event, "click", "link")
            return [_of(event, "clicked", at, who, url=url) for who in _recipients(event)]
        case "Subscription":
            at = instant(text(event, "subscription", "timestamp"))
            return [_of(event, "unsubscribed", at, who) for who in _recipients(event)]
    return []


def _bounces(event: Any) -> Iterator[DeliveryReport]:
    """Permanent is hard but for contents and attachments refused; transient and undetermined are soft."""
    kind, sort = text(event, "bounce", "bounceType"), text(event, "bounce", "bounceSubType")
    named = _FAULTS.get(sort)
    takes_for_hard = kind == "Permanent" and named != "content"
    at = instant(text(event, "bounce", "timestamp"))
    for one in items(event, "bounce", "bouncedRecipients"):
        detail = text(one, "diagnosticCode") or f"{kind} {sort}"
        who, code = text(one, "emailAddress"), text(one, "status")
        is_hard, fault = judge_bounce(detail, code, is_hard=takes_for_hard, fault=named)
        yield _of(event, "bounced", at, who, is_hard=is_hard, fault=fault, detail=detail, code=code)


def _complaints(event: Any) -> Iterator[DeliveryReport]:
    kind = text(event, "complaint", "complaintFeedbackType")
    if kind == "not-spam":
        return
    at = instant(text(event, "complaint", "timestamp"))
    for one in items(event, "complaint", "complainedRecipients"):
        yield _of(event, "complained", at, text(one, "emailAddress"), detail=kind)


def _of(event: Any, kind: ReportKind, at: datetime | None, recipient: str, **more: Any) -> DeliveryReport:
    name = {"opened": "open", "clicked": "click"}.get(kind, "")
    tags = inner(event, "mail", "tags", KEY)
    when = at or instant(text(event, "mail", "timestamp"))
    assert when is not None
    return DeliveryReport(
        kind,
        "email",
        when,
        key=tags[0] if isinstance(tags, list) and tags and isinstance(tags[0], str) else "",
        message_id=_message_id(event),
        provider_id=text(event, "mail", "messageId"),
        recipient=_bare(recipient),
        user_agent=text(event, name, "userAgent"),
        ip=text(event, name, "ipAddress"),
        source="ses",
        **more,
    )


def _message_id(event: Any) -> str:
    """The Message-ID as it was written: SES sends the message with another one, its own."""
    written = (text(one, "value") for one in items(event, "mail", "headers") if _is_message_id(one))
    return bracketed(next(written, ""))


def _is_message_id(one: dict[str, Any]) -> bool:
    return text(one, "name").lower() == "message-id"


def _recipients(event: Any) -> list[str]:
    return _texts(event, "mail", "destination")


def _texts(event: Any, *path: str) -> list[str]:
    found = inner(event, *path)
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []


def _bare(recipient: str) -> str:
    """`Anna <anna@shop.example>` → the address in it."""
    return recipient.rpartition("<")[2].rstrip("> ") if recipient.rstrip().endswith(">") else recipient.strip()
