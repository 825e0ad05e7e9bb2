"""Which arm a customer gets: by a stable hash, so that it is the same each time."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def fraction(journey: str, step: str, bucket_key: str) -> float:
    """md5(journey:step:bucket_key) read as a fraction in [0, 1)."""
    digest = hashlib.md5(f"{journey}:{step}:{bucket_key}".encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def pick(weights: Sequence[float], share: float) -> int:
    """Which of the weights a fraction in [0, 1) falls to."""
    total = sum(weights)
    reached = 0.0
    for n, weight in enumerate(weights):
        reached += weight / total
        if share < reached:
            return n
    return len(weights) - 1
