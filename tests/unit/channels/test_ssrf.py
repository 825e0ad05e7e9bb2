"""The guard: only public addresses are called, whatever they are spelled as and whatever a name server says."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_trials.loopback import Loopback, Says
from keepers.channels.http.answers import CallResponse, UnansweredError
from keepers.channels.http.safe_http import Caller
from keepers.channels.http.ssrf import Guard, RefusedError, is_public
from keepers.model.errors import UserError


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1",
        "169.254.169.254", "169.254.170.2", "168.63.129.16", "100.100.100.200", "100.64.0.1", "192.0.0.192",
        "192.0.2.1", "198.18.0.1", "198.51.100.7", "203.0.113.9", "224.0.0.251", "239.255.255.250", "240.0.0.1",
        "255.255.255.255", "192.88.99.1",
        "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:a9fe:a9fe", "::7f00:1",
        "2002:7f00:1::", "2002:a9fe:a9fe::1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1",
        "2001:0:4136:e378::1", "2001:db8::1", "3fff::1", "100::1", "5f00::1",
    ],
)  # fmt: skip
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "2a00:1450::200e"])
def test_an_ordinary_address_may_be_called(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "//example.com/", "example.com",
        "http://user:hunter2@example.com/", "http://user@example.com/", "http:///path", "http://", "",
        "http://example.com:99999/", "http://example.com:0/", "http://exa mple.com/", "http://example.com/\r\nx: y",
        "http://[::1", "javascript:alert(1)",
    ],
)  # fmt: skip
def test_what_is_no_plain_web_address_is_refused(url: str) -> None:
    with pytest.raises(RefusedError) as refused:
        Guard().check_url(url)
    assert refused.value.code == "address"
    assert "hunter2" not in refused.value.message


@pytest.mark.parametrize("url", ["https://example.com/x?y=1", "http://пример.рф/", "HTTPS://EXAMPLE.COM:8443"])
def test_a_plain_web_address_passes(url: str) -> None:
    Guard().check_url(url)


def call(url: str, guard: Guard, most_bytes: int = 1000) -> CallResponse:
    async def run() -> CallResponse:
        caller = Caller(guard, timeout_s=0.5)
        try:
            return await caller.call("GET", url, {}, None, most_bytes)
        finally:
            await caller.close()

    return asyncio.run(run())


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "0x7f.1", "2130706433", "0177.0.0.1", "[::1]"])
def test_loopback_is_refused_in_every_spelling(host: str) -> None:
    other_side = Loopback(lambda _: Says())
    try:
        with pytest.raises((RefusedError, UnansweredError)) as refused:
            call(f"http://{host}:{other_side.port}/", Guard())
        assert isinstance(refused.value, RefusedError) or not refused.value.was_sent
        assert other_side.calls == []
    finally:
        other_side.stop()


def test_a_name_that_changes_its_address_between_question_and_connection_gains_nothing() -> None:
    answers = [["93.184.216.34"], ["127.0.0.1"]]
    lookups: list[str] = []

    async def rebinding(host: str, port: int) -> Sequence[str]:
        lookups.append(host)
        return answers[min(len(lookups), 2) - 1]

    guard = Guard(resolve=rebinding)
    assert asyncio.run(guard.addresses("rebind.example", 80)) == ["93.184.216.34"]
    with pytest.raises(RefusedError, match=r"rebind\.example.*127\.0\.0\.1.*allow"):
        call("http://rebind.example/", guard)
    assert lookups == ["rebind.example"] * 2, "one question per connection"


def test_a_name_is_resolved_once_and_that_address_is_called() -> None:
    other_side = Loopback(lambda _: Says(200, b"here"))
    lookups: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        lookups.append(host)
        return ["127.0.0.1"]

    try:
        answer = call(f"http://inside.example:{other_side.port}/", Guard(["127.0.0.1"], resolve))
        assert (answer.status, answer.body) == (200, b"here")
        assert lookups == ["inside.example"]
        assert other_side.calls[0].headers["host"] == f"inside.example:{other_side.port}"
    finally:
        other_side.stop()


@pytest.mark.parametrize(
    ("allow", "host", "address"),
    [
        (["10.0.0.0/8"], "anything.example", "10.2.3.4"),
        (["10.2.3.4"], "anything.example", "10.2.3.4"),
        (["hooks.internal"], "Hooks.Internal.", "10.2.3.4"),
        (["*.internal"], "a.b.internal", "10.2.3.4"),
        (["fd00::/8"], "anything.example", "fd00::1"),
    ],
)
def test_what_the_settings_allow_may_be_called(allow: list[str], host: str, address: str) -> None:
    async def resolve(name: str, port: int) -> Sequence[str]:
        return [address]

    assert asyncio.run(Guard(allow, resolve).addresses(host, 80)) == [address]


@pytest.mark.parametrize("allow", [["hooks.internal"], ["*.internal"], ["11.0.0.0/8"], []])
def test_what_they_do_not_name_may_not(allow: list[str]) -> None:
    async def resolve(name: str, port: int) -> Sequence[str]:
        return ["10.2.3.4"]

    with pytest.raises(RefusedError):
        asyncio.run(Guard(allow, resolve).addresses("internal", 80))


def test_of_several_addresses_only_the_public_ones_are_left() -> None:
    async def resolve(name: str, port: int) -> Sequence[str]:
        return ["10.0.0.1", "93.184.216.34", "::1"]

    assert asyncio.run(Guard([], resolve).addresses("mixed.example", 80)) == ["93.184.216.34"]


@pytest.mark.parametrize("entry", ["10.0.0.0/99", "http://example.com", "", "a b"])
def test_an_allowance_that_is_none_is_refused(entry: str) -> None:
    with pytest.raises(UserError, match="allow"):
        Guard([entry])


def test_a_long_answer_is_dropped_and_an_endless_one_ends_with_the_deadline() -> None:
    other_side = Loopback(
        lambda lookups: Says(200, b"x" * 5000) if lookups.path == "/long" else Says(drips=[b"x"] * 200)
    )
    guard = Guard(["127.0.0.1"])
    try:
        assert call(f"http://127.0.0.1:{other_side.port}/long", guard).body is None
        with pytest.raises(UnansweredError) as unanswered:
            call(f"http://127.0.0.1:{other_side.port}/drip", guard)
        assert unanswered.value.was_sent
    finally:
        other_side.stop()


def test_a_compressed_answer_is_not_unpacked() -> None:
    other_side = Loopback(lambda _: Says(200, b"\x1f\x8b", {"content-encoding": "gzip"}))
    try:
        assert call(f"http://127.0.0.1:{other_side.port}/", Guard(["127.0.0.1"])).body is None
    finally:
        other_side.stop()


@given(st.integers(0, 2**32 - 1))
def test_no_address_of_the_old_internet_passes_in_the_dress_of_the_new(number: int) -> None:
    forms = [
        0xFFFF << 32 | number,  # ::ffff:a.b.c.d
        number,  # ::a.b.c.d
        0x64_FF9B << 96 | number,  # 64:ff9b::a.b.c.d
        0x2002 << 112 | number << 80,  # 2002:ab:cd::
        0x2001 << 112 | (number ^ 0xFFFFFFFF),  # 2001:0:…, Teredo
    ]
    for form in forms:
        assert not is_public(IPv6Address(form))


@given(st.ip_addresses())
def test_whatever_is_public_python_calls_global(address: IPv4Address | IPv6Address) -> None:
    assert not is_public(address) or (address.is_global and not address.is_multicast)
