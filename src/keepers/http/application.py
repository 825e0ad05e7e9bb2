"""Puts the HTTP server together: events, health, and whatever other routers are handed in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from litestar import Litestar
from litestar.datastructures import State
from litestar.types import ControllerRouterHandler

from keepers.app.operations.keys import KeyRing
from keepers.http.common.metrics import ServerMetrics
from keepers.http.probes import health_handlers
from keepers.http.tracking.endpoint import Tracking
from keepers.ingest.collect import Collector
from keepers.model.event import LIMITS, Limits
from keepers.store.database import Store


def create_app(
    store: Store,
    *,
    clock: Callable[[], datetime],
    on_arrival: Callable[[], None] | None = None,
    handlers: Sequence[ControllerRouterHandler] = (),
    limits: Limits = LIMITS,
    most_waiting: int = 10_000,
    keys: KeyRing | None = None,
    figures: ServerMetrics | None = None,
    notes: Callable[[], dict[str, str]] | None = None,
    **options: Any,
) -> Litestar:
    """An ASGI application over a migrated store.

    `clock` gives the present as naive UTC. `on_arrival` is called, from a thread, after each commit of events.
    `handlers` are other routers and handlers; `options` go to Litestar as they are (exception handlers, OpenAPI,
    lifespan …). `notes` says what /ready should tell besides, such as that ticks fail. `app.state` has `store`,
    `keys`, `figures` and `collector`. At most `most_waiting` requests wait
    for the disk; more are answered 429.
    """
    keys = keys or KeyRing(store.read)
    figures = figures or ServerMetrics()
    collector = Collector(store, on_arrival, figures.committed, most_requests=most_waiting)

    @asynccontextmanager
    async def collecting(_app: Litestar) -> AsyncGenerator[None, None]:
        collector.start()
        try:
            yield
        finally:
            await asyncio.to_thread(collector.stop)

    tracking = Tracking(collector, keys, figures, clock, limits)
    state = {"store": store, "keys": keys, "figures": figures, "collector": collector}
    return Litestar(
        route_handlers=[tracking.handler(), *health_handlers(store, collector, figures, notes), *handlers],
        lifespan=[collecting, *options.pop("lifespan", ())],
        state=State({**options.pop("state", {}), **state}),
        **options,
    )
