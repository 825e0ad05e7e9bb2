"""Return paths: each message its own, nobody else's to make."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from keepers.channels.email.verp import Verp

VERP = Verp(b"s" * 32, "bounce.shop.example")


@given(st.text(min_size=1, max_size=25))
def test_a_return_path_gives_its_key_back_or_is_plain(key: str) -> None:
    address = VERP.return_path(VERP.token(key))
    local, _, domain = address.partition("@")
    assert domain == "bounce.shop.example"
    assert len(local) <= 64
    if local == "bounces":
        assert len(key.encode()) > 25
    else:
        assert VERP.read(address.upper()) == key


def test_a_hash_fits_as_it_is() -> None:
    assert VERP.return_path(VERP.token("0f" * 16)).startswith("bounces+k." + "0f" * 16)
    assert VERP.read(VERP.return_path(VERP.token("0f" * 20))) == "0f" * 20


def test_a_key_too_long_gets_the_plain_return_path() -> None:
    assert VERP.return_path(VERP.token("x" * 60)) == "bounces@bounce.shop.example"


def test_a_changed_or_foreign_token_is_nobody_s() -> None:
    address = VERP.return_path(VERP.token("run-1.hello.1"))
    assert VERP.read(address.replace("run-1", "run-2")) is None
    assert Verp(b"other", "bounce.shop.example").read(address) is None
    assert VERP.read("bounces@bounce.shop.example") is None
    assert VERP.read("") is None


def test_without_a_secret_nothing_is_signed() -> None:
    bare = Verp(b"", "bounce.shop.example")
    assert bare.return_path(bare.token("abc")) == "bounces@bounce.shop.example"
    assert bare.read("bounces+k.abc.@bounce.shop.example") is None


def test_a_token_is_found_among_words() -> None:
    token = VERP.token("abc")
    assert VERP.find(["To: somebody@shop.example", f"X-Keepers-Message: {token}"]) == "abc"
    assert VERP.find(["k.abc.000000000000"]) is None
