"""A running application over a store, with one key of each kind."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from litestar.testing import TestClient

from keepers.app.access.page_access import PageAccess
from keepers.app.operations.events import EventIntake
from keepers.app.workspace.clock import clock
from keepers.http.application import create_app
from keepers.store import keys
from keepers.store.database import Store
from tracking_client import TrackingClient


@pytest.fixture
def arrivals() -> list[int]:
    """Grows by one whenever the application says that something arrived."""
    return []


@pytest.fixture
def tracking(store: Store, arrivals: list[int]) -> Iterator[TrackingClient]:
    """On both engines."""
    with store.begin() as connection:
        tokens = {kind: keys.create(connection, kind, kind, clock())[1] for kind in keys.KINDS}
        ended, tokens["revoked"] = keys.create(connection, "write", "old", clock())
        keys.revoke(connection, ended.id, clock())
    events = EventIntake(store, on_arrival=lambda: arrivals.append(1))
    workspace: Any = SimpleNamespace(store=store, key_ring=events.keys)
    app = create_app(events, clock=clock, access=PageAccess(workspace))
    with TestClient(app) as client:
        yield TrackingClient(client, store, tokens)
