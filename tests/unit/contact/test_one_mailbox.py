"""One mailbox has one form, whatever the spelling; two mailboxes have two."""

from __future__ import annotations

from unicodedata import normalize

import pytest
from hypothesis import example, given
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


SPELLINGS = st.text(max_size=60) | st.builds(
    "{}@{}".format,
    st.text(st.characters(exclude_characters="@", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
    | st.text(
        st.sampled_from("Vv\uff36\uff56.\uff0e\u0130\u0323\u0307\u1e9e\u00df\u03a3\u212a\ufb01\u200b"),
        min_size=1,
        max_size=8,
    ),
    st.from_regex(r"[a-zA-Z\uff41-\uff45]{1,8}[.\uff0e][a-zA-Zß]{2,8}", fullmatch=True),
)
"""addresses beyond ASCII are among them, since whatever text hardly ever is an address"""


@given(st.from_regex(r"\A[ -~]{1,20}@[ -~]{1,20}\Z") | SPELLINGS)
@example("\uff56era@example.com")
@example("v\u0130\u0323@example.com")
@example("\ufdfa" * 100 + "@example.com")
@example("\u0130\u0323\u0307" * 400 + "@example.com")
@example("\u200b" * 2000 + "anna@example.com")
@example("STRAU\u1e9e@Stra\u00dfe.example")
def test_what_goes_on_the_wire_is_what_is_hashed_but_for_letter_case(text: str) -> None:
    """A hard bounce of a full-width spelling suppressed another customer, whose address has that form."""
    form = one_mailbox(text)
    assert one_mailbox(form) == form
    try:
        wire = str(parse_address(text))
    except UserError:
        return
    assert one_mailbox(wire) == form
    # Two orders of the same marks are one text to Unicode.
    assert normalize("NFKC", wire.lower()) == form
    assert str(parse_address(wire)) == wire
