"""Whether the server lives, whether it can take events, and what it has done, in Prometheus' words."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from keepers.app.operations.events import EventIntake
from keepers.http.common.auth import Guard
from keepers.http.common.metrics import ServerMetrics


def health_handlers(
    events: EventIntake,
    figures: ServerMetrics,
    reading: Guard,
    notes: Callable[[], dict[str, str]] | None = None,
) -> list[HTTPRouteHandler]:
    """`/health` and `/ready`, which need no key, and `/metrics` behind `reading`. /ready includes `notes`,
    which may block."""

    @get("/health", summary="Whether the process lives", tags=["health"], sync_to_thread=False)
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @get("/ready", summary="Whether events can be taken now", tags=["health"])
    async def ready() -> Response[dict[str, str]]:
        problem = await asyncio.to_thread(events.why_not_ready)
        if problem:
            return Response({"status": "not ready", "reason": problem}, status_code=503)
        # Events are accepted although ticks fail, so the failure is reported and the status stays 200.
        found = await asyncio.to_thread(notes) if notes is not None else {}
        return Response({"status": "ready", **found})

    @get("/metrics", summary="Prometheus metrics", tags=["health"], media_type="text/plain", guards=[reading])
    async def metrics() -> Response[bytes]:
        figures.waiting.set(events.waiting)
        figures.depth.set(await asyncio.to_thread(events.inbox_depth))
        return Response(generate_latest(figures.registry), media_type=CONTENT_TYPE_LATEST)

    return [health, ready, metrics]
