"""Clients that hold connections, send slowly or send without end, against a running server."""

from __future__ import annotations

import gzip
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from keepers.channels.connection_counts import ConnectionCounts
from keepers.channels.networks import block_of, network_of, site_of
from serving import SECRET, SERVER, Serving, serving
from workspaces import keepers, make

TIME_S = 2.0
"""for headers, and for bodies; what ends when is tested by a clock that is moved, in test_http_times.py"""
PATIENCE_S = 120.0
"""how long a test waits for what a server does at all"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, migrated_folder: Path) -> Iterator[Serving]:
    folder = make(tmp_path_factory.mktemp("attacked") / "shop", migrated_folder)
    with (folder / "keepers.toml").open("a") as toml:
        toml.write(f"[server]\nheader_seconds = {TIME_S}\nbody_seconds = {TIME_S}\n")
    for kind, token in (("server", SERVER), ("secret", SECRET)):
        keepers("-w", folder, "keys", "create", kind, "--token", token)
    with serving(folder, "--no-tick") as running:
        yield running


@pytest.fixture(autouse=True)
def files() -> None:
    """Enough open files for the attacker too."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < 4096:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))


def connected(server: Serving, source: str = "127.0.0.1") -> socket.socket:
    host, _, port = server.address.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=PATIENCE_S, source_address=(source, 0))


def answer(client: socket.socket) -> bytes:
    """All that is answered until the server closes the connection."""
    got = b""
    while True:
        try:
            data = client.recv(65_536)
        except ConnectionResetError:
            return got
        if not data:
            return got
        got += data


def status(client: socket.socket) -> bytes:
    return answer(client).partition(b" ")[2][:3]


def require_answers(server: Serving, number: int = 20) -> None:
    """Others are answered meanwhile; how slow a machine may be is not this test's to say."""
    for _ in range(number):
        assert httpx.get(f"{server.address}/health", timeout=PATIENCE_S, trust_env=False).status_code == 200


def memory(server: Serving) -> int:
    """Resident bytes of the server's process."""
    shown = subprocess.run(["ps", "-o", "rss=", "-p", str(server.process.pid)], capture_output=True, check=True)
    return int(shown.stdout) * 1024


def figure(server: Serving, name: str) -> float:
    bearer = {"Authorization": f"Bearer {SECRET}"}
    got = httpx.get(f"{server.address}/metrics", headers=bearer, timeout=PATIENCE_S, trust_env=False)
    text = got.raise_for_status().text
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name))


def test_silent_connections_are_no_outage(server: Serving) -> None:
    with ExitStack() as stack:
        silent = [stack.enter_context(connected(server)) for _ in range(1100)]
        require_answers(server)
        assert figure(server, "keepers_connections ") <= 200
        assert figure(server, 'keepers_connections_ended_total{reason="made room"}') >= 900
        # Those left are closed for their silence: none is waited for in vain.
        assert {answer(client) for client in silent} == {b""}


def test_silent_connections_of_many_addresses_are_no_outage(server: Serving) -> None:
    with ExitStack() as stack:
        for n in range(10):
            for _ in range(120):
                stack.enter_context(connected(server, f"127.0.0.{n + 2}"))
        require_answers(server)
        assert figure(server, "keepers_connections ") <= 1000


