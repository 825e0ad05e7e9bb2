"""How the ticking of a server goes."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class TickerStatus(Struct, frozen=True):
    """How the ticking goes. `trouble` says what keeps ticks from succeeding; it is empty when they do.

    `took_s` is the time of the last tick that did something, `failures` how many failed in a row.
    """

    is_ticking: bool = False
    ticked_at: datetime | None = None
    took_s: float | None = None
    failures: int = 0
    trouble: str = ""
