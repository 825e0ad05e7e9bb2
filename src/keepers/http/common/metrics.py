"""Prometheus figures."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class ServerMetrics:
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
        """Counts one group commit."""
        self.commits.observe(seconds)
        self.group.observe(requests)
