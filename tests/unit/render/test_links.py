"""Links that are signed and give nothing away."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepers.model.errors import UserError
from keepers.render.links import MOST_TOKEN, PATHS, BadLink, Click, Confirm, LinkSigner, OfMessage, Preferences, Purpose

SECRET, OLDER = b"n" * 32, b"o" * 32
LINKS = LinkSigner(SECRET, "https://k.shop.example/")
KEY = "welcome:1234567:hello:1:email:ann@shop.example"


def token_of(url: str) -> str:
    return url.rsplit("/", 1)[1]


def test_what_is_put_in_is_read_again() -> None:
    assert LINKS.read("click", token_of(LINKS.click(KEY, "https://a.example/?q=ä#x"))) == Click(
        KEY, "https://a.example/?q=ä#x"
    )
    assert LINKS.read("open", token_of(LINKS.open_pixel(KEY))) == OfMessage(KEY)
    assert LINKS.read("unsubscribe", token_of(LINKS.unsubscribe(KEY))) == OfMessage(KEY)
    assert LINKS.read("view", token_of(LINKS.view(KEY))) == OfMessage(KEY)
    assert LINKS.read("preferences", token_of(LINKS.preferences(12, "pl", KEY))) == Preferences(12, "pl", KEY)
    asked = Confirm(12, "email", "newsletter", "anna@example.com", 1_800_000_000, "0123abcd", "pl-PL")
    assert LINKS.read("confirm", token_of(LINKS.confirm(asked))) == asked


@given(st.text(max_size=300), st.text(max_size=2000))
def test_any_key_and_address_survive(key: str, url: str) -> None:
    assert LINKS.read("click", token_of(LINKS.click(key, url))) == Click(key, url)


def test_links_lie_where_the_server_looks_for_them() -> None:
    assert LINKS.unsubscribe(KEY).startswith("https://k.shop.example" + PATHS["unsubscribe"])
    assert LINKS.open_pixel(KEY).endswith(".gif")


@pytest.mark.parametrize("purpose", [p for p in PATHS if p != "open"])
def test_a_token_is_good_for_its_purpose_only(purpose: Purpose) -> None:
    with pytest.raises(BadLink):
        LINKS.read(purpose, token_of(LINKS.open_pixel(KEY)).removesuffix(".gif"))


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_no_byte_of_a_token_can_be_changed(at: int, by: int) -> None:
    raw = bytearray(base64.urlsafe_b64decode(token_of(LINKS.preferences(12, "pl")) + "=="))
    raw[at % len(raw)] ^= by
    with pytest.raises(BadLink):
        LINKS.read("preferences", base64.urlsafe_b64encode(bytes(raw)).decode().rstrip("="))


@given(st.text(max_size=200))
def test_nonsense_is_no_link(token: str) -> None:
    for purpose in PATHS:
        with pytest.raises(BadLink):
            LINKS.read(purpose, token)


def test_a_very_long_token_is_not_even_decoded() -> None:
    with pytest.raises(BadLink, match="longer"):
        LINKS.read("click", "A" * (MOST_TOKEN + 1))


def test_nothing_of_the_person_can_be_read_from_a_link() -> None:
    for url in (
        LINKS.unsubscribe(KEY),
        LINKS.open_pixel(KEY),
        LINKS.click(KEY, "https://a.example/?m=ann@shop.example"),
    ):
        token = token_of(url).removesuffix(".gif")
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        assert b"ann" not in raw
        assert b"welcome" not in raw
        assert "ann" not in url.replace("https://k.shop.example", "").lower().replace(token.lower(), "")


def test_the_newest_secret_signs_and_older_ones_are_still_read() -> None:
    old = LinkSigner(OLDER, "https://k.example").unsubscribe(KEY)
    rotated = LinkSigner([SECRET, OLDER], "https://k.example")
    assert rotated.read("unsubscribe", token_of(old)) == OfMessage(KEY)
    assert rotated.unsubscribe(KEY) == LinkSigner(SECRET, "https://k.example").unsubscribe(KEY)
    with pytest.raises(BadLink):
        LinkSigner(SECRET, "https://k.example").read("unsubscribe", token_of(old))


def test_the_same_link_is_the_same_token() -> None:
    assert LINKS.click(KEY, "https://a.example") == LINKS.click(KEY, "https://a.example")
    assert LINKS.click(KEY, "https://a.example") != LINKS.click(KEY + "x", "https://a.example")


def test_tokens_are_short() -> None:
    url = "https://www.shop.example/product/shoes?utm_source=keepers&utm_medium=email&utm_campaign=welcome"
    assert len(token_of(LINKS.click("welcome:1234567:hello:1:email:ab12", url))) <= 150
    assert len(token_of(LINKS.preferences(123_456_789, "pl-PL"))) <= 48


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(UserError, match="16 bytes"):
        LinkSigner(b"short", "https://k.example")
