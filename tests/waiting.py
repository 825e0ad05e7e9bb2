"""Waits for what other processes and threads do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_for(seen: Callable[[], T], seconds: float = 150) -> T:
    """Looks until something truthy is there, and gives it. Long enough for a machine that does much else."""
    deadline = time.monotonic() + seconds
    while not (found := seen()):
        assert time.monotonic() < deadline, "It did not happen in time."
        time.sleep(0.05)
    return found
