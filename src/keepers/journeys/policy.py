"""Whether a message may go: allowed, held until an instant, or skipped with the reason."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class Allow(Struct, frozen=True, tag=True):
    """It may go now."""


class Hold(Struct, frozen=True, tag=True):
    """It may go, not before `until` (UTC); policy is asked again then."""

    until: datetime
    reason: str


class Skip(Struct, frozen=True, tag=True):
    """It does not go."""

    reason: str


Decision = Allow | Hold | Skip
ALLOW = Allow()
