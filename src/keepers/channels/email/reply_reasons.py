"""Why a mail was returned: status codes (RFC 3463) and the texts mail servers really use, read into one reason."""

from __future__ import annotations

import re
from typing import NamedTuple

from keepers.channels.email.reply_codes import CLASSES, FAULTS, HARD, STATUS, Reason, reasons_by_provider
from keepers.channels.email.reply_words import VAGUE, WORDS
from keepers.model.message import OURS, Fault

_LONGEST = 4000
"""characters of a text that are read"""
_ENHANCED = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.]*\d)")
_REPLY = re.compile(r"(?<![\d.])([245][0-5]\d)(?=[ \-:#]|$)")


class BounceVerdict(NamedTuple):
    """`code` is the enhanced status if there is one, else the SMTP reply."""

    reason: Reason
    code: str = ""

    @property
    def is_hard(self) -> bool:
        return self.reason in HARD

    @property
    def is_of_mailbox(self) -> bool:
        """Whether a reason is given, and it is one about the recipient's mailbox."""
        return self.reason != "unknown" and self.fault == "recipient"

    @property
    def fault(self) -> Fault:
        """Whose fault it is."""
        return FAULTS[self.reason]


def classify_reply(text: str, status: str = "", reply: int = 0, *, is_given_up: bool = False) -> BounceVerdict:
    """The reason in a server's text, with the enhanced `status` (`5.1.1`) and SMTP `reply` where they are known.

    The text takes precedence over numbers, since servers use 5.7.1 and 5.0.0 for everything, except where a number is
    exact. Of a long text the first 4,000 characters are read. A temporary refusal is never hard, but for that of an
    unknown user which was repeated until the sending server gave up.
    """
    text = " ".join(text[:_LONGEST].split())
    found = _ENHANCED.search(text)
    found_code = ".".join(found.groups()) if found else ""
    # The remote server's own code is more exact than a relay's summary of it (5.0.0).
    code = found_code if found_code and (not status or status.endswith(".0.0")) else status or found_code
    if not reply:
        first = _REPLY.search(text)
        reply = int(first.group(1)) if first else 0
    shown = code or (str(reply) if reply else "")
    is_temporary = code.startswith("4") or (not code and 400 <= reply < 500)
    reason = next(reasons_by_provider(text), None) or _of_words(text, code)
    if reason is None:
        reason = _of_status(code) if code else "unknown"
    return BounceVerdict(_tempered(reason, is_given_up) if is_temporary else reason, shown)


def judge_bounce(detail: str, code: str, *, is_hard: bool, fault: Fault | None = None) -> tuple[bool, Fault]:
    """Whether a bounce that a provider reports is hard, and whose fault it is.

    `is_hard` and `fault` are what its own classes say; `fault` is None where they say nothing. A bounce that it takes
    for hard is not when the server's own words, `detail`, blame the message or the sender.
    """
    verdict = classify_reply(detail, code if _ENHANCED.fullmatch(code) else "")
    if is_hard:
        return (False, verdict.fault) if verdict.fault in OURS else (True, "recipient")
    return False, fault or verdict.fault


def _of_words(text: str, code: str) -> Reason | None:
    lowered = text.lower()
    words = WORDS if code.partition(".")[2] in STATUS else (*WORDS, *VAGUE)
    return next((reason for reason, pattern in words if pattern.search(lowered)), None)


def _tempered(reason: Reason, is_given_up: bool) -> Reason:
    """What the reason of a temporary refusal is worth."""
    if reason not in HARD or (is_given_up and reason == "unknown_user"):
        return reason
    return "network" if reason == "unknown_host" else "system"


def _of_status(code: str) -> Reason:
    detail = code.partition(".")[2]
    return STATUS.get(detail) or CLASSES.get(detail.partition(".")[0], "unknown")
