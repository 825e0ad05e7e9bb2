"""Load for ingest, as a process of its own: keep-alive connections, each with one request under way.

    python -m benchmarks.sending PORT KEY CONNECTIONS EVENTS_PER_REQUEST SECONDS

Prints one JSON object: requests answered 200, other answers, seconds.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from base64 import b64encode
from itertools import count
from secrets import randbelow
from typing import cast

import uvloop

_MARK = b"0123456789abcdef"
_numbers = count(1)


def _event(marked: str, number: int) -> dict[str, object]:
    return {
        "type": "track",
        "messageId": marked + f"-{number}",
        "userId": f"u{number % 5000}",
        "event": "Order Completed",
        "timestamp": "2026-01-05T10:00:00.000Z",
        "properties": {"order_id": f"o{number}", "total": 49.9, "currency": "EUR", "category": "shoes"},
        "context": {"library": {"name": "analytics.js", "version": "2.11.1"}, "locale": "pl-PL"},
    }


def request(key: str, events: int) -> bytes:
    """A whole request with a mark where each one's own number goes."""
    mark = _MARK.decode()
    one = [_event(mark, n) for n in range(events)]
    path, body = ("track", one[0]) if events == 1 else ("batch", {"batch": one})
    sent = json.dumps(body, separators=(",", ":")).encode()
    head = (
        f"POST /v1/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Authorization: Basic {b64encode(f'{key}:'.encode()).decode()}\r\nContent-Length: {len(sent)}\r\n\r\n"
    )
    return head.encode() + sent


class Sender(asyncio.Protocol):
    """One connection. The next request goes out when the answer's last byte is in."""

    def __init__(self, template: bytes, until: float, done: asyncio.Future[None]) -> None:
        self._template = template
        self._until = until
        self._done = done
        self._answer = b""
        self.kept = self.refused = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by class
        self._send()

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, parted, body = self._answer.partition(b"\r\n\r\n")
        if not parted or len(body) < int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]):
            return
        if head.startswith(b"HTTP/1.1 200") and b'"success":true' in body:
            self.kept += 1
        else:
            self.refused += 1
        self._answer = b""
        if time.perf_counter() < self._until:
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_result(None)

    def _send(self) -> None:
        self._transport.write(self._template.replace(_MARK, b"%016d" % next(_numbers)))


async def send(port: int, key: str, connections: int, events: int, seconds: float) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    template = request(key, events)
    began = time.perf_counter()
    senders: list[Sender] = []
    ends: list[asyncio.Future[None]] = []
    for _ in range(connections):
        end = loop.create_future()
        sender = Sender(template, began + seconds, end)
        senders.append(sender)
        await loop.create_connection(lambda: senders[-1], "127.0.0.1", port)
        ends.append(end)
    await asyncio.wait_for(asyncio.gather(*ends), seconds + 30)
    took = time.perf_counter() - began
    return {"kept": sum(s.kept for s in senders), "refused": sum(s.refused for s in senders), "seconds": took}


if __name__ == "__main__":
    port, key, connections, events, seconds = sys.argv[1:]
    # Each round begins elsewhere, so that no message is taken for a repeat.
    _numbers = count(randbelow(10**15))
    print(json.dumps(uvloop.run(send(int(port), key, int(connections), int(events), float(seconds)))))
