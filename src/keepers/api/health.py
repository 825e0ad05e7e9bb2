"""Whether the server lives, whether it can take events, and what it has done, in Prometheus' words."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from keepers.api.collect import Collector
from keepers.model.errors import KeepersError
from keepers.store import inbox
from keepers.store.database import Store
from keepers.store.migrate import is_current

log = logging.getLogger("keepers")
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Figures:
    """What the server counts. Each server has a registry of its own; other stages may register there too."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.accepted = Counter("keepers_events_accepted", "Events acknowledged.", registry=self.registry)
        self.refused = Counter("keepers_events_refused", "Events refused, each with a reason.", registry=self.registry)
        self._requests = Counter(
            "keepers_requests", "Requests to /v1 by answer.", ["call", "status"], registry=self.registry
        )
        self.commits = Histogram(
            "keepers_commit_seconds", "Time of one group commit.", buckets=_SECONDS, registry=self.registry
        )
        self.group = Histogram(
            "keepers_commit_requests",
            "Requests made durable by one commit.",
            buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000),
            registry=self.registry,
        )
        self.depth = Gauge("keepers_inbox_depth", "Requests waiting to be identified.", registry=self.registry)
        self.waiting = Gauge("keepers_commit_queue", "Requests waiting for the disk.", registry=self.registry)
        self._by_answer: dict[tuple[str, int], Counter] = {}

    def answered(self, call: str, status: int) -> None:
        """Counts one request. `call` must come from a fixed set: every value is a time series."""
        counter = self._by_answer.get((call, status))
        if counter is None:
            counter = self._by_answer[call, status] = self._requests.labels(call, str(status))
        counter.inc()

    def committed(self, requests: int, seconds: float) -> None:
        """Notes one group commit."""
        self.commits.observe(seconds)
        self.group.observe(requests)


def health_handlers(
    store: Store, collector: Collector, figures: Figures, notes: Callable[[], dict[str, str]] | None = None
) -> list[HTTPRouteHandler]:
    """`/health`, `/ready` and `/metrics`; none needs a key. `notes` are told by /ready besides."""

    @get("/health", summary="Whether the process lives", tags=["health"], sync_to_thread=False)
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @get("/ready", summary="Whether events can be taken now", tags=["health"])
    async def ready() -> Response[dict[str, str]]:
        problem = await asyncio.to_thread(_problem, store, collector)
        if problem:
            return Response({"status": "not ready", "reason": problem}, status_code=503)
        # A tick that fails does not keep events from being taken, so it is told and the answer stays 200.
        return Response({"status": "ready", **(notes() if notes is not None else {})})

    @get("/metrics", summary="Prometheus metrics", tags=["health"], media_type="text/plain")
    async def metrics() -> Response[bytes]:
        figures.waiting.set(collector.waiting)
        figures.depth.set(await asyncio.to_thread(_depth, store))
        return Response(generate_latest(figures.registry), media_type=CONTENT_TYPE_LATEST)

    return [health, ready, metrics]


def _problem(store: Store, collector: Collector) -> str:
    """Why events cannot be taken; empty when they can."""
    try:
        store.ping()
        if not is_current(store):
            return "The store's schema is not this version's. Start the server again, which upgrades it."
    except KeepersError as error:
        # Whoever asks here has shown no key, and the error names hosts and folders.
        log.warning("Not ready: %s", error.message)
        return "The store does not answer. The server's log says more."
    return "" if collector.is_running else "The collector has stopped. Start the server again."


def _depth(store: Store) -> int:
    with store.read_inbox() as connection:
        return inbox.depth(connection)
