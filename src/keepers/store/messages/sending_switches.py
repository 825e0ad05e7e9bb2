"""What stops sending: the kill switch for everything, and a circuit breaker per stream."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, delete, insert, select

from keepers.contact.breakers import REFUSALS
from keepers.contact.wave import SendingStops
from keepers.store.schema.messages import switches

SENDING = "sending"
_BREAKER = "brake:"
_WARNING = "warning:"
RELEASED = "released by hand"
"""the reason of a warning that somebody ended"""


class Switch(NamedTuple):
    """`sending` is on unless it was switched off; a breaker or warning (`brake:email.marketing`) is on when it is
    active."""

    name: str
    on: bool
    reason: str
    at: datetime

    @property
    def is_released(self) -> bool:
        return not self.on and self.reason == RELEASED


def everything(connection: Connection) -> dict[str, Switch]:
    """All switches that were ever set, by name."""
    query = select(switches.c.name, switches.c.on, switches.c.reason, switches.c.at)
    return {row[0]: Switch(*row) for row in connection.execute(query)}


def put(connection: Connection, name: str, on: bool, reason: str, now: datetime) -> None:
    """Sets a switch. `sending` off stops whatever is not handed over yet, in every worker."""
    connection.execute(delete(switches).where(switches.c.name == name))
    connection.execute(insert(switches).values(name=name, on=on, reason=reason, at=now))


def set_breaker(connection: Connection, stream: str, on: bool, reason: str, now: datetime) -> None:
    """Opens a breaker, which stops its stream, or closes it: sends before that moment then no longer count."""
    put(connection, _BREAKER + stream, on, reason, now)


def set_warning(connection: Connection, stream: str, on: bool, reason: str, now: datetime) -> None:
    """Sets or clears the warning that a stream is near its breaker."""
    put(connection, _WARNING + stream, on, reason, now)


def is_sending(known: Mapping[str, Switch]) -> bool:
    """Whether anything may be sent at all. `known` is `everything`."""
    return SENDING not in known or known[SENDING].on


def breaker(known: Mapping[str, Switch], stream: str) -> Switch | None:
    """The stream's breaker, when it was ever set."""
    return known.get(_BREAKER + stream)


def warning(known: Mapping[str, Switch], stream: str) -> Switch | None:
    return known.get(_WARNING + stream)


def open_breakers(known: Mapping[str, Switch]) -> frozenset[str]:
    """The streams whose breaker is open."""
    return frozenset(name.removeprefix(_BREAKER) for name, s in known.items() if name.startswith(_BREAKER) and s.on)


def stops(known: Mapping[str, Switch]) -> SendingStops:
    """What is switched off, as eligibility reads it."""
    reasons = {name.removeprefix(_BREAKER): s.reason for name, s in known.items() if name.startswith(_BREAKER) and s.on}
    return SendingStops(not is_sending(known), reasons)


def slowed_streams(known: Mapping[str, Switch]) -> frozenset[str]:
    """The marketing streams that go out slowly: those warned about for refusals that are the sender's fault."""
    warned = (s for name, s in known.items() if name.startswith(_WARNING) and s.on and s.reason == REFUSALS)
    names = (s.name.removeprefix(_WARNING) for s in warned)
    return frozenset(name for name in names if not name.endswith(".transactional"))


def warned_streams(known: Mapping[str, Switch]) -> frozenset[tuple[str, bool]]:
    """The streams with a warning, as (channel, is_transactional)."""
    names = (name.removeprefix(_WARNING) for name, s in known.items() if name.startswith(_WARNING) and s.on)
    streams = (name.rpartition(".") for name in names)
    return frozenset((channel, kind == "transactional") for channel, _, kind in streams)
