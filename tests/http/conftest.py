"""A running application over a store, with one key of each kind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from litestar.testing import TestClient

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
    app = create_app(EventIntake(store, on_arrival=lambda: arrivals.append(1)), clock=clock)
    with TestClient(app) as client:
        yield TrackingClient(client, store, tokens)
