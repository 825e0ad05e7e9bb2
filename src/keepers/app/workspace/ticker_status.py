"""The status of a server's ticker."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from keepers.model.errors import KeepersError


class TickerStatus(Struct, frozen=True):
    """`trouble` says why ticks fail and is None when they succeed.

    `took_s` is the time of the last tick that did something, `failures` how many failed in a row.
    """

    is_ticking: bool = False
    ticked_at: datetime | None = None
    took_s: float | None = None
    failures: int = 0
    trouble: KeepersError | None = None
