"""Throttling per recipient domain: a steady rate, and back-off after deferrals."""

from __future__ import annotations

from datetime import timedelta

FIRST_PAUSE_S = 30.0
LONGEST_PAUSE_S = 3600.0
_FORGOTTEN_AFTER_S = 2 * LONGEST_PAUSE_S
_MOST_DOMAINS = 10_000


class _Domain:
    __slots__ = ("deferrals", "free_at", "seen_at", "until")

    def __init__(self) -> None:
        self.free_at = 0.0
        self.until = 0.0
        self.deferrals = 0
        self.seen_at = 0.0


class DomainThrottle:
    """Per recipient domain: when the next message may go. Times are seconds of any monotonic clock.

    After a deferral about the domain, and not about one mailbox, nothing is tried there for 30 seconds, then 60, 120 …
    up to an hour, until a message is accepted again (RFC 5321 section 4.5.4.1 asks for growing gaps). Domains quiet for
    two hours are forgotten.
    """

    def __init__(self, per_second: float) -> None:
        """`per_second` messages to one domain; 0 means no limit."""
        self._gap = 1.0 / per_second if per_second > 0 else 0.0
        self._domains: dict[str, _Domain] = {}

    @property
    def domains(self) -> int:
        """How many domains are remembered."""
        return len(self._domains)

    def paused_for(self, domain: str, now: float) -> float:
        """Seconds for which nothing may be tried at the domain; 0 when it may."""
        known = self._domains.get(domain)
        return max(known.until - now, 0.0) if known else 0.0

    def reserve(self, domain: str, now: float, longest: float) -> float:
        """Takes the domain's next place and gives the seconds until then; beyond `longest` takes none."""
        if not self._gap:
            return 0.0
        known = self._known(domain, now)
        at = max(known.free_at, now)
        if at - now <= longest:
            known.free_at = at + self._gap
        return at - now

    def accepted(self, domain: str) -> None:
        """The domain took a message: back-off starts again from the first pause."""
        known = self._domains.get(domain)
        if known:
            known.deferrals = 0
            known.until = 0.0

    def deferred(self, domain: str, now: float) -> timedelta:
        """The domain deferred a message: the pause that follows, doubled each time."""
        known = self._known(domain, now)
        if known.until > now:
            # Replies to messages sent before the pause began are the same deferral, not a new one.
            return timedelta(seconds=known.until - now)
        pause = min(FIRST_PAUSE_S * 2**known.deferrals, LONGEST_PAUSE_S)
        known.deferrals = min(known.deferrals + 1, 16)
        known.until = now + pause
        return timedelta(seconds=pause)

    def _known(self, domain: str, now: float) -> _Domain:
        known = self._domains.get(domain)
        if known is None:
            if len(self._domains) >= _MOST_DOMAINS:
                self._forget(now)
            known = self._domains[domain] = _Domain()
        known.seen_at = now
        return known

    def _forget(self, now: float) -> None:
        kept = {d: k for d, k in self._domains.items() if k.until > now or now - k.seen_at < _FORGOTTEN_AFTER_S}
        newest = sorted(kept.items(), key=lambda item: item[1].seen_at)[-_MOST_DOMAINS // 2 :]
        self._domains = dict(newest)
