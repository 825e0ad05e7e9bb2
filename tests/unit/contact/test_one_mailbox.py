"""One mailbox has one form, whatever the spelling; two mailboxes have two."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepers.channels.email.mailbox_address import parse_address
from keepers.contact.addresses import one_mailbox
from keepers.model.errors import UserError

PLAIN = "anna@example.com"


@pytest.mark.parametrize(
    "spelling",
    [
        "Anna@Example.COM",
        " anna@example.com ",
        "anna@example.com.",
        "anna@example.com..",
        "anna@example\uff0ecom",
        "anna@example\u3002com\u3002",
        "anna@\uff25xample.com",
        "\uff41nna@example.com",
        "an\u200bna@example.com",
        "anna@exam\u00adple.com",
        "\ufeffanna@example.com",
        "anna\U000e0041@example.com",
    ],
)
def test_spellings_of_a_mailbox_are_one(spelling: str) -> None:
    assert one_mailbox(spelling) == PLAIN


def test_an_internationalised_domain_is_one_in_either_form() -> None:
    assert one_mailbox("Анна@ПРИМЕР.рф") == one_mailbox("анна@xn--e1afmkfd.xn--p1ai") == "анна@xn--e1afmkfd.xn--p1ai"


def test_sharp_s_and_double_s_are_two() -> None:
    assert one_mailbox("strauß@example.com") != one_mailbox("strauss@example.com")
    assert one_mailbox("a@straße.example") != one_mailbox("a@strasse.example")
    assert one_mailbox("STRAUẞ@example.com") == one_mailbox("strauß@example.com")


@given(st.text(max_size=60) | st.from_regex(r"\A[ -~]{1,20}@[ -~]{1,20}\Z"))
def test_the_form_is_stable_and_what_goes_on_the_wire_has_it(text: str) -> None:
    form = one_mailbox(text)
    assert one_mailbox(form) == form
    try:
        wire = str(parse_address(text))
    except UserError:
        return
    assert one_mailbox(wire) == form
