"""Bounces: delivery status notifications (RFC 3464) and what older servers write, read into reports."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import islice
from typing import Literal, NamedTuple

from flufl.bounce import all_failures

from keepers.channels.email.bounces.returned_mail import LONGEST, Returned
from keepers.channels.email.bounces.scanning import addresses, first_address
from keepers.channels.email.reply_reasons import BounceVerdict, classify_reply
from keepers.channels.email.verp import Verp
from keepers.model.message import DeliveryReport

Action = Literal["failed", "delayed", "delivered"]
# flufl.bounce logs errors of its detectors; without a handler they would go to the terminal.
logging.getLogger("flufl.bounce").addHandler(logging.NullHandler())
_FIELD = re.compile(r"^[ \t>]*([A-Za-z][A-Za-z-]+):[ \t]*(.*(?:\n[ \t]+\S.*)*)", re.M)
_RECIPIENT_FIELDS = ("final-recipient", "original-recipient")
_COPY = re.compile(
    r"original message|message headers? follow|unsent message|this is a copy of|returned message"
    r"|(?:copy of )?(?:the|your) (?:original )?(?:message|mail)\b.{0,40}(?:follow|below|returned)"
    r"|below this line is a copy|header of the original"
    r"|the headers? (?:of|from)"
    r"|included is a copy|received: ?from|return-path:",
    re.I,
)
_RULED = re.compile(r"returned|original|undelivered|forwarded", re.I)
"""begins the copy after a rule of dashes"""
_LONGEST_MARK = 200
_MOST_RECIPIENTS = 20
"""of one mail are reported: a message of ours has one"""
_MOST_WORDS = 4000
_ABSENT = re.compile(r"auto-?replied|vacation|out of (?:the )?office|autorespon|auto(?:matic)? ?reply|abwesen", re.I)
_DAEMON = re.compile(r"mailer-daemon|postmaster|mail delivery|mailerdaemon|daemon|no-?reply|bounce", re.I)
_FAILED = re.compile(
    r"undeliver|not be delivered|delivery (?:status|failure|has failed|problem|report)|returned mail|failed|failure"
    r"|(?:could|can)(?:not|n.t| not) (?:be )?deliver|unable to deliver|not reach|rejected|bounce|[45]\.\d\.\d|[45]\d\d",
    re.I,
)


class Failure(NamedTuple):
    """What a bounce states about one recipient."""

    recipient: str
    """the original address where it is given, else the final one; empty when neither is"""
    action: Action
    verdict: BounceVerdict
    diagnostic: str


def bounce_reports(
    returned: Returned, verp: Verp, at: datetime, recipients: Sequence[str] = ()
) -> tuple[DeliveryReport, ...]:
    """Reports of a bounce mail that came in at `at` for `recipients` (of the envelope, when known).

    A delay is no report: the server still tries. Anybody may write to a bounce address, so a report names the recipient
    only with our signed token; with a Message-ID alone it is about that message, if there is one. Without both it is
    ignored, unless there is no secret to sign with: then it is a soft bounce.
    """
    failures = [f for f in failures_in(returned) if f.action != "delayed"]
    key = returned.key(verp, recipients)
    message_id = returned.message_id()
    if not key and not message_id and verp.can_sign:
        return ()
    if key:
        # One message has one recipient: other addresses are where it was forwarded to.
        failures = failures[:1]
    return tuple(
        DeliveryReport(
            kind="delivered" if failure.action == "delivered" else "bounced",
            channel="email",
            at=at,
            key=key,
            message_id=message_id,
            recipient=failure.recipient if key or not message_id else "",
            is_hard=failure.action == "failed" and failure.verdict.is_hard and bool(key or message_id),
            detail=f"{failure.verdict.reason}: {failure.diagnostic}"[:500],
            code=failure.verdict.code,
            source="dsn",
        )
        for failure in failures
    )


def failures_in(returned: Returned) -> tuple[Failure, ...]:
    """The recipients a bounce mail speaks of; empty for any other mail, absence notes included."""
    if returned.kind == "feedback-report":
        return ()
    human = _human(returned)
    found = [f for text in returned.statuses for f in _from_fields(text, human)]
    if not found:
        found = [f for text in returned.texts for f in _from_fields(text, human)]
    if not found and (_is_bounce(returned, human) or not _is_absence(returned)):
        found = _from_words(returned, human)
    by_recipient = {f.recipient.lower(): f for f in reversed(found)}
    return tuple(reversed(by_recipient.values()))


def _from_fields(text: str, human: str) -> list[Failure]:
    """The per-recipient groups of RFC 3464 section 2.3, also where they stand in a plain text."""
    groups: list[dict[str, str]] = []
    for found in _FIELD.finditer(text):
        name, value = found.groups()
        lowered = name.lower()
        if lowered in _RECIPIENT_FIELDS and (not groups or any(k in groups[-1] for k in (lowered, "action"))):
            groups.append({})
        if groups or lowered in ("action", "status", "diagnostic-code"):
            if not groups:
                groups.append({})
            groups[-1].setdefault(lowered, " ".join(value.split()))
    failures = []
    for group in groups[:_MOST_RECIPIENTS]:
        address = _address_of(group.get("original-recipient", "")) or _address_of(group.get("final-recipient", ""))
        if not address:
            continue
        action = group.get("action", "failed").lower()
        diagnostic = group.get("diagnostic-code", "").partition(";")[2].strip() or group.get("diagnostic-code", "")
        status = re.match(r"[245]\.\d{1,3}\.\d{1,3}", group.get("status", ""))
        words = diagnostic if len(diagnostic) > 8 else f"{diagnostic} {_about(address, human)}".strip()
        verdict = classify_reply(words, status.group() if status else "")
        failures.append(Failure(address, _action(action), verdict, words[:400]))
    return failures


def _action(text: str) -> Action:
    if text.startswith(("delivered", "relayed", "expanded")):
        return "delivered"
    return "delayed" if text.startswith("delayed") else "failed"


def _address_of(value: str) -> str:
    return first_address(value.partition(";")[2] or value)


def _from_words(returned: Returned, human: str) -> list[Failure]:
    """Bounces without a status part: the header of Exim, the formats of flufl.bounce, then the text itself."""
    headers = " ".join(str(v) for v in returned.message.get_all("X-Failed-Recipients", []))
    found = [address for _, address in islice(addresses(headers), _MOST_RECIPIENTS)]
    action: Action = "failed"
    if not found:
        temporary, permanent = _known_formats(returned)
        found = permanent or temporary
        action = "failed" if permanent or not temporary else "delayed"
    if not found and _is_bounce(returned, human):
        found = [first_address(human)]
    failures = []
    for address in list(dict.fromkeys(found))[:_MOST_RECIPIENTS]:
        words = _about(address, human)
        failures.append(Failure(address, action, classify_reply(words), " ".join(words.split())[:400]))
    return failures


def _known_formats(returned: Returned) -> tuple[list[str], list[str]]:
    try:
        temporary, permanent = all_failures(returned.beginning)
    except Exception:  # noqa: BLE001 - its detectors may raise anything on malformed mail
        return [], []
    return _texts_of(temporary), _texts_of(permanent)


def _texts_of(addresses: Iterable[object]) -> list[str]:
    texts = (a.decode("utf-8", "replace") if isinstance(a, bytes) else str(a) for a in addresses)
    return sorted(t.strip("<> \t\r\n") for t in texts if "@" in t)


def _human(returned: Returned) -> str:
    """The server's text, without the copy of our message."""
    text = "\n".join(returned.texts)[:LONGEST]
    place = text.find("\n", 39) + 1
    while place > 0:
        if _begins_copy(text[place : place + _LONGEST_MARK].partition("\n")[0]):
            return text[:place]
        place = text.find("\n", place) + 1
    return text


