"""Rate limits of what anybody may call: per network, visitor and key, counted in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network
from threading import Lock

from keepers.app.workspace.settings import LimitSettings
from keepers.model.errors import KeepersError, Problem, problem
from keepers.model.event import TrackingCall

_MINUTE = timedelta(minutes=1)


class TooManyError(KeepersError):
    """A limit is reached; `headers` say when to come again."""

    code = "too_many"

    def __init__(self, message: Problem, wait: timedelta) -> None:
        super().__init__(message)
        self.wait_s = int(wait.total_seconds()) + 1
        self.headers = {"Retry-After": str(self.wait_s)}


class Allowance:
    """`most` uses within `span` per key, in fixed spans; 0 for any number. Threads may share it.

    At most `most_keys` are counted; when more come within one span all counts are reset, which bounds memory.
    """

    def __init__(self, most: int, span: timedelta, most_keys: int = 100_000) -> None:
        self._most = most
        self._span = span
        self._most_keys = most_keys
        self._counts: dict[str, int] = {}
        self._since: datetime | None = None
        self._lock = Lock()

    def spend(self, key: str, now: datetime, amount: int = 1) -> timedelta | None:
        """Counts a use. None when it is allowed, else how long until the next may be."""
        if not self._most:
            return None
        with self._lock:
            if self._since is None or not timedelta() <= now - self._since < self._span:
                self._since, self._counts = now, {}
            used = self._counts.get(key, 0)
            # One that is larger than the whole allowance is taken when nothing else was.
            if used and used + amount > self._most:
                return self._span - (now - self._since)
            if len(self._counts) >= self._most_keys and key not in self._counts:
                self._counts = {}
            self._counts[key] = used + amount
            return None


class PublicLimits:
    """What one network, one visitor and one public key may do. Server keys have no limits but the machine's."""

    def __init__(self, settings: LimitSettings) -> None:
        self._network = Allowance(settings.network_per_minute, _MINUTE)
        self._visitor = Allowance(settings.visitor_per_minute, _MINUTE)
        self._key = Allowance(settings.key_per_minute, _MINUTE)

    def spend_request(self, address: str, now: datetime) -> None:
        """Counts a request from a network address. Raises TooManyError."""
        wait = self._network.spend(network_of(address), now)
        if wait is not None:
            raise TooManyError(problem("Too many requests from this network. Try again in a moment."), wait)

    def spend_events(self, key_id: str, address: str, calls: Sequence[TrackingCall], now: datetime) -> None:
        """Counts the events of a request by a public key. Raises TooManyError: nothing of it is taken then.

        In the order of who is to blame: one network does not use up what others may, and a visitor is counted by
        network, for anybody can name one.
        """
        network = network_of(address)
        wait = self._network.spend(network, now, max(1, len(calls)))
        if wait is not None:
            raise TooManyError(problem("Too many events from this network. Send them again in a moment."), wait)
        for visitor, number in Counter(call.user_id or call.anonymous_id or "" for call in calls).items():
            wait = self._visitor.spend(f"{network} {visitor}", now, number)
            if wait is not None:
                raise TooManyError(problem("Too many events of one visitor. Send them again in a moment."), wait)
        wait = self._key.spend(key_id, now, len(calls))
        if wait is not None:
            raise TooManyError(problem("Too many events by this key. Send them again in a moment."), wait)


def network_of(address: str) -> str:
    """The network that is counted: an IPv4 address itself, of an IPv6 address its /64, which one customer of a
    provider gets; empty for an address that is not known."""
    try:
        found = ip_address(address)
    except ValueError:
        return ""
    if isinstance(found, IPv6Address):
        mapped = found.ipv4_mapped
        return str(mapped) if mapped is not None else str(ip_network((found, 64), strict=False))
    return str(found)


def one_person(email: str) -> str:
    """An e-mail address as limits count it: in lower case and without what follows a plus sign, for all of these reach
    one person. Consent and suppression go by the address itself."""
    local, at, domain = email.strip().lower().rpartition("@")
    return f"{local.partition('+')[0] or local}{at}{domain}"
