"""E-mail addresses as they go on the wire: IDN domains in their ASCII form, UTF-8 local parts recognised."""

from __future__ import annotations

import re
from email.utils import parseaddr
from functools import lru_cache
from typing import NamedTuple

import idna

from keepers.model.errors import UserError, shown

_UNSAFE = re.compile(r"[\s\x00-\x20\x7f-\x9f<>(),;:\\\"\[\]]")
"""spaces of every script among them, which look like none or like the end of an address"""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")


class Address(NamedTuple):
    """A mailbox on the wire: `domain` is ASCII and in lower case, `local` as given."""

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
    """A domain's ASCII form by IDNA 2008 (UTS 46 mapping, non-transitional), without a final dot.

    Raises UserError for what is no domain name.
    """
    name = domain.strip().removesuffix(".")
    try:
        name = name.lower() if name.isascii() else idna.encode(name, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise UserError(f"{shown(domain)} is no domain name: {error}.", code="invalid_address") from None
    if not 1 <= len(name) <= 253 or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise UserError(f"{shown(domain)} is no domain name.", code="invalid_address")
    return name


def parse_address(text: str) -> Address:
    """One bare address (`anna@example.com`), as kept in a trait.

    Quoted local parts and address literals, which no customer has, are refused, and so is everything that could
    break out of an SMTP command or a header. Raises UserError with code `invalid_address`.
    """
    address = text.strip()
    local, at, domain = address.rpartition("@")
    if not at or not local or not domain:
        raise UserError(f"{shown(text)} is no e-mail address.", code="invalid_address")
    dots = local.startswith(".") or local.endswith(".") or ".." in local
    if _UNSAFE.search(local) or "@" in local or dots or len(local.encode("utf-8", "replace")) > 64:
        raise UserError(f"{shown(text)} is no e-mail address: look before the @.", code="invalid_address")
    try:
        local.encode("utf-8")
    except UnicodeEncodeError:
        raise UserError(f"{shown(text)} holds half a character.", code="invalid_address") from None
    return Address(local, ascii_domain(domain))


@lru_cache(maxsize=1024)
def parse_mailbox(text: str) -> tuple[str, Address]:
    """`Shop <hello@shop.example>` or a bare address as (name, address). Raises UserError for anything else."""
    if _CONTROL.search(text):
        raise UserError(f"{shown(text)} holds a line break or control character.", code="invalid_address")
    name, address = parseaddr(text)
    if not address:
        raise UserError(f"{shown(text)} is no sender such as “Shop <hello@shop.example>”.", code="invalid_address")
    return name, parse_address(address)
