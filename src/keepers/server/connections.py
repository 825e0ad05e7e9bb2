"""The open connections of a server: how many there may be, and which make room when there are too many."""

from __future__ import annotations

import logging
import sys
from collections.abc import Hashable
from typing import Protocol

from msgspec import Struct
from prometheus_client import CollectorRegistry, Counter, Gauge

from keepers.channels.connection_counts import ConnectionCounts

_RESERVED = 256
"""file descriptors for stores, the warehouse, mail and calls to others"""
_FEWEST = 16
_REPORT_EVERY_S = 60.0
log = logging.getLogger("keepers")


class ConnectionLimits(Struct, frozen=True):
    """What clients may take, by the section `server` of the settings. Times in seconds."""

    header_s: float
    header_bytes: int
    body_s: float
    most: int
    most_of_network: int
    """0 for any number"""
    body_bytes_per_s: int = 500
    """how much later than `body_s` a body may end for its size; slower ones are cut off"""
    answer_s: float = 60.0
    """how long a client may take nothing of an answer that waits for it"""


class Connection(Hashable, Protocol):
    """What is asked of a connection."""

    network: str

    def give_way(self) -> None:
        """Closes it at once."""


class Connections:
    """Admits connections, and closes a waiting one when there is no room for a new one: of the same network when that
    has enough, else of the network with most connections among those that keep the server waiting; in that network the
    one that does so longest. For one event loop."""

    def __init__(self, limits: ConnectionLimits, registry: CollectorRegistry) -> None:
        self.limits = limits
        self._counts = ConnectionCounts(limits.most, limits.most_of_network)
        self._waiting: dict[str, dict[Connection, None]] = {}
        """network → its connections that wait for their client, longest first"""
        self._reported_at = float("-inf")
        self._ended = Counter(
            "keepers_connections_ended", "Connections that the server ended, by reason.", ["reason"], registry=registry
        )
        Gauge("keepers_connections", "Open HTTP connections.", registry=registry).set_function(
            lambda: self._counts.total
        )

    def admit(self, connection: Connection, now: float) -> bool:
        """Whether a new connection may stay; it is then counted until `remove`. `now` is the event loop's time."""
        network = connection.network
        if self._counts.has_enough(network) and not self._make_room(network, now):
            return False
        if self._counts.is_full and not self._make_room(self._busiest(), now):
            return False
        self._counts.add(network)
        return True

    def remove(self, connection: Connection) -> None:
        self.set_waiting(connection, False)
        self._counts.remove(connection.network)

    def set_waiting(self, connection: Connection, is_waiting: bool) -> None:
        """Says whether the server waits for this connection's client from now on."""
        known = self._waiting.setdefault(connection.network, {})
        known.pop(connection, None)
        if is_waiting:
            known[connection] = None
        elif not known:
            del self._waiting[connection.network]

    def count_ended(self, reason: str, now: float) -> None:
        """Counts a connection that was ended, and logs that some were, at most once a minute."""
        self._ended.labels(reason).inc()
        if now - self._reported_at >= _REPORT_EVERY_S:
            self._reported_at = now
            log.warning(
                "A connection was ended by the server's limits (%s); %d are open. Further ones are counted by "
                "keepers_connections_ended in /metrics.",
                reason,
                self._counts.total,
            )

    def _busiest(self) -> str:
        """The network with most connections among those that have one to close; empty when there is none."""
        return max((network for network in self._waiting), key=self._counts.of, default="")

    def _make_room(self, network: str, now: float) -> bool:
        oldest = next(iter(self._waiting.get(network, ())), None)
        if oldest is None:
            return False
        oldest.give_way()
        self.count_ended("made room", now)
        return True


def raise_file_limit(most: int) -> int:
    """How many connections this process can have open: `most`, or fewer when the system allows fewer files.

    Raises the process's own limit of open files as far as it may.
    """
    if sys.platform == "win32":
        return most
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = most + _RESERVED
    if soft != resource.RLIM_INFINITY and soft < needed:
        raised = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
        soft = raised
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return most
    possible = max(soft - _RESERVED, _FEWEST)
    log.warning(
        "This process may open %d files, so it takes %d connections instead of %d. Raise the limit (ulimit -n, "
        "LimitNOFILE) or lower server.max_connections.",
        soft,
        possible,
        most,
    )
    return possible
