"""E-mail addresses as they go on the wire: IDN domains in their ASCII form, UTF-8 local parts recognised."""

from __future__ import annotations

import re
from email.utils import parseaddr
from functools import lru_cache
from typing import NamedTuple

import idna

from keepers.contact.addresses import LONGEST_ADDRESS, plain_spelling
from keepers.model.errors import UserError, problem, shown

_UNSAFE = re.compile(r"[\s\x00-\x20\x7f-\x9f<>(),;:\\\"\[\]]")
"""among them the spaces of every script, which are invisible or look like the end of an address"""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")


class Address(NamedTuple):
    """A mailbox on the wire: `domain` is ASCII and in lower case, `local` in Unicode's compatibility form."""

    local: str
    domain: str

    @property
    def needs_utf8(self) -> bool:
        """Whether only a server with SMTPUTF8 (RFC 6531) can take it."""
        return not self.local.isascii()

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"


@lru_cache(maxsize=4096)
def ascii_domain(domain: str) -> str:
    """A domain's ASCII form by IDNA 2008 (UTS 46 mapping, non-transitional), without dots at its end.

    Raises UserError for what is no domain name.
    """
    name = domain.strip().rstrip(".\u3002\uff0e\uff61")
    try:
        name = name.lower() if name.isascii() else idna.encode(name, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise UserError(
            problem("{domain} is no domain name: {reason}.", domain=shown(domain), reason=error), code="invalid_address"
        ) from None
    if not 1 <= len(name) <= 253 or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise UserError(problem("{domain} is no domain name.", domain=shown(domain)), code="invalid_address")
    return name


def parse_address(text: str) -> Address:
    """One bare address (`anna@example.com`), as stored in a trait, in the spelling by which consent and suppressions
    know it: `one_mailbox` differs in letter case only, so nothing reaches a mailbox under the name of another.

    Quoted local parts and address literals are refused, and so is everything that could break out of an SMTP command or
    a header. Raises UserError with code `invalid_address`.
    """
    local, at, domain = plain_spelling(text).rpartition("@")
    if len(text) > LONGEST_ADDRESS or not at or not local or not domain:
        raise UserError(problem("{text} is no e-mail address.", text=shown(text)), code="invalid_address")
    dots = local.startswith(".") or local.endswith(".") or ".." in local
    if _UNSAFE.search(local) or "@" in local or dots or len(local.encode("utf-8", "replace")) > 64:
        raise UserError(
            problem("{text} is no e-mail address: look before the @.", text=shown(text)), code="invalid_address"
        )
    try:
        local.encode("utf-8")
    except UnicodeEncodeError:
        raise UserError(problem("{text} is not valid Unicode.", text=shown(text)), code="invalid_address") from None
    return Address(local, ascii_domain(domain))


@lru_cache(maxsize=1024)
def parse_mailbox(text: str) -> tuple[str, Address]:
    """`Shop <hello@shop.example>` or a bare address as (name, address). Raises UserError for anything else."""
    if _CONTROL.search(text):
        raise UserError(
            problem("{text} holds a line break or control character.", text=shown(text)), code="invalid_address"
        )
    name, address = parseaddr(text)
    if not address:
        raise UserError(
            problem("{text} is no sender such as “Shop <hello@shop.example>”.", text=shown(text)),
            code="invalid_address",
        )
    return name, parse_address(address)
