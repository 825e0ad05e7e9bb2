"""From an event to its message: a thousand events a second into `keepers serve`, and when each queued message is seen.

The yardstick is the same server with no journey: when the tick that took the event has ended.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
import time
from base64 import b64encode
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

from benchmarks import shop, smtp
from benchmarks.definitions import LIFECYCLES, PURCHASE, SEGMENTS
from benchmarks.figures import Figure, Plan
from benchmarks.ingest import free_ports, running
from benchmarks.workspace import keepers, keepers_command
from keepers.app.workspace.clock import clock
from keepers.model.moments import format_instant
from keepers.orchestration.advance import CURSOR

_RATE = 1000
_SIZE = 10
"""events in a request"""
_EVERY = 10
"""one event of so many starts a journey"""
_SECONDS = 20
_WARM_UP_S = 6
_LONGEST_S = 120.0


def measure(plan: Plan) -> list[Figure]:
    """Seconds from sending, median and 99th percentile, without those of the first seconds."""
    seconds = _WARM_UP_S + (8 if plan.quick else _SECONDS)
    ours = _latencies(plan, "message", shop.playbook(shop.HELLO), seconds)
    tick = _latencies(plan, "tick", shop.playbook(), seconds)
    remark = (
        f"{_RATE:,} events/s for {seconds} s, every {_EVERY}th starts a journey; {len(SEGMENTS) + len(LIFECYCLES)} "
        f"definitions; yardstick: the end of the tick where there are no journeys; {len(ours):,} messages"
    )
    figures = []
    for name, share, most in (("p50", 0.5, 1.0), ("p99", 0.99, 3.0)):
        found, beside = _at(ours, share), _at(tick, share)
        goal = f"≤ {most:g} s"
        figures.append(
            Figure(f"event to queued message, {name}", found, "s", beside, found / beside, goal, found <= most, remark)
        )
        remark = ""
    return figures


def _at(values: list[float], share: float) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def _latencies(plan: Plan, name: str, book: dict[str, Any], seconds: int) -> list[float]:
    number = _RATE // _EVERY * seconds
    with smtp.sink() as mail_port:
        folder = shop.make(plan.folder / f"reacting_{name}", {**book, **_definitions()}, shop.mail_settings(mail_port))
        plan.say(f"event to {name}: {number:,} customers")
        with shop.opened(folder) as workspace:
            shop.settle(workspace, number, clock() - timedelta(minutes=1))
        key = json.loads(keepers("keys", "create", "server", "-w", str(folder), "--json"))["token"]
        (port,) = free_ports(1)
        plan.say(f"event to {name}: {_RATE:,} events/s for {seconds} s")
        sees_messages = name == "message"
        with running([*keepers_command(), "serve", "-w", str(folder), "--port", str(port)], port):
            sent, seen = _play(folder, port, key, seconds, number, sees_messages=sees_messages)
    if missing := sent.keys() - seen.keys():
        raise RuntimeError(f"{len(missing)} of {len(sent)} events came to nothing within {_LONGEST_S:g} s")
    with shop.opened(folder) as workspace:
        shop.require_statuses(workspace, {"sent": number} if sees_messages else {})
    first = min(sent.values()) + _WARM_UP_S
    return [seen[n] - at for n, at in sent.items() if at >= first]


def _definitions() -> dict[str, Any]:
    return {
        "events": [PURCHASE],
        "segments": [{"id": name, "who": who} for name, who in SEGMENTS.items()],
        "lifecycles": [
            {"id": name, "stages": [{"id": stage, "when": when} for stage, when in stages]}
            for name, stages in LIFECYCLES.items()
        ],
    }


def _play(
    folder: Path, port: int, key: str, seconds: int, number: int, *, sees_messages: bool
) -> tuple[dict[int, float], dict[int, float]]:
    """When each numbered event was sent, and when what it leads to was there to be read.

    Both by `time.monotonic`, which is one for all processes of a machine. Returns within `seconds` and `_LONGEST_S`.
    """
    until = time.monotonic() + seconds + _LONGEST_S
    # A file and not a pipe: the sender would stop at a full pipe, which is read only after it has ended.
    answer = folder / "sent.json"
    command = [sys.executable, "-m", "benchmarks.reacting", str(port), key, str(seconds), str(answer)]
    file = folder / "data" / "keepers.db"
    with (
        subprocess.Popen(command) as sender,
        closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, isolation_level=None)) as connection,
    ):
        try:
            seen = _watch(connection, number, sender, until, sees_messages=sees_messages)
            code = sender.wait(max(until - time.monotonic(), 1.0))
        except subprocess.TimeoutExpired:
            raise RuntimeError(
                f"{_RATE:,} events/s for {seconds} s were not taken within {_LONGEST_S:g} s more; {len(seen):,} of "
                f"{number:,} were seen to their end"
            ) from None
        finally:
            sender.kill()
    if code:
        raise RuntimeError(f"the sender of events ended with code {code}")
    return {int(n): at for n, at in json.loads(answer.read_text(encoding="utf-8")).items()}, seen


def _watch(
    connection: sqlite3.Connection, number: int, sender: subprocess.Popen[bytes], until: float, *, sees_messages: bool
) -> dict[int, float]:
    """When the message, or the end of the tick, of each numbered event was there to be read.

    Ends when all were, when the sender failed, or at `until`. Messages are waited for until they have gone out.
    """
    seen: dict[int, float] = {}
    progress = _messages(connection) if sees_messages else _ticks(connection)
    while time.monotonic() < until and not sender.poll():
        seen |= dict.fromkeys(next(progress), time.monotonic())
        if len(seen) >= number and not (sees_messages and _on_their_way(connection)):
            break
        time.sleep(0.01)
    return seen


def _on_their_way(connection: sqlite3.Connection) -> int:
    query = "SELECT count(*) FROM messages WHERE status IN ('queued', 'claimed', 'handed_over')"
    return int(connection.execute(query).fetchone()[0])


def _messages(connection: sqlite3.Connection) -> Any:
    last = 0
    while True:
        rows = connection.execute(
            "SELECT id, json_extract(data, '$.trigger.n') FROM messages WHERE id > ? ORDER BY id", (last,)
        ).fetchall()
        last = rows[-1][0] if rows else last
        yield [n for _, n in rows]


def _ticks(connection: sqlite3.Connection) -> Any:
    last = 0
    while True:
        place = connection.execute("SELECT position FROM cursors WHERE name = ?", (CURSOR,)).fetchone()
        rows = connection.execute(
            "SELECT seq, json_extract(CAST(body AS TEXT), '$.properties.n') FROM log"
            " WHERE seq > ? AND seq <= ? AND event = 'Signed Up' ORDER BY seq",
            (last, place[0] if place else 0),
        ).fetchall()
        last = rows[-1][0] if rows else last
        yield [n for _, n in rows]


async def _send(port: int, key: str, seconds: int) -> dict[int, float]:
    """Requests at an even pace; those whose answer is late do not hold up the next ones. When each was sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    login = b64encode(f"{key}:".encode()).decode()
    sent: dict[int, float] = {}
    requests = _RATE * seconds // _SIZE
    began = time.monotonic()

    async def read() -> None:
        for _ in range(requests):
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(head.decode())
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)

    answers = asyncio.create_task(read())
    for request in range(requests):
        await asyncio.sleep(max(0.0, began + request * _SIZE / _RATE - time.monotonic()))
        body = json.dumps({"batch": [_event(request * _SIZE + n) for n in range(_SIZE)]}).encode()
        writer.write(
            f"POST /v1/batch HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Authorization: Basic {login}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        sent |= {
            n // _EVERY: time.monotonic() for n in range(request * _SIZE, (request + 1) * _SIZE) if n % _EVERY == 0
        }
        await writer.drain()
    await answers
    writer.close()
    return sent


def _event(n: int) -> dict[str, Any]:
    name = "Product Viewed" if n % _EVERY else "Signed Up"
    properties = {"price": n % 200, "category": "hats"} if n % _EVERY else {"n": n // _EVERY, "plan": "pro"}
    return {
        "type": "track",
        "messageId": f"r{n}",
        "userId": f"u{n // _EVERY}",
        "event": name,
        "timestamp": format_instant(clock()),
        "properties": properties,
    }


if __name__ == "__main__":
    port, key, seconds, answer = sys.argv[1:]
    longest_s = int(seconds) + _LONGEST_S
    found = asyncio.run(asyncio.wait_for(_send(int(port), key, int(seconds)), longest_s))
    Path(answer).write_text(json.dumps(found), encoding="utf-8")
