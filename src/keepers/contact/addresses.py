"""Telephone numbers in international form, and what a text costs in SMS parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keepers.model.channels import describe_channel

GSM7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""the characters of a short message in GSM 7-bit (3GPP TS 23.038)"""
GSM7_TWICE = frozenset("^{}\\[~]|€\f")
"""those of its extension table, which take two places"""


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
