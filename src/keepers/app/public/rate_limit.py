"""Rate limits of what anybody may call: per network, visitor and key, counted in memory."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from hashlib import blake2b
from itertools import islice
from threading import Lock

from keepers.app.workspace.settings import LimitSettings
from keepers.channels.networks import block_of, network_of, site_of
from keepers.model.errors import KeepersError, Problem, UserError, problem
from keepers.model.event import ParsedRequest

_MINUTE = timedelta(minutes=1)
_HOUR = timedelta(hours=1)
_SITE_FACTOR = 4
"""how much more than one of its networks an IPv6 site (/48) may"""
EVENT_BYTES = 1024
"""so many bytes of a body count as one event, or more events as they are"""
_MOST_COUNTED = 100_000


class TooManyError(KeepersError):
    """A limit is reached; `wait_s` seconds later it may be tried again."""

    code = "too_many"

    def __init__(self, message: Problem, wait: timedelta) -> None:
        super().__init__(message)
        self.wait_s = int(wait.total_seconds()) + 1


class _Counts:
    """What was used by name. Of a name a digest is kept, since callers choose names and their length; of more than
    `most_names` the older half is forgotten, which bounds memory."""

    def __init__(self, most_names: int) -> None:
        self._most_names = most_names
        self._by_name: dict[bytes, int] = {}

    def of(self, name: bytes) -> int | None:
        """None for a name that is not known."""
        return self._by_name.get(name)

    def __len__(self) -> int:
        """How many names are known."""
        return len(self._by_name)

    def put(self, name: bytes, used: int) -> None:
        if len(self._by_name) >= self._most_names and name not in self._by_name:
            for old in list(islice(self._by_name, (len(self._by_name) + 1) // 2)):
                del self._by_name[old]
        self._by_name[name] = used


def _named(*parts: str) -> bytes:
    return blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).digest()


class Allowance:
    """`most` uses within `span` per name, in fixed spans; 0 for any number. Threads may share it."""

    def __init__(self, most: int, span: timedelta, most_names: int = _MOST_COUNTED) -> None:
        self.most = most
        self._span = span
        self._most_names = most_names
        self._counts = _Counts(most_names)
        self._since: datetime | None = None
        self._lock = Lock()

    def spend(self, name: str, now: datetime, amount: int = 1) -> timedelta | None:
        """Counts a use. None when it is allowed, else how long until the span ends."""
        if not self.most:
            return None
        digest = _named(name)
        with self._lock:
            if self._since is None or not timedelta() <= now - self._since < self._span:
                self._since, self._counts = now, _Counts(self._most_names)
            used = self._counts.of(digest) or 0
            if used + amount > self.most:
                return self._span - (now - self._since)
            self._counts.put(digest, used + amount)
            return None


class NetworkAllowance:
    """`most` uses within `span` per network, and four times as many per IPv6 site, of whose 65,536 networks one
    attacker may have all."""

    def __init__(self, most: int, span: timedelta) -> None:
        self.most = most
        self._networks = Allowance(most, span)
        self._sites = Allowance(most * _SITE_FACTOR, span)

    def spend(self, address: str, now: datetime, amount: int = 1) -> timedelta | None:
        """Counts a use by a network address. None when it is allowed, else how long until the span ends."""
        network, site = network_of(address), site_of(address)
        wait = self._networks.spend(network, now, amount)
        return self._sites.spend(site, now, amount) if wait is None and site != network else wait


class _Shares:
    """What was used of one name: in all, and by site and block, of those that were let through."""

    def __init__(self, most_names: int) -> None:
        self.total = 0
        self.sites = _Counts(most_names)
        self.blocks = _Counts(most_names)


class SharedAllowance:
    """`most` uses within `span` per name, shared by the networks that use it. When they are used up, one is refused
    that had more than its share as a site and in a block that had more than its share. Threads may share it.

    The share of a site (IPv4 address, IPv6 /48) is `most` by the number of sites that were let through, that of a block
    (IPv4 /16, IPv6 /32) `most` by the number of blocks. So one who uses it up shuts out nobody else, with a block's
    65,536 sites neither: those make the share of a site small, that of other blocks stays. What is let through past
    `most` is bounded: for n sites it is `most` × (3 + 2 ln n) at the worst, each having come when the share was its
    largest.
    """

    def __init__(self, most: int, span: timedelta, most_names: int = _MOST_COUNTED) -> None:
        self.most = most
        self._span = span
        self._most_names = most_names
        self._by_name: dict[str, _Shares] = {}
        self._since: datetime | None = None
        self._lock = Lock()

    def spend(self, name: str, address: str, now: datetime, amount: int = 1) -> timedelta | None:
        """Counts a use by a network address. None when it is allowed, else how long until the span ends."""
        if not self.most:
            return None
        site, block = _named(site_of(address)), _named(block_of(address))
        with self._lock:
            if self._since is None or not timedelta() <= now - self._since < self._span:
                self._since, self._by_name = now, {}
            used = self._by_name.get(name)
            if used is None:
                used = self._by_name[name] = _Shares(self._most_names)
            is_full = used.total + amount > self.most
            if is_full and not (
                self._has_share(used.sites, site, amount) or self._has_share(used.blocks, block, amount)
            ):
                return self._span - (now - self._since)
            used.total += amount
            used.sites.put(site, (used.sites.of(site) or 0) + amount)
            used.blocks.put(block, (used.blocks.of(block) or 0) + amount)
            return None

    def _has_share(self, counts: _Counts, name: bytes, amount: int) -> bool:
        own = counts.of(name)
        number = len(counts) + (own is None)
        return (own or 0) + amount <= self.most / number


class PublicLimits:
    """What one network, one visitor and one public key may do. Server keys have no limits but the machine's."""

    def __init__(self, settings: LimitSettings) -> None:
        self._network = NetworkAllowance(settings.network_per_minute, _MINUTE)
        self._visitor = Allowance(settings.visitor_per_minute, _MINUTE)
        self._key = SharedAllowance(settings.key_per_minute, _MINUTE)
        self._forms = NetworkAllowance(settings.forms_per_hour, _HOUR)

    def spend_request(self, address: str, now: datetime) -> None:
        """Counts a request from a network address. Raises TooManyError."""
        wait = self._network.spend(address, now)
        if wait is not None:
            raise TooManyError(problem("Too many requests from this network. Try again in a moment."), wait)

    def spend_form(self, address: str, now: datetime) -> None:
        """Counts a subscribe form from a network address. Raises TooManyError."""
        wait = self._forms.spend(address, now)
        if wait is not None:
            raise TooManyError(problem("Too many forms from this address. Try again later."), wait)

    def spend_body(self, address: str, size: int, now: datetime) -> int:
        """Counts the bytes of a body by a public key, before it is parsed; as how many events.

        Raises TooManyError, and UserError (`too_large`) for one that no minute has room for.
        """
        events = max(1, -(-size // EVENT_BYTES))
        self._spend_network(address, events, now)
        return events

    def spend_events(self, key_id: str, address: str, parsed: ParsedRequest, counted: int, now: datetime) -> None:
        """Counts the items of a request by a public key, refused ones too; `counted` of them were by `spend_body`.

        Raises TooManyError, and UserError (`too_large`) for more than any minute has room for: nothing of the request
        is taken then. In the order of who is to blame: one network does not use up what others may, and a visitor is
        counted by network, for anybody can name one.
        """
        number = len(parsed.items) + len(parsed.errors)
        size = sum(len(item.body) for item in parsed.items)
        more = max(number, size // EVENT_BYTES) - counted
        if more > 0:
            self._spend_network(address, more, now)
        network = network_of(address)
        for visitor, events in Counter(item.user_id or item.anonymous_id or "" for item in parsed.items).items():
            wait = self._visitor.spend(f"{network} {visitor}", now, events)
            if wait is not None:
                _require_room(events, self._visitor.most)
                raise TooManyError(problem("Too many events of one visitor. Send them again in a moment."), wait)
        wait = self._key.spend(key_id, address, now, number)
        if wait is not None:
            _require_room(number, self._key.most)
            raise TooManyError(problem("Too many events by this key. Send them again in a moment."), wait)

    def _spend_network(self, address: str, events: int, now: datetime) -> None:
        wait = self._network.spend(address, now, events)
        if wait is not None:
            _require_room(events, self._network.most)
            raise TooManyError(problem("Too many events from this network. Send them again in a moment."), wait)


def _require_room(events: int, most: int) -> None:
    """Raises UserError for what would be refused again whenever it is sent."""
    if events > most:
        raise UserError(
            problem(
                "The request counts as {events:,} events; {most:,} a minute are allowed. Send smaller batches.",
                events=events,
                most=most,
            ),
            code="too_large",
        )


def one_person(email: str) -> str:
    """An e-mail address as limits count it: in lower case and without what follows a plus sign, for all of these reach
    one person. Consent and suppression go by the address itself."""
    local, at, domain = email.strip().lower().rpartition("@")
    return f"{local.partition('+')[0] or local}{at}{domain}"
