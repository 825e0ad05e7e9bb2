"""Addresses in one form: e-mail addresses as the mailbox they reach, telephone numbers in international form."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

import idna

from keepers.model.channels import describe_channel

GSM7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""the characters of a short message in GSM 7-bit (3GPP TS 23.038)"""
GSM7_TWICE = frozenset("^{}\\[~]|€\f")
"""those of its extension table, which take two places"""


INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff"
    "\uffa0\U000e0000-\U000e0fff]"
)
"""characters that nobody sees and mail servers ignore or refuse (Unicode's Default_Ignorable_Code_Point)"""
_DOTS = ".\u3002\uff0e\uff61"
"""full stops that are dots of a domain name (UTS 46)"""
LONGEST_ADDRESS = 1_000
"""characters; more are no address in any spelling, and would take a while to be put in order"""


def plain_spelling(address: str) -> str:
    """An e-mail address as it goes on the wire but for its domain's ASCII form: without invisible characters and dots
    at the end, in Unicode's compatibility form (NFKC). Letters keep their case; what is no address is treated alike."""
    is_plain = address.isascii() and address.isprintable() and " " not in address and not address.endswith(".")
    if is_plain or len(address) > LONGEST_ADDRESS:
        return address
    form = address
    # Some characters come apart into ones that are to be left out then.
    while (changed := _plainer(form)) != form:
        form = changed
    return form


def one_mailbox(address: str) -> str:
    """An e-mail address in the one form by which it is hashed, whatever its spelling: what goes on the wire, in lower
    case. ß and ss are two letters. What is no address is put in lower case alone."""
    form = plain_spelling(address)
    if form.isascii() or len(form) > LONGEST_ADDRESS:
        return form.lower()
    # Some letters have a lower case that has another spelling then.
    while (changed := plain_spelling(_in_lower_case(form))) != form:
        form = changed
    return form


def _plainer(address: str) -> str:
    plain = INVISIBLE.sub("", address).strip().rstrip(_DOTS)
    local, at, domain = unicodedata.normalize("NFKC", plain).rpartition("@")
    return f"{local}{at}{domain.strip()}"


def _in_lower_case(address: str) -> str:
    local, at, domain = address.rpartition("@")
    try:
        name = domain.lower() if domain.isascii() else idna.encode(domain, uts46=True).decode("ascii")
    except idna.IDNAError:
        name = domain.lower()
    return f"{local.lower()}{at}{name}"


def e164(number: str, country: str = "") -> str | None:
    """`+48600100200` from however it was written; None when it is no number in use anywhere.

    `country` (ISO 3166 alpha-2) is where numbers without + belong.
    """
    import phonenumbers  # the numbering plans of every country: with the first number

    text = number.strip()
    if text.startswith("00"):
        text = "+" + text[2:]
    try:
        parsed = phonenumbers.parse(text, country.upper() or None)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(parsed):
        return None
    return str(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164))


class AddressTraits(dict[str, str]):
    """Channel → the trait that holds an address on it, empty for none; `country` is where bare numbers belong."""

    def __init__(self, traits: Mapping[str, str], country: str = "") -> None:
        super().__init__(traits)
        self.country = country


def home_country(addresses: Mapping[str, str]) -> str:
    """The country of a workspace's bare numbers (ISO 3166 alpha-2); empty when none is set."""
    return addresses.country if isinstance(addresses, AddressTraits) else ""


def country_of(traits: Mapping[str, Any]) -> str:
    """A customer's country as two capital letters; empty when the trait says nothing of the kind."""
    country = traits.get("country")
    return country.upper() if isinstance(country, str) and len(country) == 2 else ""


def address_of(channel: str, value: Any, country: str = "") -> str:
    """A trait's value as the address messages go to and suppressions are hashed of; empty when it is none.

    One number has many spellings, and is one inbox to caps and suppression. Numbers may be kept as such.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    is_number = isinstance(value, int) and not isinstance(value, bool)
    address = value.strip() if isinstance(value, str) else str(value) if is_number else ""
    return describe_channel(channel).canonical(address, country) if address else ""
