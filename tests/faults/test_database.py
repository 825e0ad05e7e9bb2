"""PostgreSQL stopped and started again, or out of connections, under a running server: nothing acknowledged is lost."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

import workspaces
from conftest import Postgres
from serving import SECRET, WRITE, Serving, keepers, serving
from waiting import wait_for


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """A server of this test's own, with few connections: it may be stopped."""
    folder = Path(tempfile.mkdtemp(prefix="kpg-"))
    running = Postgres(folder)
    running.execute("ALTER SYSTEM SET max_connections = 20")
    running.server.stop()
    running.server.start()
    yield running
    running.server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def folder(own_postgres: Postgres, tmp_path: Path, migrated_folder: Path) -> Path:
    made = workspaces.make(tmp_path / "shop", migrated_folder, address=own_postgres.migrated())
    for kind, token in (("secret", SECRET), ("write", WRITE)):
        keepers(made, "keys", "create", kind, "--token", token)
    return made


def send(server: Serving, number: int) -> httpx.Response:
    event = {"userId": f"d{number}", "event": "Order Completed", "messageId": f"d{number}"}
    return httpx.post(f"{server.address}/v1/track", json=event, auth=(WRITE, ""), timeout=120)


def arrived(server: Serving, numbers: set[int]) -> None:
    """Waits until all of them are customers: ticks went on by themselves."""
    with server.api() as api:
        for number in sorted(numbers, reverse=True):
            wait_for(lambda number=number: api.get(f"/profiles?id=d{number}").json().get("items"))


def ready(server: Serving) -> int:
    return httpx.get(f"{server.address}/ready", timeout=120).status_code


def test_a_database_that_is_gone_for_a_while_costs_nothing(folder: Path, own_postgres: Postgres) -> None:
    with serving(folder) as server:
        acknowledged = {n for n in range(3) if send(server, n).status_code == 200}
        assert len(acknowledged) == 3
        own_postgres.server.stop()
        assert wait_for(lambda: ready(server) == 503)
        for n in range(3, 8):
            answer = send(server, n)
            assert answer.status_code == 503
            assert int(answer.headers["Retry-After"]) > 0
        ran = workspaces.keepers("-w", folder, "doctor")
        assert ran.code
        assert "does not answer" in ran.err
        own_postgres.server.start()
        assert wait_for(lambda: ready(server) == 200)
        assert wait_for(lambda: send(server, 8).status_code == 200)
        arrived(server, acknowledged | {8})
        with server.api() as api:
            found = wait_for(lambda: a if (a := api.get("/health").json())["status"] == "ok" else None)
            assert found["events"] == 4


def test_a_database_without_free_connections_is_said_and_waited_for(folder: Path, own_postgres: Postgres) -> None:
    address = own_postgres.server.get_uri()
    with serving(folder) as server:
        assert send(server, 0).status_code == 200
        held: list[psycopg.Connection[Any]] = []
        with pytest.raises(psycopg.OperationalError, match="too many clients"):
            held.extend(psycopg.connect(address) for _ in range(40))
        ran = workspaces.keepers("-w", folder, "keys", "list")
        acknowledged = {n for n in range(1, 6) if send(server, n).status_code == 200}
        for connection in held:
            connection.close()
        # A connection that the server holds already may do.
        assert ran.code == 0 or "too many clients" in ran.err
        assert "unexpected" not in ran.err
        assert wait_for(lambda: send(server, 6).status_code == 200)
        arrived(server, {0, 6} | acknowledged)
