"""Rate limits: how often a visitor may do something within a span, counted in memory."""

from __future__ import annotations

from datetime import datetime, timedelta
from threading import Lock


class Allowance:
    """`most` times within `span` per key, in fixed spans. Threads may share it.

    At most `most_keys` visitors are counted; when more come within one span all counts are reset, which bounds
    memory.
    """

    def __init__(self, most: int, span: timedelta, most_keys: int = 100_000) -> None:
        self._most = most
        self._span = span
        self._most_keys = most_keys
        self._counts: dict[str, int] = {}
        self._since: datetime | None = None
        self._lock = Lock()

    def spend(self, key: str, now: datetime) -> timedelta | None:
        """Counts one use. None when it is allowed, else how long until the next may be."""
        with self._lock:
            if self._since is None or not timedelta() <= now - self._since < self._span:
                self._since, self._counts = now, {}
            used = self._counts.get(key, 0)
            if used >= self._most:
                return self._span - (now - self._since)
            if len(self._counts) >= self._most_keys and key not in self._counts:
                self._counts = {}
            self._counts[key] = used + 1
            return None
