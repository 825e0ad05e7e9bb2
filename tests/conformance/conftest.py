"""A Keepers that listens on a free loopback port, for clients that are not ours."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from threading import Thread
from time import monotonic, sleep

import pytest
import uvicorn

from keepers.app.operations.events import EventIntake
from keepers.app.workspace.clock import clock
from keepers.app.workspace.settings import TEST_CLOCK
from keepers.http.application import create_app
from keepers.store import keys
from keepers.store.database import Store


class Running:
    """Its address, its store, and the write key that the recorded requests bring too."""

    write_key = "WK_PY"

    def __init__(self, host: str, store: Store) -> None:
        self.host = host
        self.store = store


@pytest.fixture
def running(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    # Clients that are not ours stamp with the machine's clock, and the server corrects by the difference to its own.
    monkeypatch.delenv(TEST_CLOCK)
    with store.begin() as connection:
        for token in ("WK_PY", "WK_RS", "WK_NODE"):
            keys.create(connection, "write", token, clock(), token=token)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(create_app(EventIntake(store), clock=clock), log_level="error", access_log=False)
        server = uvicorn.Server(config)
        thread = Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        deadline = monotonic() + 20
        while not server.started:
            assert monotonic() < deadline, "the server did not start within 20 seconds"
            sleep(0.01)
        yield Running(f"http://127.0.0.1:{listening.getsockname()[1]}", store)
        server.should_exit = True
        thread.join(20)
