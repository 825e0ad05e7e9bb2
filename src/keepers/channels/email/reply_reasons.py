"""Why a mail was returned: status codes (RFC 3463) and the texts mail servers really use, read into one reason."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

Reason = Literal[
    "unknown_user", "unknown_host", "moved", "no_mail", "full", "inactive", "filtered",
    "blocked", "authentication", "spam", "content", "too_big", "rate", "relay", "network", "system", "expired",
    "unknown",
]  # fmt: skip
HARD: frozenset[Reason] = frozenset({"unknown_user", "unknown_host", "moved", "no_mail"})
"""the address does not exist: it is suppressed"""
RECIPIENT: frozenset[Reason] = HARD | {"full", "inactive", "filtered"}
"""caused by the mailbox, not by the sender"""

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
    def is_recipient(self) -> bool:
        return self.reason in RECIPIENT


def classify_reply(text: str, status: str = "", reply: int = 0) -> BounceVerdict:
    """The reason in a server's text, with the enhanced `status` (`5.1.1`) and SMTP `reply` where they are known.

    The text takes precedence over numbers, since servers use 5.7.1 and 5.0.0 for everything, except where a number is
    exact. Of a long text the first 4,000 characters are read.
    """
    text = text[:_LONGEST]
    found = _ENHANCED.search(text)
    found_code = ".".join(found.groups()) if found else ""
    # The remote server's own code is more exact than a relay's summary of it (5.0.0).
    code = found_code if found_code and (not status or status.endswith(".0.0")) else status or found_code
    if not reply:
        first = _REPLY.search(text)
        reply = int(first.group(1)) if first else 0
    shown = code or (str(reply) if reply else "")
    is_temporary = code.startswith("4") or (not code and 400 <= reply < 500)
    lowered = " ".join(text.lower().split())
    for reason, pattern in _WORDS:
        if reason in ("filtered", "system") and code.partition(".")[2] in _STATUS:
            break
        if pattern.search(lowered):
            return BounceVerdict(_tempered(reason, is_temporary), shown)
    if code:
        return BounceVerdict(_tempered(_of_status(code), is_temporary), shown)
    return BounceVerdict("unknown", shown)


def _tempered(reason: Reason, is_temporary: bool) -> Reason:
    """A temporary failure is never hard."""
    if not is_temporary or reason not in HARD:
        return reason
    return "network" if reason == "unknown_host" else "unknown"


def _of_status(code: str) -> Reason:
    _, _, detail = code.partition(".")
    exact = _STATUS.get(detail)
    if exact:
        return exact
    if detail.startswith("7."):
        return "blocked"
    if detail.startswith("4."):
        return "network"
    return "system" if detail.startswith(("3.", "5.")) else "unknown"


_STATUS: dict[str, Reason] = {
    "1.0": "unknown_user",
    "1.1": "unknown_user",
    "1.2": "unknown_host",
    "1.3": "unknown_user",
    "1.6": "moved",
    "1.10": "no_mail",
    "2.0": "filtered",
    "2.1": "inactive",
    "2.2": "full",
    "2.3": "too_big",
    "3.4": "too_big",
    "4.4": "unknown_host",
    "4.7": "expired",
    "7.20": "authentication",
    "7.21": "authentication",
    "7.22": "authentication",
    "7.23": "authentication",
    "7.24": "authentication",
    "7.25": "authentication",
    "7.26": "authentication",
    "7.27": "no_mail",
}


def _words(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns))


# In this order: reasons about the sender or the moment come before those that suppress the address, because a wrong
# suppression loses a customer, while a wrong address bounces again.
_WORDS: tuple[tuple[Reason, re.Pattern[str]], ...] = (
    (
        "full",
        _words(
            r"(?:mail|in) ?box (?:is |was |has |for )?(?:full|over|exceeded|size limit)",
            r"(?:over|exceed\w*|beyond|out of) (?:\S+ ){0,5}(?:disk )?quota",
            r"over ?quota",
            r"quota (?:is |has been )?(?:exceed|full|limit|violation|over)",
            r"(?:insufficient|not enough|no|out of) (?:\S+ )?(?:storage|disk space|space left)",
            r"exceed\w* (?:\S+ ){0,3}(?:storage|mailbox|disk)",
            r"(?:storage|mailbox) (?:size )?(?:limit|quota|allocation)",
            r"mailfolder is full|mail file has reached|user is out of space|too much mail data",
        ),
    ),
    (
        "too_big",
        _words(
            r"message (?:size |length )(?:\S+ ){0,2}(?:exceed|too)",
            r"(?:message|mail|email) (?:is )?too (?:big|large|long)",
            r"exceeds (?:\S+ ){0,3}(?:maximum|fixed|administrative|size)",
            r"maximum (?:message|allowed) size",
        ),
    ),
    (
        "authentication",
        _words(
            r"\bspf\b",
            r"\bdkim\b",
            r"\bdmarc\b",
            r"(?:ptr|reverse dns|rdns|reverse (?:hostname|lookup|mapping|address))",
            r"unauthenticated|authentication[- ]required|sender address verif|sender verify failed",
            r"cannot find your (?:reverse )?hostname|can't find valid mx for sender",
            r"domain of sender address .{0,80}(?:not exist|not resolve)",
            r"(?:sender|from)\S* .{0,40}(?:domain (?:is invalid|not found|does not exist)|not a valid domain)",
            r"unresolvable (?:sender|address)|purported responsible|after mail from:",
        ),
    ),
    (
        "spam",
        _words(
            r"\bspam(?!haus|cop)|\bjunk|\buce\b|bulk mail|unsolicited|content (?:filter|reject|restriction)",
            r"mail rejete",
            r"\bvirus|malware|phish|trojan|infected",
        ),
    ),
    (
        "blocked",
        _words(
            r"block(?:ed|list| list)|blacklist|black list|\brbl\b|dnsbl|spamhaus|reputation|banned",
            r"client host .{0,60}(?:rejected|refused)|access (?:denied|from ip)|no access from mail server",
            r"ip (?:address )?.{0,40}(?:refused|rejected|not allowed|dynamic)|dynamic ip|open relay",
            r"(?:use|using) (?:the )?(?:smtp|mail) (?:server|relay) of your isp",
            r"sender (?:address )?(?:rejected|denied|blocked)|from (?:address|domain) .{0,30}(?:rejected|denied)",
            r"not permitted|prohibited|polic(?:y|ies)|security|restricted|not authori[sz]ed|unauthori[sz]ed",
            r"(?:poor|bad) reputation|administrative prohibition|only accepts? mail from|not accept\w* (?:mail )?from",
        ),
    ),
    (
        "rate",
        _words(
            r"too many (?:\S+ ){0,3}(?:connection|session|message|recipient|concurrent|mails|error|invalid|hop)",
            r"(?:rate|connection|message) (?:limit|frequency)|throttl|greylist|graylist|grey-list|try again later",
            r"exceeded (?:\S+ ){0,4}(?:per (?:minute|hour|day)|rate)|resources? temporarily|slow down",
        ),
    ),
    (
        "inactive",
        _words(
            r"(?:account|mailbox|user|recipient|address)\S* (?:\S+ ){0,5}(?:disabled|suspended|inactive|deactivated)",
            r"(?:disabled|suspended|inactive|deactivated) (?:user|account|mailbox|recipient)",
            r"(?:account|mailbox) (?:\S+ ){0,3}(?:locked|expired|frozen|on hold)|temporarily (?:disabled|suspended)",
        ),
    ),
    (
        "relay",
        _words(r"relay(?:ing)? (?:\S+ )?(?:denied|prohibited|not|access)|unable to relay|not .{0,30}\brelay"),
    ),
    (
        "no_mail",
        _words(
            r"(?:does|do|did|will|is|are)(?: not|n't) (?:\S+ )?accept(?:ing)? (?:any |network |e?)?(?:mail|messages)",
            r"not accepting network messages|null ?mx|no mail exchanger|nullmx",
            r"no mx (?:record|host)|name service error .{0,80}type=mx|mx .{0,40}points? to",
        ),
    ),
    (
        "unknown_host",
        _words(
            r"(?:host|domain|server)(?: name)?(?: \S+)? (?:is )?(?:not found|unknown|not known)",
            r"(?:unknown|no such|invalid|bad|illegal|unrouteable|unroutable|nonexistent) (?:mail )?(?:host|domain)",
            r"domain (?:\S+ )?(?:does not|doesn't|not) exist|domain must resolve|no route to (?:host )?domain",
            r"(?:name or domain|domain name|hostname)\S* (?:\S+ ){0,3}(?:not found|invalid|could not)",
            r"name or service not known|nxdomain|no dns data|couldn't find any host|cannot find (?:\S+ )?domain",
            r"unrouteable (?:mail )?(?:address|domain)|all relevant mx records point to non-existent",
            r"host or domain name not found|address\S* (?:\S+ )?domain not found|dns (?:lookup failure|error)",
        ),
    ),
    (
        "moved",
        _words(
            r"(?:user|account|mailbox|recipient|address)(?: \S+)? (?:has |have )?(?:moved|been changed|changed to)",
            r"has been replaced by|no longer (?:here|on server)|left the (?:company|organi[sz]ation)",
        ),
    ),
    (
        "unknown_user",
        _words(
            r"(?:no|unknown|invalid|bad|illegal|unrecogni[sz]ed) (?:such )?(?:local |e?-?mail |rcpt )?"
            r"(?:user|recipient|mailbox|address|account|person|alias|addressee|customer)",
            r"(?:user|recipient|mailbox|address|account|alias|addressee|person)(?: name)?(?: \S+){0,3}? "
            r"(?:is )?(?:unknown|not found|invalid|unavailable|not (?:valid|known|listed|recogni[sz]ed|here|local|a "
            r"|exist|available))",
            r"(?:do|does|did)(?: not|n't) (?:exist|have (?:a|an) .{0,40}(?:account|mailbox))",
            r"(?:user|recipient|mailbox|address|account)\S* .{0,60}(?:does|do|did)(?:n't| not) exist",
            r"not (?:a )?(?:known|registered|valid|existing) (?:user|recipient|mailbox|address|gateway user|account)",
            r"no (?:mailbox|one|such|user|account|valid recipient)\b|unknown (?:\S+ )?user",
            r"nobody (?:here )?by that name",
            r"(?:mailbox|recipient|user)(?:notfound| not found|unknown)|isn't (?:a )?\S*known|not our customer",
            r"recipient (?:name )?(?:\S+ )?(?:is )?not recogni[sz]ed|not listed in|doesn't have an? \S+ account",
            r"(?:undeliverable|unknown|invalid|deleted|terminated|discontinued|closed) (?:address|account|mailbox)",
            r"(?:account|mailbox|user) (?:\S+ ){0,3}(?:deleted|terminated|discontinued|closed|removed)",
        ),
    ),
    (
        "expired",
        _words(
            r"(?:message|delivery|retry|queue|lifetime|time)(?: \S+){0,4} (?:expired|timed? ?out|timeout|too long)",
            r"(?:exceeded|been in) (?:the )?queue|undeliverable for|unable to deliver .{0,60}(?:minutes|hours|days)",
            r"(?:giving|gave) up|not (?:yet )?been delivered|could not be delivered for|delay(?:ed)?\b.{0,40}hours",
        ),
    ),
    (
        "network",
        _words(
            r"connection (?:\S+ )?(?:refused|reset|timed out|dropped|lost|closed|failed|died|frequency)",
            r"(?:could not|couldn't|cannot|can't|unable to|wasn't able to) (?:\S+ ){0,2}(?:connect|establish|reach)",
            r"timed out|timeout|routing loop|mail loop|loops? back to|hop count|too many hops|network (?:is )?unreach",
            r"no route to host|temporary (?:lookup )?failure|host .{0,60}not respond|no answer from host",
        ),
    ),
    ("filtered", _words(r"recipient (?:address )?(?:rejected|refused)|user (?:reject|refuse)|whitelist|white list")),
    (
        "system",
        _words(r"(?:system|configuration|internal|local|software|server) (?:\S+ )?error|resources|mail server is down"),
    ),
)
