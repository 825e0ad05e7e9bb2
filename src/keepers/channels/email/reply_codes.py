"""Why a mail is refused and whose fault that is, by the codes that standards and large providers document.

Enhanced status codes: RFC 3463, RFC 5248 and IANA's registry of them. Codes of providers: their pages for senders.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from keepers.model.message import Fault

Reason = Literal[
    "unknown_user", "unknown_host", "moved", "no_mail", "full", "inactive", "filtered",
    "blocked", "authentication", "spam", "content", "too_big", "rate", "relay", "policy", "network", "system",
    "expired", "unknown",
]  # fmt: skip
HARD: frozenset[Reason] = frozenset({"unknown_user", "unknown_host", "moved", "no_mail"})
"""the address does not exist: it is suppressed"""
FAULTS: dict[Reason, Fault] = {
    "unknown_user": "recipient",
    "unknown_host": "recipient",
    "moved": "recipient",
    "no_mail": "recipient",
    "full": "recipient",
    "inactive": "recipient",
    "filtered": "recipient",
    # A refusal that nobody explains counts against the address when it is repeated.
    "unknown": "recipient",
    "blocked": "reputation",
    "authentication": "reputation",
    "spam": "content",
    "content": "content",
    "too_big": "content",
    "rate": "server",
    "network": "server",
    "system": "server",
    "expired": "server",
    "relay": "policy",
    "policy": "policy",
}

STATUS: dict[str, Reason] = {
    "1.0": "unknown_user",
    "1.1": "unknown_user",
    "1.2": "unknown_host",
    "1.3": "unknown_user",
    "1.4": "unknown_user",
    "1.6": "moved",
    "1.7": "authentication",
    "1.8": "authentication",
    "1.9": "authentication",
    "1.10": "no_mail",
    "2.0": "filtered",
    "2.1": "inactive",
    "2.2": "full",
    "2.3": "too_big",
    "2.4": "system",
    "3.0": "system",
    "3.1": "system",
    "3.2": "system",
    "3.3": "system",
    "3.4": "too_big",
    "3.5": "system",
    "3.6": "policy",
    "4.1": "network",
    "4.2": "network",
    "4.3": "network",
    "4.4": "unknown_host",
    "4.5": "network",
    "4.6": "network",
    "4.7": "expired",
    "4.8": "policy",
    "5.3": "rate",
    "5.6": "system",
    "6.0": "content",
    "6.1": "content",
    "6.2": "content",
    "6.3": "content",
    "6.6": "content",
    "6.7": "system",
    "6.9": "system",
    "6.10": "system",
    "7.2": "policy",
    "7.3": "policy",
    "7.4": "policy",
    "7.8": "authentication",
    "7.10": "policy",
    "7.17": "moved",
    "7.18": "moved",
    "7.19": "policy",
    "7.20": "authentication",
    "7.21": "authentication",
    "7.22": "authentication",
    "7.23": "authentication",
    "7.24": "authentication",
    "7.25": "authentication",
    "7.26": "authentication",
    "7.27": "no_mail",
    "7.28": "rate",
    "7.29": "authentication",
    "7.30": "policy",
}
"""what follows the class of an enhanced code (5.1.1 → 1.1)"""
CLASSES: dict[str, Reason] = {"3": "system", "4": "network", "5": "system", "6": "content", "7": "blocked"}
"""subject of a code whose detail says nothing"""


def _codes(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![A-Za-z0-9])(?:{pattern})(?![A-Za-z0-9])")


PROVIDERS: tuple[tuple[str, Reason, re.Pattern[str]], ...] = (
    # Microsoft, “Troubleshooting” at sendersupport.olc.protection.outlook.com and “Email non-delivery reports in
    # Exchange Online”.
    ("microsoft", "blocked", _codes(r"S31[45]0|(?:DY|OU|RP|SC)-00\d|5\.7\.(?:50[1-3]|511|6\d\d|70[58]|750)")),
    ("microsoft", "rate", _codes(r"S77[0-9]|S844|[45]\.7\.(?:500|73\d|85[0-9])|[45]\.2\.12[12]")),
    ("microsoft", "authentication", _codes(r"5\.7\.(?:51[0-5]|12)|5\.1\.8")),
    ("microsoft", "unknown_user", _codes(r"RESOLVER\.ADR\.(?:Ex)?Recip(?:ient)?NotFound")),
    (
        "microsoft",
        "unknown_user",
        re.compile(r"5\.4\.1\b.{0,120}recipient address rejected: access denied", re.I),
    ),
    ("microsoft", "policy", _codes(r"RESOLVER\.RST\.\w+|5\.7\.(?:124|133|134|136|193)")),
    ("microsoft", "unknown_host", _codes(r"5\.4\.310")),
    # cPanel's mail server, of a domain that has no mail exchanger (its router `fail_remote_domains`).
    ("cpanel", "unknown_host", re.compile(r"may not exist, .{0,60}missing the proper dns entries", re.I)),
    # Yahoo and AOL, “SMTP error codes” at senders.yahooinc.com.
    ("yahoo", "blocked", _codes(r"TSS?(?:0[1-9]|1[0-9])|BL\d\d|IPTS\d\d|RLY:\w+|DYN:\w+|RTR:\w+|CON:B1")),
    ("yahoo", "content", _codes(r"PH\d\d|HVU:\w+|URL:\w+|SPM:\w+")),
    ("yahoo", "rate", _codes(r"GL\d\d")),
    # Apple, “Postmaster information for iCloud Mail”.
    ("apple", "spam", _codes(r"CS01")),
    ("apple", "blocked", _codes(r"HM0[78]|SS01")),
    # Orange, La Poste: “Postmaster” pages.
    ("orange", "unknown_user", _codes(r"(?:OFR|LPN)\d{0,3}_416")),
    ("orange", "spam", _codes(r"(?:OFR|LPN)\d{0,3}_506")),
    # Comcast, “Error codes” at postmaster.comcast.net.
    ("comcast", "blocked", _codes(r"BL00000\d")),
    ("comcast", "rate", _codes(r"RL00000\d")),
    # Netease (163, 126, yeah), “Returned mail codes” at help.163.com.
    ("netease", "spam", _codes(r"DT:SPM|MI:SPB")),
    ("netease", "authentication", _codes(r"MI:(?:SPF|NHD)|DT:SUM")),
    ("netease", "blocked", _codes(r"HL:(?:IPB|IHU)|DT:RBL|MI:IPB")),
    ("netease", "rate", _codes(r"MI:(?:CEL|DMC|CCL|STC)|RP:[A-Z]{3}|HL:(?:IFC|ICC)")),
)
"""(provider, reason, its codes and sentences)"""


def reasons_by_provider(text: str) -> Iterator[Reason]:
    """What the codes of providers in a text stand for."""
    return (reason for _, reason, pattern in PROVIDERS if pattern.search(text))