@pytest.mark.parametrize("line", [b"X-Long: ", b"X-Many: 1\r\n", b"/"], ids=["one field", "many fields", "the address"])
def test_headers_without_end_are_refused_early(server: Serving, line: bytes) -> None:
    before = memory(server)
    with connected(server) as client:
        start = b"GET /" if line == b"/" else b"GET /health HTTP/1.1\r\nHost: x\r\n" + line
        chunk = (line if line.endswith(b"\n") else b"a" * len(line)) * (65_536 // len(line))
        sent = len(start)
        try:
            client.sendall(start)
            for _ in range(1024):
                client.sendall(chunk)
                sent += len(chunk)
        except (ConnectionError, TimeoutError):
            pass
        assert sent < 32 << 20, "the 64 MB are not taken"
        assert memory(server) - before < 16 << 20


def test_headers_over_the_limit_are_answered_431(server: Serving) -> None:
    for fields in (b"X: " + b"a" * 70_000, b"\r\n".join(b"X-%d: %s" % (n, b"a" * 50) for n in range(1400))):
        with connected(server) as client:
            client.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n" + fields + b"\r\n\r\n")
            assert status(client) == b"431"
    with connected(server) as client:
        client.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: " + b"a" * 60_000 + b"\r\n\r\n")
        assert status(client) == b"200"


POST = b"POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


def test_chunks_with_endless_extensions_and_trailers_are_ended(server: Serving) -> None:
    chunked = POST + b"Transfer-Encoding: chunked\r\n\r\n"
    for start, more in ((b"1;", b"x" * 65_536), (b"0\r\n", b"X: y\r\n" * 10_000)):
        with connected(server) as client, pytest.raises(ConnectionError):  # noqa: PT012 - which call fails is chance
            client.sendall(chunked + start)
            for _ in range(600):
                client.sendall(more)
            raise AssertionError("40 MB were taken")


def test_others_are_answered_while_many_send_slowly(server: Serving) -> None:
    with ExitStack() as stack:
        slow = [stack.enter_context(connected(server)) for _ in range(150)]
        for client in slow:
            client.sendall(POST + b"Content-Length: 1000\r\n\r\n{")
        require_answers(server, 40)
        assert {status(client) for client in slow} == {b"408"}


def test_several_requests_on_one_connection_are_answered(server: Serving) -> None:
    one = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    with connected(server) as client:
        client.sendall(one * 3 + one[:10])
        got = b""
        while got.count(b"HTTP/1.1 200 ") < 3:
            got += client.recv(65_536)
        client.sendall(one[10:].replace(b"Host", b"Connection: close\r\nHost"))
        assert (got + answer(client)).count(b"HTTP/1.1 200 ") == 4


def test_a_gzip_bomb_is_refused_without_unpacking_it(server: Serving) -> None:
    bomb = gzip.compress(b" " * 200_000_000, 9)[:500_000]
    before = memory(server)
    response = httpx.post(
        f"{server.address}/v1/batch",
        content=bomb,
        headers={"content-encoding": "gzip", "content-type": "application/json"},
        auth=(SERVER, ""),
        timeout=PATIENCE_S,
        trust_env=False,
    )
    assert response.status_code == 413
    assert memory(server) - before < 16 << 20


def test_networks_are_counted_as_whoever_has_them() -> None:
    assert network_of("2001:db8:1:2:3:4:5:6") == network_of("2001:db8:1:2::1") != network_of("2001:db8:1:3::1")
    assert network_of("::ffff:192.0.2.1") == network_of("192.0.2.1") == "192.0.2.1"
    assert site_of("2001:db8:1:2::1") == "2001:db8:1::/48"
    assert block_of("2001:db8:1:2::1") == "2001:db8::/32"
    assert block_of("192.0.2.1") == block_of("::ffff:192.0.3.1") == "192.0.0.0/16"
    assert network_of("nobody") == site_of("nobody") == block_of("nobody") == ""
    counts = ConnectionCounts(3, 2)
    counts.add("a")
    counts.add("a")
    assert counts.has_enough("a")
    assert not counts.has_enough("b")
    counts.add("b")
    assert counts.is_full
    counts.remove("a")
    assert not counts.is_full
    with pytest.raises(KeyError):
        counts.remove("c")


def test_a_server_that_may_open_few_files_takes_fewer_connections() -> None:
    script = (
        "import resource\n"
        "from keepers.server.connections import raise_file_limit\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (300, 400))\n"
        "print(raise_file_limit(100), raise_file_limit(1000), resource.getrlimit(resource.RLIMIT_NOFILE)[0])\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.split() == ["100", "144", "400"]
    assert "takes 144 connections instead of 1000" in ran.stderr
