"""Limits of messages per second, by channel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime


class Rates:
    """Token buckets of one second's messages, at least one. Channels without a rate are unlimited."""

    def __init__(self, per_second: Mapping[str, float]) -> None:
        self._rates = {channel: rate for channel, rate in per_second.items() if rate > 0}
        self._left = {channel: max(rate, 1.0) for channel, rate in self._rates.items()}
        self._at: datetime | None = None

    def most(self, now: datetime) -> dict[str, int]:
        """How many messages each limited channel may get at `now`."""
        passed = max((now - self._at).total_seconds(), 0.0) if self._at is not None else 0.0
        self._at = now if self._at is None else max(now, self._at)
        for channel, rate in self._rates.items():
            self._left[channel] = min(self._left[channel] + passed * rate, max(rate, 1.0))
        return {channel: int(left) for channel, left in self._left.items()}

    def used(self, channels: Iterable[str]) -> None:
        """Counts a message for each of these channels."""
        for channel in channels:
            if channel in self._left:
                self._left[channel] -= 1
