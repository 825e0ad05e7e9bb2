"""A server that is killed while clients send: whatever it acknowledged is counted once, and nothing twice."""

from __future__ import annotations

import random
import socket
import time
from pathlib import Path
from threading import Event

import httpx
import pytest

import workspaces
from conftest import ENGINES, Postgres
from crash.killing import serve
from order_clients import CLIENTS, Client
from processes import Working

ROUNDS = 5


def _free_port() -> int:
    with socket.socket() as trying:
        trying.bind(("127.0.0.1", 0))
        return int(trying.getsockname()[1])


def _wait_until_ready(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/ready", trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            assert time.monotonic() < deadline, "the server was not ready within 30 seconds"
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_events_acknowledged_before_kills_are_counted_once(
    engine: str, tmp_path: Path, migrated_folder: Path, request: pytest.FixtureRequest
) -> None:
    postgres: Postgres | None = request.getfixturevalue("postgres") if engine == "postgres" else None
    address = postgres.migrated() if postgres else None
    folder = workspaces.make(tmp_path / "shop", migrated_folder, lifecycles=["value"], address=address)
    with workspaces.opened(folder) as workspace:
        token = workspace.ensure_key("write", "clients") or ""
    port, over, chance = _free_port(), Event(), random.Random(engine)
    place = [address or str(folder / "data"), port]
    clients = [Client(n, f"http://127.0.0.1:{port}", token, over) for n in range(CLIENTS)]
    server = Working(serve, place, tmp_path / "server.log")
    _wait_until_ready(port)
    for client in clients:
        client.start()
    for _ in range(ROUNDS):
        time.sleep(0.05 + chance.random() * 0.4)
        assert server.kill(), "the server must live until it is killed"
        server = Working(serve, place, tmp_path / "server.log")
        _wait_until_ready(port)
    over.set()
    for client in clients:
        client.join(60)
        assert not client.is_alive()
    server.kill()

    assert workspaces.keepers("-w", folder, "tick", "--until-idle").code == 0
    with workspaces.opened(folder) as workspace:
        cursor = workspace.warehouse.cursor()
        tracked = [n for (n,) in cursor.execute("SELECT (raw->>'$.properties.n')::BIGINT FROM tracks").fetchall()]
        typed = [int(n) for (n,) in cursor.execute("SELECT n FROM order_completed").fetchall()]
        skus = [sku for (sku,) in cursor.execute("SELECT sku FROM order_completed__products").fetchall()]
        with workspace.store.read_inbox() as connection:
            assert workspaces.inbox.depth(connection) == 0
    if postgres and address:
        postgres.drop(address)
    acknowledged = set.union(*(client.acknowledged for client in clients))
    abandoned = set.union(*(client.abandoned for client in clients))
    assert len(tracked) == len(set(tracked))
    assert sorted(typed) == sorted(tracked)
    assert sorted(skus) == sorted(f"{part}{n}" for n in tracked for part in "ab")
    assert acknowledged <= set(tracked) <= acknowledged | abandoned
    assert sum(client.repeats for client in clients) >= ROUNDS, "the kills must fall among requests"
