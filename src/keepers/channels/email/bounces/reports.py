"""What a mail that came back reports."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from keepers.channels.email.bounces.complaints import complaint_reports, unsubscribe_reports
from keepers.channels.email.bounces.returned_mail import read_returned
from keepers.channels.email.bounces.status_notifications import bounce_reports
from keepers.channels.email.verp import Verp
from keepers.model.message import DeliveryReport


def reports_in(data: bytes, verp: Verp, at: datetime, recipients: Sequence[str] = ()) -> tuple[DeliveryReport, ...]:
    """What a mail that came in at `at` (naive UTC) reports: a complaint, an unsubscription or a bounce; empty for other
    mail.

    `recipients` are those of the envelope, when known. A server calls this in a process of its own
    (`reading_process`), since whoever writes the mail decides what reading it costs.
    """
    returned = read_returned(data)
    return (
        complaint_reports(returned, verp, at, recipients)
        or unsubscribe_reports(returned, verp, at, recipients)
        or bounce_reports(returned, verp, at, recipients)
    )
