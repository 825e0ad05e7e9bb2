"""A running application over a store, with one key of each kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
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
from public_shop import Shop, app_of, opened
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


@pytest.fixture
def site(store: Store, tmp_path: Path) -> Iterator[Shop]:
    """What customers reach, on both engines, with one key of each kind."""
    with opened(store, tmp_path) as site:
        site.add_keys()
        yield site


@pytest.fixture
def client(site: Shop) -> Iterator[TestClient]:
    """A browser of the shop's customers."""
    with TestClient(app_of(site, clock)) as client:
        yield client
