"""What slow clients may take, by the clock of an event loop that a test moves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn
from prometheus_client import CollectorRegistry
from uvicorn.server import ServerState

from keepers.server.connections import ConnectionLimits, Connections
from keepers.server.http_protocol import LimitedProtocol

LIMITS = ConnectionLimits(header_s=10, header_bytes=65_536, body_s=30, most=3, most_of_network=2)
POST = b"POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
GET = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"


class MovedLoop(asyncio.SelectorEventLoop):
    """An event loop whose time stands still until it is moved."""

    now = 1000.0

    def time(self) -> float:
        return self.now

    def move(self, seconds: float) -> None:
        """Lets time pass, and everything be done that is due by then."""
        self.now += seconds
        for _ in range(5):
            self.call_soon(self.stop)
            self.run_forever()


class Wire(asyncio.Transport):
    """The server's end of a connection."""

    def __init__(self, address: str) -> None:
        super().__init__({"peername": (address, 1), "sockname": ("127.0.0.1", 80)})
        self.written = b""
        self.is_open = True
        self.is_paused = False

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self.is_open = False

    abort = close

    def is_closing(self) -> bool:
        return not self.is_open

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False


class Client:
    """A connection, seen by its client."""

    def __init__(self, loop: MovedLoop, connections: Connections, address: str) -> None:
        self._loop = loop
        self.wire = Wire(address)
        config = uvicorn.Config(answer, log_config=None, access_log=False)
        self._protocol = LimitedProtocol(config, ServerState(), {}, loop, connections=connections)
        self._protocol.connection_made(self.wire)

    def send(self, data: bytes) -> None:
        if self.wire.is_open:
            self._protocol.data_received(data)
        self._loop.move(0)

    def stall(self) -> None:
        """Takes nothing more of an answer."""
        self._protocol.pause_writing()

    def take(self) -> None:
        self._protocol.resume_writing()

    @property
    def status(self) -> bytes:
        """Of the first answer; empty for none."""
        return self.wire.written.partition(b" ")[2][:3]


async def answer(scope: Any, receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def loop() -> Iterator[MovedLoop]:
    made = MovedLoop()
    yield made
    for task in asyncio.all_tasks(made):
        task.cancel()
    made.move(0)
    made.close()


@pytest.fixture
def connect(loop: MovedLoop) -> Callable[..., Client]:
    connections = Connections(LIMITS, CollectorRegistry())
    return lambda address="192.0.2.1": Client(loop, connections, address)


def test_a_silent_connection_is_closed_without_an_answer(loop: MovedLoop, connect: Callable[..., Client]) -> None:
    client = connect()
    loop.move(LIMITS.header_s - 0.1)
    assert client.wire.is_open
    loop.move(0.2)
    assert (client.wire.is_open, client.wire.written) == (False, b"")


def test_headers_have_one_time_however_they_come(loop: MovedLoop, connect: Callable[..., Client]) -> None:
    client = connect()
    client.send(GET[:-2])
    for n in range(int(LIMITS.header_s)):
        assert client.wire.is_open, n
        loop.move(1)
        client.send(b"X-Slow: 1\r\n")
    assert (client.status, client.wire.is_open) == (b"408", False)


def test_a_body_is_taken_as_long_as_it_comes(loop: MovedLoop, connect: Callable[..., Client]) -> None:
    client = connect()
    client.send(POST % 60_000)
    for _ in range(60):
        loop.move(2)
        client.send(b"x" * 1000)
    assert client.status == b"200"


@pytest.mark.parametrize("silence", [29.9, 30.1])
def test_a_body_that_stops_is_ended(loop: MovedLoop, connect: Callable[..., Client], silence: float) -> None:
    client = connect()
    client.send(POST % 20_000)
    client.send(b"x" * 19_999)
    loop.move(silence)
    client.send(b"x")
    assert client.status == (b"200" if silence < LIMITS.body_s else b"408")


def test_a_body_that_drips_is_ended(loop: MovedLoop, connect: Callable[..., Client]) -> None:
    client = connect()
    client.send(POST % 100_000)
    taken = 0
    while client.wire.is_open:
        loop.move(1)
        client.send(b"x")
        taken += 1
    assert client.status == b"408"
    assert taken <= LIMITS.body_s + 2


def test_an_answer_that_nobody_takes_is_ended(loop: MovedLoop, connect: Callable[..., Client]) -> None:
    slow, quick = connect(), connect()
    for client in (slow, quick):
        client.stall()
        client.send(GET)
    loop.move(LIMITS.answer_s - 0.1)
    assert slow.wire.is_open
    quick.take()
    loop.move(0.2)
    assert not slow.wire.is_open
    assert (quick.status, quick.wire.is_open) == (b"200", True)


def test_the_connection_that_gives_way_is_of_the_network_with_most(
    loop: MovedLoop, connect: Callable[..., Client]
) -> None:
    alone = connect("198.51.100.1")
    loop.move(1)
    first, second = connect(), connect()
    loop.move(1)
    new = connect("203.0.113.1")
    assert [one.wire.is_open for one in (alone, first, second, new)] == [True, False, True, True]
    newer = connect("203.0.113.1")  # as many each: the oldest
    assert [one.wire.is_open for one in (alone, second, new, newer)] == [False, True, True, True], (
        "as many each: oldest"
    )


def test_a_network_with_enough_closes_its_own(loop: MovedLoop, connect: Callable[..., Client]) -> None:
    first, second = connect(), connect()
    first.send(GET)
    third = connect()
    assert [one.wire.is_open for one in (first, second, third)] == [True, False, True], "the other waited longer"
