"""Complaints: abuse reports in the format of RFC 5965 (ARF), and mails that ask to be unsubscribed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from keepers.channels.email.bounces.returned_mail import Returned
from keepers.channels.email.bounces.scanning import first_address
from keepers.channels.email.verp import Verp
from keepers.model.message import DeliveryReport, ReportKind

_KINDS: dict[str, ReportKind] = {
    "abuse": "complained",
    "fraud": "complained",
    "virus": "complained",
    "other": "complained",
    "miscategorized": "complained",
    "opt-out": "unsubscribed",
    "opt-out-list": "unsubscribed",
}
"""`not-spam` and `auth-failure` are no complaints"""
_FIELD = re.compile(r"^([A-Za-z-]+):[ \t]*(.*)$", re.M)
_SUBJECT = re.compile(r"\bunsubscribe\b", re.I)


def complaint_reports(
    returned: Returned, verp: Verp, at: datetime, recipients: Sequence[str] = ()
) -> tuple[DeliveryReport, ...]:
    """Reports of an abuse report that came in at `at`; empty for any other mail.

    Anybody may send one, so a report needs our signed token or a Message-ID, and names the recipient only with the
    token: a forged Message-ID matches no message and suppresses no address.
    """
    status = next((text for text in returned.statuses if "feedback-type" in text.lower()), "")
    if not status:
        return ()
    fields = {name.lower(): value.strip() for name, value in reversed(_FIELD.findall(status))}
    kind = _KINDS.get(fields.get("feedback-type", "").lower())
    key = returned.key(verp, recipients) or verp.find([fields.get("original-mail-from", "")]) or ""
    message_id = returned.message_id()
    if kind is None or not (key or message_id):
        return ()
    agent = fields.get("user-agent", "")
    return (
        DeliveryReport(
            kind=kind,
            channel="email",
            at=at,
            key=key,
            message_id=message_id,
            recipient=_recipient(fields, returned) if key else "",
            detail=f"{fields['feedback-type']} {fields.get('source-ip', '')}".strip(),
            user_agent=agent[:200],
            source="arf",
        ),
    )


def unsubscribe_reports(
    returned: Returned, verp: Verp, at: datetime, recipients: Sequence[str] = ()
) -> tuple[DeliveryReport, ...]:
    """Reports of a mail written to the address in List-Unsubscribe (RFC 2369): its subject says `unsubscribe`, and it
    is known by our token in the address it came to. Empty for any other mail."""
    message = returned.message
    if not _SUBJECT.search(str(message.get("Subject", ""))) or returned.statuses:
        return ()
    key = verp.find([*recipients, *(str(to) for to in message.get_all("To", []))])
    if not key:
        return ()
    recipient = first_address(str(message.get("From", "")))
    return (DeliveryReport("unsubscribed", "email", at, key=key, recipient=recipient, source="mail", detail="By mail"),)


def _recipient(fields: dict[str, str], returned: Returned) -> str:
    """Original-Rcpt-To, else the To of the message complained about."""
    text = fields.get("original-rcpt-to", "")
    if not text and returned.original is not None:
        text = str(returned.original.get("To", ""))
    return first_address(text)
