"""Attacks on the limits: much in few bytes, many networks, names without end, and who pays for it."""

from __future__ import annotations

import asyncio
import gzip
import json
import math
import threading
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar.testing import TestClient

from keepers.app.operations import events as intake
from keepers.app.operations.events import QUICK_BYTES, EventIntake
from keepers.app.public.rate_limit import EVENT_BYTES, Allowance, PublicLimits, SharedAllowance, TooManyError
from keepers.app.workspace.settings import LimitSettings
from keepers.http.application import create_app
from keepers.http.tracking.endpoint import MOST_LISTED
from keepers.model.errors import UserError
from keepers.model.event import ParsedRequest, TrackingCall, parse_request
from keepers.model.json_text import LIMITS
from keepers.store import keys
from keepers.store.database import Store
from tracking_client import TrackingClient

NOW = datetime(2026, 3, 2, 10)
MINUTE = timedelta(minutes=1)
SEEN = {"type": "track", "event": "Seen"}
LARGE = LIMITS.batch_bytes - 100
SMALL_AND_LARGE = {
    "commas": b'{"batch":[' + b"," * LARGE + b"]}",
    "lists": b'{"batch":[x' + b"[]" * (LARGE // 2) + b"]}",
    "objects": b'{"batch":[x,' + b"{}," * (LARGE // 3) + b"{}]}",
    "depth": b'{"batch":[' + b"[," * (LARGE // 2) + b"]}",
    "numbers": b'{"batch":[' + b"1," * (LARGE // 2) + b"1]}",
    "members": b"{" + b"," * LARGE + b"}",
}
"""bodies of half a megabyte that are a few hundred bytes as gzip, by what they are made of"""


def shop_of(store: Store, **limits: int) -> TestClient:
    """A server behind one proxy, so that a test may come from any network; its clock stands."""
    events = EventIntake(store, public_limits=PublicLimits(LimitSettings(**limits)))
    return TestClient(create_app(events, clock=lambda: NOW, proxies=1))


@pytest.fixture
def make(sqlite_store: Store) -> Iterator[Callable[..., TrackingClient]]:
    with sqlite_store.begin() as connection:
        tokens = {kind: keys.create(connection, kind, kind, NOW)[1] for kind in ("write", "server")}
    opened: list[TestClient] = []

    def made(**limits: int) -> TrackingClient:
        client = shop_of(sqlite_store, **limits)
        client.__enter__()
        opened.append(client)
        return TrackingClient(client, sqlite_store, tokens)

    yield made
    for client in opened:
        client.__exit__(None, None, None)


def send(shop: TrackingClient, body: bytes, key: str = "write", network: str = "192.0.2.1", **headers: str) -> Any:
    more = {**shop.header(key), "X-Forwarded-For": network, **headers}
    return shop.client.post("/v1/batch", content=body, headers=more)


def batch(*items: object) -> bytes:
    return json.dumps({"batch": items}).encode()


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The thread of each body that was parsed."""
    threads: list[str] = []

    def recorded(*arguments: Any) -> ParsedRequest:
        threads.append(threading.current_thread().name)
        return parse_request(*arguments)

    monkeypatch.setattr(intake, "parse_request", recorded)
    return threads


@pytest.mark.parametrize("kind", SMALL_AND_LARGE)
def test_a_small_gzip_counts_as_what_it_unpacks_to_before_it_is_parsed(
    make: Callable[..., TrackingClient], parsed: list[str], kind: str
) -> None:
    """578 bytes held the event loop for 0.2 s, as often as they were sent."""
    packed = gzip.compress(SMALL_AND_LARGE[kind])
    assert len(packed) < 1500
    size = math.ceil(len(SMALL_AND_LARGE[kind]) / EVENT_BYTES)
    shop = make(network_per_minute=3 * size)
    got = [send(shop, packed, **{"Content-Encoding": "gzip"}).status_code for _ in range(6)]
    assert set(got[:3]) <= {400, 413}
    assert got[3:] == [429] * 3
    assert len(parsed) == 3
    assert all(thread.startswith("parsing") for thread in parsed)
    assert send(shop, batch({**SEEN, "userId": "u"}), network="192.0.2.2").status_code == 200


def test_what_is_parsed_on_the_event_loop_is_small(make: Callable[..., TrackingClient], parsed: list[str]) -> None:
    shop = make()
    body = batch({**SEEN, "userId": "u"})
    for key, most in (("write", QUICK_BYTES["public"]), ("server", QUICK_BYTES["server"])):
        for size in (most, most + 1):
            assert send(shop, body + b" " * (size - len(body)), key=key).status_code == 200
    assert [thread.startswith("parsing") for thread in parsed] == [False, True, False, True]


def test_refused_items_count_too_and_few_are_listed(make: Callable[..., TrackingClient]) -> None:
    shop = make(network_per_minute=6000)
    got = [send(shop, batch(*[7] * 2500)) for _ in range(3)]
    assert [answer.status_code for answer in got] == [400, 400, 429]
    assert len(got[0].json()["errors"]) == MOST_LISTED
    assert got[0].json()["further_errors"] == 2500 - MOST_LISTED
    assert len(got[0].content) < 4000
    some = send(shop, batch({**SEEN, "userId": "u"}, *[7] * 30), network="192.0.2.2").json()
    assert (some["accepted"], len(some["errors"]), some["further_errors"]) == (1, MOST_LISTED, 10)
    few = send(shop, batch({**SEEN, "userId": "u"}, 7), network="192.0.2.2").json()
    assert "further_errors" not in few


def test_who_tries_keys_is_counted(make: Callable[..., TrackingClient]) -> None:
    shop = make(network_per_minute=3)
    got = [send(shop, batch({**SEEN, "userId": "u"}), key=f"guess{n}").status_code for n in range(5)]
    assert got == [401, 401, 401, 429, 429]
    assert send(shop, batch({**SEEN, "userId": "u"}), key="server").status_code == 200, "of the same network"


def test_a_first_batch_passes_no_limit_of_a_visitor(make: Callable[..., TrackingClient]) -> None:
    shop = make(visitor_per_minute=300)
    too_many = send(shop, batch(*[{**SEEN, "userId": "flood"}] * 301))
    assert (too_many.status_code, too_many.json()["code"]) == (413, "too_large")
    assert "301 events; 300 a minute" in too_many.json()["message"]
    assert shop.kept() == []
    got = [send(shop, batch(*[{**SEEN, "userId": "flood"}] * 200)).status_code for _ in range(2)]
    assert got == [200, 429]


def test_a_context_is_not_multiplied_without_end() -> None:
    """32 KB of context for 2,500 items were 80 MB, and a second of work, from a gzip of 450 bytes."""
    context = b'{"a":[' + b"1," * 15_000 + b"1]}"
    items = b",".join([b'{"type":"track","event":"x","userId":"u"}'] * 2500)
    found = parse_request("/v1/batch", b'{"context":' + context + b',"batch":[' + items + b"]}", NOW)
    assert sum(len(item.body) for item in found.items) < LIMITS.context_bytes + LIMITS.batch_bytes
    assert len(found.items) + len(found.errors) == 2500
    assert {str(reason) for _, reason in found.errors} == {
        "The batch's context makes the batch too large. Send a shorter one."
    }


def test_the_bytes_that_a_context_adds_are_counted(make: Callable[..., TrackingClient]) -> None:
    shop = make(network_per_minute=1000)
    items = b",".join([b'{"type":"track","event":"x","anonymousId":"%d"}' % n for n in range(100)])
    body = b'{"context":{"a":"' + b"x" * 20_000 + b'"},"batch":[' + items + b"]}"
    assert send(shop, body).status_code == 413
    assert shop.kept() == []


def calls(*visitors: str) -> ParsedRequest:
    made = [TrackingCall(n, "track", "Seen", who, None, None, None, "m", NOW, b"{}") for n, who in enumerate(visitors)]
    return ParsedRequest(made, [])


def spend(limits: PublicLimits, address: str, number: int = 1, key: str = "key", now: datetime = NOW) -> bool:
    """Whether events of as many visitors are let through."""
    try:
        limits.spend_events(key, address, calls(*(f"{address} {n}" for n in range(number))), 0, now)
    except TooManyError:
        return False
    return True


def test_an_ipv6_site_is_one_attacker() -> None:
    limits = PublicLimits(LimitSettings(network_per_minute=100))
    let = [spend(limits, f"2001:db8:1:{n:x}::1", 100) for n in range(50)]
    assert sum(let) == 4
    assert spend(limits, "2001:db8:2::1", 100)
    assert spend(limits, "192.0.2.1", 100)


def test_who_uses_a_key_up_shuts_out_nobody_else() -> None:
    """One attacker with 200 sites used up what a shop's key may; its customers were refused."""
    limits = PublicLimits(LimitSettings(network_per_minute=1000, key_per_minute=20_000))
    attackers = [f"2001:db8:{n:x}::1" for n in range(200)]
    taken = sum(spend(limits, address, 100) for _ in range(5) for address in attackers)
    assert taken * 100 <= 40_000
    customers = [f"192.0.2.{n}" for n in range(200)]
    assert all(spend(limits, address, 20) for address in customers)
    assert not any(spend(limits, address, 100) for address in attackers)
    assert spend(limits, attackers[0], 100, key="another key")
    assert spend(limits, attackers[0], 100, now=NOW + MINUTE)


USES = st.tuples(st.integers(0, 5), st.integers(0, 6), st.integers(1, 200))
"""block, site of it, and how many"""


@given(st.integers(1, 1000), st.lists(USES, max_size=200))
def test_what_a_key_lets_through_is_bounded_and_fair(most: int, uses: list[tuple[int, int, int]]) -> None:
    shared = SharedAllowance(most, MINUTE)
    by_site: Counter[tuple[int, int]] = Counter()
    by_block: Counter[int] = Counter()
    for block, site, amount in uses:
        sites, blocks = {*by_site, (block, site)}, {*by_block, block}
        is_due = by_site[block, site] + amount <= most / len(sites) or by_block[block] + amount <= most / len(blocks)
        is_let = shared.spend("key", f"2001:{block}:{site}::1", NOW, amount) is None
        assert is_let == (by_site.total() + amount <= most or is_due)
        by_site, by_block = +by_site, +by_block
        if is_let:
            by_site[block, site] += amount
            by_block[block] += amount
    assert by_site.total() <= most * (3 + 2 * math.log(max(len(by_site), 1)))


def test_one_with_all_sites_of_a_block_leaves_others_their_share_of_a_key() -> None:
    most = 60_000
    shared = SharedAllowance(most, MINUTE)
    let = sum(shared.spend("key", f"2001:db8:{site:x}::1", NOW, 9) is None for site in range(65_536)) * 9
    assert most - 9 < let < 1.01 * most
    for visitor in range(250):
        for _ in range(5):
            assert shared.spend("key", f"198.{visitor}.100.7", NOW, 40) is None
    # Whoever had more than their share is refused until the minute ends.
    assert shared.spend("key", "2001:db8:1::1", NOW, 9) is not None
    assert shared.spend("key", "2001:db8:1::1", NOW + MINUTE, 9) is None


def test_sites_that_are_refused_or_come_again_make_nobodys_share_smaller() -> None:
    shared = SharedAllowance(1000, MINUTE, most_names=100)
    assert shared.spend("key", "192.0.2.1", NOW, 1000) is None
    for site in range(5000):
        assert shared.spend("key", f"2001:db8:{site % 500:x}::1", NOW, 501) is not None
    assert shared.spend("key", "198.51.100.1", NOW, 500) is None
    many = SharedAllowance(1000, MINUTE, most_names=100)
    for _ in range(20):
        for site in range(500):
            many.spend("key", f"2001:db8:{site:x}::1", NOW, 1)
    assert many.spend("key", "2001:db8:ffff::1", NOW, 1000 // 101) is None


def test_names_without_end_take_no_memory() -> None:
    allowance = Allowance(10, MINUTE, most_names=1000)
    long = "x" * 100_000
    tracemalloc.start()
    for n in range(3000):
        assert allowance.spend(f"{long}{n}", NOW) is None
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 << 20


def test_of_too_many_names_the_older_half_is_forgotten() -> None:
    allowance = Allowance(1, MINUTE, most_names=10)
    for n in range(11):
        assert allowance.spend(str(n), NOW) is None
    assert [n for n in reversed(range(11)) if allowance.spend(str(n), NOW) is not None] == [10, 9, 8, 7, 6, 5]


def test_forms_are_counted_by_site_too() -> None:
    limits = PublicLimits(LimitSettings(forms_per_hour=5))

    def is_let(address: str) -> bool:
        try:
            limits.spend_form(address, NOW)
        except TooManyError:
            return False
        return True

    assert sum(is_let(f"2001:db8:1:{n:x}::1") for n in range(100)) == 20
    assert sum(is_let("192.0.2.1") for _ in range(10)) == 5


def test_a_request_that_no_minute_has_room_for_is_not_to_be_sent_again() -> None:
    limits = PublicLimits(LimitSettings(network_per_minute=10))
    with pytest.raises(UserError) as refused:
        limits.spend_body("192.0.2.1", 11 * EVENT_BYTES, NOW)
    assert refused.value.code == "too_large"
    assert limits.spend_body("192.0.2.1", 10 * EVENT_BYTES, NOW) == 10


def test_an_intake_that_stops_waits_for_what_is_parsed(sqlite_store: Store) -> None:
    with sqlite_store.begin() as connection:
        token = keys.create(connection, "server", "s", NOW)[1]

    async def sent() -> int:
        events = EventIntake(sqlite_store)
        events.start()
        key = await events.sender(token, NOW, "track")
        found = await events.accept(key, "/v1/batch", batch(*[{**SEEN, "userId": "u"}] * 2000), NOW)
        await asyncio.to_thread(events.stop)
        return len(found.items)

    assert asyncio.run(sent()) == 2000
