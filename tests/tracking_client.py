"""A client of the tracking calls, with a key of each kind."""

from __future__ import annotations

import base64

from litestar.testing import TestClient

from keepers.store.database import Store
from keepers.store.events import inbox
from keepers.store.events.inbox import PendingRequest


class TrackingClient:
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
