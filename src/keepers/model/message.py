"""What is handed to a channel, what a channel says of it at once, and what is reported of it later."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal

from msgspec import Struct, field

MessageStatus = Literal[
    "queued", "held", "claimed", "handed_over", "sent", "delivered", "bounced", "failed", "skipped", "uncertain"
]
"""The life of a message. `held` waits for quiet hours, `failed` is a dead letter, `uncertain` a marketing message
whose worker died between hand-over and outcome: it is not sent again."""
UNFINISHED: tuple[MessageStatus, ...] = ("queued", "held", "claimed")
"""not yet with the outside world: may still be skipped"""
HANDED_OVER: tuple[MessageStatus, ...] = ("handed_over", "sent", "delivered", "bounced", "uncertain")
"""with the outside world, or perhaps so"""
UNSETTLED: tuple[MessageStatus, ...] = (*UNFINISHED, "handed_over")
"""may still be sent by a worker, or are being sent"""


class Content(Struct, frozen=True):
    """A rendered message. What a channel has no use for stays empty."""

    subject: str = ""
    html: str = ""
    text: str = ""
    """the plain-text part of an e-mail; the whole of an SMS, chat or in-app message"""
    title: str = ""
    url: str = ""
    """where a push or in-app message leads"""
    locale: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    """what else a channel takes: a webhook's method, url, headers, body; a push's icon"""
    left_out: tuple[str, ...] = ()
    """hosts (`evil.example`) and schemes (`tel:`) that its data named and that are not allowed: they are no links"""


class Outgoing(Struct, frozen=True):
    """One message for one recipient, ready to be sent."""

    id: int
    key: str
    """unique for ever: run, step, visit, channel and recipient; the same at every attempt"""
    channel: str
    recipient: str
    profile_id: int
    content: Content
    message_id: str = ""
    """RFC 5322 Message-ID with its angle brackets, the same at every attempt"""
    topic: str = ""
    is_transactional: bool = False
    campaign: str = ""
    """journey or broadcast, for Feedback-ID and UTM tags"""
    sender: str = ""
    """the message's own From; empty for the channel's"""
    reply_to: str = ""
    unsubscribe_url: str = ""
    """RFC 8058 one-click address; empty for transactional mail"""


Fault = Literal["recipient", "content", "reputation", "server", "policy"]
"""whose fault a refusal is: the mailbox's (only this counts against an address), the message's, the sender's standing,
the other server's, or a rule's there"""
OURS: frozenset[Fault] = frozenset({"content", "reputation"})
"""faults of who sends: they alarm, and slow the stream"""


class Outcome(Struct, frozen=True):
    """What became of one attempt. `deferred` is tried again, not before `retry_after` when that is given.

    `detail` is a text of the other side, or says in any language what is wrong, such as a Problem; `str` is English.
    """

    status: Literal["sent", "deferred", "bounced", "failed"]
    detail: object = ""
    code: str = ""
    """the other side's code: SMTP reply or enhanced status, HTTP status"""
    provider_id: str = ""
    """how the provider knows the message"""
    retry_after: timedelta | None = None
    answer: Any = None
    """a webhook's reply, usable later in the run"""
    is_hard: bool = False
    """of `bounced`: the address does not work and is suppressed"""
    fault: Fault | None = None
    """of `failed`, where it is known; `bounced` is always the recipient's"""


ReportKind = Literal["delivered", "bounced", "complained", "opened", "clicked", "unsubscribed", "replied"]


class DeliveryReport(Struct, frozen=True):
    """A report about a sent message, from a bounce mail, a provider's webhook or a tracking link.

    Found by `key`, else by `message_id`, else by `provider_id`, else by the recipient's newest message.
    """

    kind: ReportKind
    channel: str
    at: datetime
    key: str = ""
    message_id: str = ""
    provider_id: str = ""
    recipient: str = ""
    is_hard: bool = False
    """of a bounce: the address does not work and is suppressed"""
    fault: Fault | None = None
    """of a bounce; None: the recipient's"""
    detail: str = ""
    code: str = ""
    url: str = ""
    """of a click"""
    user_agent: str = ""
    ip: str = ""
    is_machine: bool = False
    """of an open or a click: the provider itself takes it for a machine's"""
    source: str = ""
    """who reports: `ses`, `dsn`, `link` …"""


SendStatus = Literal["scheduled", "queueing", "testing", "releasing", "sending", "finished", "stopping", "stopped"]
"""of a broadcast"""


Settlement = Literal["retry", "sent", "not_sent"]
"""what becomes of an uncertain message: sent again, taken as sent, or given up"""


SENT: tuple[MessageStatus, ...] = ("sent", "delivered", "bounced")
"""went out, whatever came of it; `uncertain` ones are counted apart"""


class Tally(Struct, frozen=True):
    """How many messages of a sending have a status and reason. `variant` is empty outside of a test."""

    variant: str
    status: str
    reason: str
    number: int
