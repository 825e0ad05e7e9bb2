"""A server that is killed while clients send: whatever it acknowledged is counted once, and nothing twice."""

from __future__ import annotations

import random
import socket
import time
from threading import Event

import httpx

import workspaces
from crash.killing import log_of, serve
from crash.scenario import Place, Scenario
from order_clients import CLIENTS, Client
from processes import Working


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


class Ingest(Scenario):
    span_s = 0.5

    def __init__(self, place: Place, rounds: int, chance: random.Random) -> None:
        super().__init__(place, rounds, chance)
        workspaces.make(place.folder, place.migrated, lifecycles=["value"], address=place.address)
        with workspaces.opened(place.folder) as workspace:
            token = workspace.ensure_key("server", "clients") or ""
        self._port, self._over = _free_port(), Event()
        self._clients = [Client(n, f"http://127.0.0.1:{self._port}", token, self._over) for n in range(CLIENTS)]
        self._kills = 0

    def begin_round(self, number: int) -> None:
        """The clients go on through all rounds."""

    def start(self) -> list[Working]:
        place = [self.place.address or str(self.place.folder / "data"), self._port]
        server = Working(serve, place, log_of(self.place.folder))
        _wait_until_ready(self._port)
        for client in self._clients:
            if client.ident is None:
                client.start()
        return [server]

    def wait(self, working: Working, span_s: float) -> None:
        super().wait(working, span_s)
        self._kills += 1

    def end_round(self) -> None:
        """A server is only ever killed: the next round starts it again."""

    def outcome(self) -> None:
        (server,) = self.start()
        self._over.set()
        for client in self._clients:
            client.join(60)
            assert not client.is_alive()
        server.kill()
        folder = self.place.folder
        assert workspaces.keepers("-w", folder, "tick", "--until-idle").code == 0
        with workspaces.opened(folder) as workspace:
            cursor = workspace.warehouse.cursor()
            tracked = [n for (n,) in cursor.execute("SELECT (raw->>'$.properties.n')::BIGINT FROM tracks").fetchall()]
            typed = [int(n) for (n,) in cursor.execute("SELECT n FROM order_completed").fetchall()]
            skus = [sku for (sku,) in cursor.execute("SELECT sku FROM order_completed__products").fetchall()]
            with workspace.store.read_inbox() as connection:
                assert workspaces.inbox.depth(connection) == 0
        acknowledged = set.union(*(client.acknowledged for client in self._clients))
        abandoned = set.union(*(client.abandoned for client in self._clients))
        assert acknowledged
        assert len(tracked) == len(set(tracked))
        assert sorted(typed) == sorted(tracked)
        assert sorted(skus) == sorted(f"{part}{n}" for n in tracked for part in "ab")
        assert acknowledged <= set(tracked) <= acknowledged | abandoned
        assert sum(client.repeats for client in self._clients) >= self._kills, "the kills must fall among requests"
        self._acknowledged = len(acknowledged)

    def remark(self) -> str:
        return f"{self._acknowledged} events acknowledged"


SCENARIO = Ingest
