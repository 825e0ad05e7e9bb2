"""Ingest over HTTP: acknowledged, durable events a second beside an empty handler of the same server."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import IO

from benchmarks.figures import Figure, Plan, median
from benchmarks.workspace import keepers, keepers_command

_START_S = 120.0
_CONNECTIONS = {1: 64, 100: 16}


def measure_single(plan: Plan) -> list[Figure]:
    """One event a request."""
    ours, theirs, ratio = _rates(plan, events=1)
    return [
        Figure("ingest, single", ours, "events/s", theirs, ratio, "ratio ≥ 0.75", ratio >= 0.75),
    ]


def measure_batch(plan: Plan) -> list[Figure]:
    """A hundred events a request."""
    ours, theirs, ratio = _rates(plan, events=100)
    return [
        Figure("ingest, batches of 100", ours, "events/s", theirs, ratio, "≥ 50,000 events/s", ours >= 50_000),
    ]


def _rates(plan: Plan, events: int) -> tuple[float, float, float]:
    """Median events a second of Keepers and of the empty handler, and the median of their ratios round by round:
    in short turns, so that both meet the same machine."""
    folder = plan.folder / f"ingest{events}"
    keepers("init", str(folder), "--lifecycle", "value")
    key = json.loads(keepers("keys", "create", "server", "-w", str(folder), "--json"))["token"]
    ports = free_ports(2)
    rounds, seconds = (3, 1.5) if plan.quick else (9, 2.0)
    found: dict[int, list[float]] = {port: [] for port in ports}
    with ExitStack() as stack:
        stack.enter_context(
            running([*keepers_command(), "collect", "-w", str(folder), "--port", str(ports[0])], ports[0])
        )
        stack.enter_context(running([sys.executable, "-m", "benchmarks.empty_server", str(ports[1])], ports[1]))
        for n in range(rounds + 1):
            plan.say(f"ingest of {events}: round {n} of {rounds}" if n else f"ingest of {events}: warming up")
            for port in ports:
                rate = _send(port, key, events, seconds if n else 1.0)
                if n:
                    found[port].append(rate)
    ours, theirs = found[ports[0]], found[ports[1]]
    return median(ours), median(theirs), median([a / b for a, b in zip(ours, theirs, strict=True)])


def _send(port: int, key: str, events: int, seconds: float) -> float:
    command = [sys.executable, "-m", "benchmarks.sending", str(port), key, str(_CONNECTIONS[events])]
    done = subprocess.run(
        [*command, str(events), str(seconds)], capture_output=True, text=True, timeout=seconds + 60, check=True
    )
    answer = json.loads(done.stdout)
    if answer["refused"]:
        raise RuntimeError(f"{answer['refused']} of {answer['kept']} requests were not taken")
    return float(answer["kept"] * events / answer["seconds"])


@contextmanager
def running(command: list[str], port: int) -> Iterator[None]:
    """A server for as long as the block lasts, from when it listens."""
    # A file and not a pipe: a pipe that nobody reads stops the server when it is full.
    with tempfile.TemporaryFile() as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            _await(process, port, command, output)
            yield
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def _await(process: subprocess.Popen[bytes], port: int, command: list[str], output: IO[bytes]) -> None:
    until = time.monotonic() + _START_S
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        with socket.socket() as probe:
            probe.settimeout(0.2)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    output.seek(0)
    what = f"does not listen on port {port}" if process.poll() is None else "ended"
    raise RuntimeError(f"{' '.join(command)} {what}: {output.read().decode()}")


def free_ports(number: int) -> list[int]:
    """Ports that nobody listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
