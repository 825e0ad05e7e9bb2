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
_AUTOMATIC = re.compile(r"auto[- ]?(?:replied|generated|notified)|vacation", re.I)
"""of Auto-Submitted (RFC 3834) and its forerunners"""
_DAEMON = re.compile(
    r"mailer[-_ ]?daemon|post[-_ ]?master|mail ?delivery|mail ?administrator|daemon|mdaemon|\bmail ?system", re.I
)
_FAILED = re.compile(
    r"undeliver|unzustellbar|non remis|non recapitat|nie dostarcz|не доставлен|無法投遞|退信"
    r"|not be delivered|delivery (?:status|failure|has failed|problem|report|error)|returned mail|return to sender"
    r"|(?:could|can)(?:not|n.t| not) (?:be )?deliver|unable to deliver|mail delivery failed|failure notice"
    r"|delivery notification|message not delivered|mail failure",
    re.I,
)
_REFUSED = re.compile(r"rejected|bounce|failed|failure|not reach|no such|\b[45]\.\d\.\d|(?:^|[\s:>])[45]\d\d[ -]", re.I)
"""what makes a mail from a mail system a bounce; another's would have such words about anything"""
_TRANSCRIPT = re.compile(r"^[45]\d\d (?:[45]\.\d{1,3}\.\d{1,3} )?<([^<>\s@]+@[^<>\s@]+)>\.\.\. [^\n]*", re.M)
"""sendmail's line about a recipient"""
_ALIAS_OF = re.compile(r"\(?(?:ultimately )?generated from\s+", re.I)
_RECIPIENT = re.compile(r"rcpt to:", re.I)
_FEWEST_LETTERS = 8


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
            fault=failure.verdict.fault,
            detail=f"{failure.verdict.reason}: {failure.diagnostic}"[:500],
            code=failure.verdict.code,
            source="dsn",
        )
        for failure in failures
    )


def failures_in(returned: Returned) -> tuple[Failure, ...]:
    """The recipients a bounce mail speaks of; empty for any other mail, whatever it says: absence notes, answers of
    ticket systems, people.

    A bounce has a delivery report, its fields in a text, or one of the forms of before there were such reports.
    """
    if returned.kind == "feedback-report":
        return ()
    human = _human(returned)
    found = [f for text in returned.statuses for f in _from_fields(text, human)]
    if not found:
        found = [f for text in returned.texts for f in _from_fields(text, human)]
    if not found:
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
        words = diagnostic if len(diagnostic) > _FEWEST_LETTERS else f"{diagnostic} {_about(address, human)}".strip()
        given_up = _action(action) == "failed"
        verdict = classify_reply(words, status.group() if status else "", is_given_up=given_up)
        if verdict.reason == "unknown" and len(groups) == 1:
            verdict = classify_reply(human, verdict.code, is_given_up=given_up)
        failures.append(Failure(address, _action(action), verdict, words[:400]))
    return failures


def _action(text: str) -> Action:
    if text.startswith(("delivered", "relayed", "expanded")):
        return "delivered"
    return "delayed" if text.startswith("delayed") else "failed"


def _address_of(value: str) -> str:
    return first_address(value.partition(";")[2] or value)


def _from_words(returned: Returned, human: str) -> list[Failure]:
    """Bounces without a status part: the header of Exim, sendmail's transcript, the formats of flufl.bounce, and what a
    mail system writes otherwise."""
    headers = " ".join(str(v) for v in returned.message.get_all("X-Failed-Recipients", []))
    found = [address for _, address in islice(addresses(headers), _MOST_RECIPIENTS)]
    action: Action = "failed"
    is_bounce = _is_bounce(returned, human)
    if not found and is_bounce and (lines := list(islice(_TRANSCRIPT.finditer(human), _MOST_RECIPIENTS))):
        return [Failure(line[1], action, classify_reply(line[0]), line[0][:400]) for line in lines]
    if not found and (is_bounce or not _is_automatic(returned)):
        temporary, permanent = _known_formats(returned, human)
        found = permanent or temporary
        action = "failed" if permanent or not temporary else "delayed"
    if not found and is_bounce:
        found = [_first_recipient(human)]
    failures = []
    several = list(dict.fromkeys(found))[:_MOST_RECIPIENTS]
    for address in several:
        words = _about(address, human)
        verdict = classify_reply(words)
        if verdict.reason == "unknown" and len(several) == 1:
            verdict = classify_reply(human, verdict.code)
        failures.append(Failure(address, action, verdict, " ".join(words.split())[:400]))
    return failures


def _first_recipient(human: str) -> str:
    """The address of the recipient in a text, the first when none is named so."""
    named = _RECIPIENT.search(human)
    return (first_address(human[named.end() : named.end() + _MOST_WORDS]) if named else "") or first_address(human)


def _known_formats(returned: Returned, human: str) -> tuple[list[str], list[str]]:
    """The recipients that flufl.bounce finds, (temporary, permanent): those that the server speaks of, not those of the
    copy of our message, nor those whose alias a recipient is."""
    try:
        temporary, permanent = all_failures(returned.beginning)
    except Exception:  # noqa: BLE001 - its detectors may raise anything on malformed mail
        return [], []
    text = human.lower()
    aliased = {first_address(text[m.end() : m.end() + _LONGEST_MARK]) for m in _ALIAS_OF.finditer(text)}
    found = [_texts_of(some) for some in (temporary, permanent)]
    named = [[one for one in some if one.lower() in text and one.lower() not in aliased] for some in found]
    # Some servers name the recipient in a header alone.
    first, second = named if any(named) else found
    return first, second


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


def _is_automatic(returned: Returned) -> bool:
    """An automatic answer (RFC 3834), which is no bounce."""
    message = returned.message
    marks = f"{message.get('Auto-Submitted', '')} {message.get('X-Autoreply', '')} {message.get('Precedence', '')}"
    return bool(_AUTOMATIC.search(marks) or message.get("X-Autorespond") or message.get("X-Auto-Response-Suppress"))


def _is_bounce(returned: Returned, human: str) -> bool:
    """Whether a mail has the form of a bounce: from a mail system, and about a failure; or from nobody, which answers
    of people's mail programs may be too, with a subject that only bounces have."""
    message = returned.message
    subject = str(message.get("Subject", ""))
    if _DAEMON.search(f"{message.get('From', '')} {message.get('Return-Path', '')}"):
        text = f"{subject} {human[:_MOST_WORDS]}"
        return bool(_FAILED.search(text) or _REFUSED.search(text))
    return str(message.get("Return-Path", "")).strip() == "<>" and bool(_FAILED.search(subject))
