"""Addresses on the wire, held against the isemail.info collection where it is at hand."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepers.channels.email.mailbox_address import ascii_domain, parse_address, parse_mailbox
from keepers.model.errors import UserError


def test_a_domain_beyond_ascii_travels_in_its_ascii_form() -> None:
    assert str(parse_address("anna@пример.рф")) == "anna@xn--e1afmkfd.xn--p1ai"
    assert ascii_domain("Straße.example") == "xn--strae-oqa.example", "IDNA 2008 keeps the sharp s"


def test_a_local_part_beyond_ascii_needs_a_server_that_takes_it() -> None:
    assert parse_address("анна@example.com").needs_utf8
    assert not parse_address("anna@пример.рф").needs_utf8


@pytest.mark.parametrize(
    "text",
    ["", "anna", "@example.com", "anna@", "a b@example.com", "anna@exa mple.com", "anna@example.com\r\nRCPT TO:<x@y.z>",
     "<anna@example.com>", "anna@-x.example", "a..b@example.com", ".a@example.com", "a" * 65 + "@example.com",
     "anna\x00@example.com", "a,b@example.com", "anna@[127.0.0.1]", "anna@exa\x00mple.com", "\ud800@example.com"],
)  # fmt: skip
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UserError):
        parse_address(text)


@given(st.text(max_size=40))
def test_nothing_accepted_can_break_out_of_a_command(text: str) -> None:
    try:
        found = str(parse_address(text + "@example.com"))
    except UserError:
        return
    assert not re.search(r"[\s<>\x00-\x1f\x7f]", found)


def test_a_sender_has_a_name_and_an_address() -> None:
    name, address = parse_mailbox("Łódź, Shop <hello@shop.example>".replace(",", ""))
    assert (name, str(address)) == ("Łódź Shop", "hello@shop.example")
    with pytest.raises(UserError):
        parse_mailbox("Shop\r\nBcc: x@y.example <hello@shop.example>")


def test_plain_addresses_of_the_isemail_collection_are_taken_and_malformed_ones_refused(shared_data: Path) -> None:
    root = ElementTree.parse(shared_data / "rules" / "email_syntax_tests.xml").getroot()
    taken: list[str] = []
    refused: list[str] = []
    for case in root.iter("test"):
        address = re.sub("[\u2400-\u241f]", lambda m: chr(ord(m.group()) - 0x2400), case.findtext("address") or "")
        plain = re.fullmatch(r"[A-Za-z0-9.+-]+@[A-Za-z0-9.-]+", address) is not None
        try:
            parse_address(address)
        except UserError:
            if case.findtext("category") in ("ISEMAIL_VALID_CATEGORY", "ISEMAIL_DNSWARN") and plain:
                refused.append(address)
        else:
            # Space around an address and a domain's final dot are taken off, not refused.
            if case.findtext("category") == "ISEMAIL_ERR" and address == address.strip().removesuffix("."):
                taken.append(address)
    assert refused == []
    assert taken == []
