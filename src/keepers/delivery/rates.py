"""What a channel gets at a time: messages per second, and how many are handed over ahead of being sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from statistics import fmean
from typing import NamedTuple

MOST = 256
LONGEST_S = 0.5
"""how long messages may be handed over before they are sent"""
_SHORT_S = 0.25


class Attempt(NamedTuple):
    """When a message was handed over and when its attempt began, in seconds of one clock."""

    channel: str
    handed_over_s: float
    began_s: float


class HandOverWindow:
    """The window of one channel: beside the messages that are being sent, `ahead` may be handed over and wait.

    By Little's law the number that waits is the channel's speed times the wait, so that a bound on the wait bounds how
    many seconds' worth it is, without measuring the speed. It begins with none, doubles while waits are short, and
    shrinks when they are long.
    """

    def __init__(self) -> None:
        self.ahead = 0
        self._changed_s = float("-inf")

    def adjust(self, begun: Sequence[Attempt], now_s: float, *, is_limiting: bool) -> None:
        """Learns from attempts. `is_limiting` is whether more messages were waiting than the window let through."""
        # What was handed over before the last change shows the former window.
        waits_s = [one.began_s - one.handed_over_s for one in begun if one.handed_over_s >= self._changed_s]
        if not waits_s:
            return
        wait_s = fmean(waits_s)
        if wait_s > LONGEST_S and self.ahead:
            self._set(max(self.ahead // 2, int(self.ahead * LONGEST_S / wait_s)), now_s)
        elif wait_s < _SHORT_S and is_limiting and self.ahead < MOST:
            self._set(min(max(self.ahead * 2, 1), MOST), now_s)

    def _set(self, ahead: int, now_s: float) -> None:
        self.ahead = ahead
        self._changed_s = now_s


class Windows:
    """The windows of a worker's channels, kept from call to call."""

    def __init__(self) -> None:
        self._windows: dict[str, HandOverWindow] = {}

    def of(self, channel: str) -> HandOverWindow:
        return self._windows.setdefault(channel, HandOverWindow())


SLOWED_PER_S = 1.0
"""messages of a stream that is refused for its content or for who sends it"""


class Rates:
    """Token buckets of one second's messages, at least one, by channel and by stream (`email.marketing`). What has no
    rate is unlimited."""

    def __init__(self, per_second: Mapping[str, float]) -> None:
        self._own = {channel: rate for channel, rate in per_second.items() if rate > 0}
        self._rates = dict(self._own)
        self._left = {channel: max(rate, 1.0) for channel, rate in self._rates.items()}
        self._at: datetime | None = None

    def slow(self, streams: Iterable[str]) -> None:
        """Slows these streams down, and no others any more."""
        self._rates = self._own | dict.fromkeys(streams, SLOWED_PER_S)
        self._left = {name: self._left.get(name, max(rate, 1.0)) for name, rate in self._rates.items()}

    def most(self, now: datetime) -> dict[str, int]:
        """How many messages each limited channel and stream may get at `now`."""
        passed = max((now - self._at).total_seconds(), 0.0) if self._at is not None else 0.0
        self._at = now if self._at is None else max(now, self._at)
        for channel, rate in self._rates.items():
            self._left[channel] = min(self._left[channel] + passed * rate, max(rate, 1.0))
        return {channel: int(left) for channel, left in self._left.items()}

    def used(self, names: Iterable[str]) -> None:
        """Counts a message for each of these channels and streams."""
        for name in names:
            if name in self._left:
                self._left[name] -= 1
