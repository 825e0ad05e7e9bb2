"""Which journeys are paused: their runs and messages stay where they are."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, delete, insert, select

from keepers.store.schema.journeys import journey_states


class JourneyState(NamedTuple):
    journey: str
    is_paused: bool
    at: datetime
    reason: str


def put(connection: Connection, journey: str, is_paused: bool, now: datetime, reason: str = "") -> None:
    """Pauses or resumes a journey."""
    connection.execute(delete(journey_states).where(journey_states.c.journey == journey))
    connection.execute(insert(journey_states).values(journey=journey, is_paused=is_paused, at=now, reason=reason))


def everything(connection: Connection) -> dict[str, JourneyState]:
    """All journeys that were ever paused, by id."""
    query = select(journey_states.c.journey, journey_states.c.is_paused, journey_states.c.at, journey_states.c.reason)
    return {row.journey: JourneyState(*row) for row in connection.execute(query)}


def paused(connection: Connection) -> frozenset[str]:
    """Those that are paused now."""
    return frozenset(journey for journey, state in everything(connection).items() if state.is_paused)
