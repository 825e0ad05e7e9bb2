"""A running application over a store, with one key of each kind."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest
from litestar.testing import TestClient

from keepers.app.operations.events import EventIntake
from keepers.app.workspace.clock import clock
from keepers.http.application import create_app
from keepers.store import keys
from keepers.store.database import Store
from keepers.store.events import inbox
from keepers.store.events.inbox import PendingRequest


class Door:
    """The client, the store behind it, and a header for each kind of key."""

    def __init__(self, client: TestClient, store: Store, tokens: dict[str, str]) -> None:
        self.client = client
        self.store = store
        self.tokens = tokens

    def header(self, kind: str = "write") -> dict[str, str]:
        token = self.tokens.get(kind, kind)
        return {"Authorization": "Basic " + base64.b64encode(f"{token}:".encode()).decode()}

    def kept(self) -> list[PendingRequest]:
        with self.store.read_inbox() as connection:
            return inbox.read(connection, 10_000)


@pytest.fixture
def arrivals() -> list[int]:
    """Grows by one whenever the application says that something arrived."""
    return []


@pytest.fixture
def door(store: Store, arrivals: list[int]) -> Iterator[Door]:
    """On both engines."""
    with store.begin() as connection:
        tokens = {kind: keys.create(connection, kind, kind, clock())[1] for kind in keys.KINDS}
        ended, tokens["revoked"] = keys.create(connection, "write", "old", clock())
        keys.revoke(connection, ended.id, clock())
    app = create_app(EventIntake(store, on_arrival=lambda: arrivals.append(1)), clock=clock)
    with TestClient(app) as client:
        yield Door(client, store, tokens)