def _begins_copy(line: str) -> bool:
    """Whether a line announces the copy of our message, as “--- Original message follows ---”."""
    words = line.lstrip(" \t>=*-")
    before = line[: len(line) - len(words)]
    if before.removesuffix(" ").endswith("---") and _RULED.match(words):
        return True
    return _COPY.match(words) is not None


def _about(address: str, human: str) -> str:
    """The text about one recipient: from its first mention to that of another, or all text when it is not named; its
    first 4,000 characters."""
    at = human.find(address) if address else -1
    if at < 0:
        lowered = human.lower()
        at = lowered.find(address.lower()) if address and len(lowered) == len(human) else -1
    if at < 0:
        return human[:_MOST_WORDS]
    start = human.rfind("\n", 0, at) + 1
    for begin, other in addresses(human[: start + _MOST_WORDS], at + len(address)):
        is_start = human[human.rfind("\n", 0, begin) + 1 : begin].strip(" \t<*-") == ""
        if other.lower() != address.lower() and is_start:
            return human[start : min(begin, start + _MOST_WORDS)]
    return human[start : start + _MOST_WORDS]


def _is_absence(returned: Returned) -> bool:
    """An automatic reply (RFC 3834), which is no bounce."""
    message = returned.message
    marks = f"{message.get('Auto-Submitted', '')} {message.get('X-Autoreply', '')} {message.get('Subject', '')}"
    return bool(_ABSENT.search(marks) or message.get("X-Autorespond"))


def _is_bounce(returned: Returned, human: str) -> bool:
    message = returned.message
    sender = f"{message.get('From', '')} {message.get('Return-Path', '')}"
    is_machine = bool(_DAEMON.search(sender)) or str(message.get("Return-Path", "")).strip() == "<>"
    return is_machine and bool(_FAILED.search(f"{message.get('Subject', '')} {human[:_MOST_WORDS]}"))
