"""Circuit breakers: at which shares of complaints and bounces a stream is warned about, and stopped."""

from __future__ import annotations

from typing import Literal, NamedTuple

from keepers.contact.rules import Breakers

WINDOW = 1000
"""sends of a stream whose bounces and complaints are looked at; of fewer the rest are taken to be fine"""
RECOVERED = "recovered"
REFUSALS = "refusals"
"""the reason of a warning by which a stream is slowed down"""


class StreamCounts(NamedTuple):
    """Of a stream's last sends (at most WINDOW): how many, how many bounced hard, were called spam, and were refused
    for their content or for the reputation of who sends."""

    sends: int
    hard_bounces: int
    complaints: int
    refusals: int = 0


class BreakerDecision(NamedTuple):
    """What becomes of a stream, and why: `stop` it, `warn` about it, or it is `fine`."""

    action: Literal["stop", "warn", "fine"]
    reason: str


def stream_of(channel: str, is_transactional: bool) -> str:
    """Whose sending one breaker stops: transactional messages have a stream of their own."""
    return f"{channel}.{'transactional' if is_transactional else 'marketing'}"


def check_stream(breakers: Breakers, counts: StreamCounts) -> BreakerDecision:
    """Stopping comes before warning, complaints before bounces, these before refusals."""
    of = max(counts.sends, WINDOW)
    shares = (
        ("complaints", breakers.complaints, counts.complaints / of),
        ("hard_bounces", breakers.hard_bounces, counts.hard_bounces / of),
        (REFUSALS, breakers.refusals, counts.refusals / of),
    )
    for reason, thresholds, share in shares:
        if thresholds.stop is not None and share >= thresholds.stop:
            return BreakerDecision("stop", reason)
    for reason, thresholds, share in shares:
        if thresholds.warn is not None and share >= thresholds.warn:
            return BreakerDecision("warn", reason)
    return BreakerDecision("fine", RECOVERED)
