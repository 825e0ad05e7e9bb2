"""Send times of a broadcast: local times, quiet hours and the throttle, computed once per minute."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from keepers.contact.eligibility import end_of_quiet_hours
from keepers.contact.rules import ContactRules

MINUTE = timedelta(minutes=1)
_EPOCH = datetime(2000, 1, 1)


class Slots:
    """Assigns send times: at most `per_hour` messages in any hour, however many zones come due at once.

    A throttle that reaches quiet hours continues after them, at the same rate.
    """

    def __init__(self, rules: ContactRules, channel: str, *, is_exempt: bool, per_hour: int | None) -> None:
        self._rules = rules
        self._channel = channel
        self._is_exempt = is_exempt
        self._per_hour = per_hour
        self._used: dict[int, int] = {}
        self._next: dict[tuple[str, str | None, datetime], int] = {}
        self._quiet: dict[tuple[str, str | None, datetime], datetime | None] = {}

    def restore(self, taken: Mapping[datetime, int]) -> None:
        """Counts times that were assigned before a restart."""
        for at, number in taken.items():
            minute = _minute(at)
            self._used[minute] = self._used.get(minute, 0) + number

    def assign(self, zone: str, country: str | None, due: datetime) -> tuple[datetime, bool]:
        """When the next message to such a customer goes, from `due` on, and whether quiet hours postponed it."""
        until = self.quiet_until(zone, country, due)
        if self._per_hour is None:
            return (due, False) if until is None else (until, True)
        key = (zone, country, due)
        start = until or due
        minute = self._next.get(key, _minute(start))
        while True:
            while self._used.get(minute, 0) >= self._most(minute):
                minute += 1
            at = max(start, _EPOCH + minute * MINUTE)
            quiet = self.quiet_until(zone, country, at)
            if quiet is None:
                break
            minute = max(minute + 1, _minute(quiet))
        self._next[key] = minute
        self._used[minute] = self._used.get(minute, 0) + 1
        return at, until is not None

    def quiet_until(self, zone: str, country: str | None, at: datetime) -> datetime | None:
        """The end of the quiet hours in force at an instant; None outside of them."""
        key = (zone, country, at)
        if key not in self._quiet:
            until = None
            if not self._is_exempt:
                until = end_of_quiet_hours(self._rules, self._channel, zone, country, at)
            self._quiet[key] = until
        return self._quiet[key]

    def _most(self, minute: int) -> int:
        """How many may go in a minute: whole numbers that add up to the hour's, the first at the full hour."""
        assert self._per_hour is not None
        return minute * -self._per_hour // 60 - (minute + 1) * -self._per_hour // 60


def _minute(at: datetime) -> int:
    """Minutes since 2000, rounded up."""
    return -((_EPOCH - at) // MINUTE)
