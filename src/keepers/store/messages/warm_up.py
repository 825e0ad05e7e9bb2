"""A new sending domain's ramp: so many marketing e-mails a day, counted in days since the first one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta

import msgspec
from msgspec import Struct
from sqlalchemy import Connection

from keepers.contact.eligibility import Allow, Decision, Hold, MessageCandidate, Skip
from keepers.contact.rules import ContactRules
from keepers.store import meta
from keepers.store.messages import warm_up
from keepers.store.messages.claims import Freed

CHANNEL = "email"
REASON = "warm_up"
_NAME = "warm_up"


class _Counted(Struct):
    """The day (UTC) of the first e-mail under a ramp, and how many the present day has had."""

    began: date
    day: date
    number: int = 0


class WarmUp:
    """The ramp within one transaction that reserves places; everybody else who reserves one waits meanwhile."""

    def __init__(self, connection: Connection, rules: ContactRules, now: datetime) -> None:
        self._connection = connection
        today = now.date()
        kept = meta.get(connection, _NAME, for_update=True)
        self._counted = msgspec.json.decode(kept, type=_Counted) if kept else _Counted(today, today)
        if self._counted.day != today:
            self._counted = _Counted(self._counted.began, today)
        self._most = rules.allowance((today - self._counted.began).days + 1)
        self.tomorrow = datetime.combine(today + timedelta(days=1), time())

    def is_full(self) -> bool:
        """Whether the day has had its messages."""
        return self._most is not None and self._counted.number >= self._most

    def note(self) -> None:
        """One more goes out today."""
        self._counted.number += 1

    def save(self) -> None:
        """Keeps the count, in the same transaction."""
        meta.put(self._connection, _NAME, msgspec.json.encode(self._counted).decode())


def give_back(connection: Connection, freed: Iterable[Freed], now: datetime) -> None:
    """Places of the present day that were taken by messages which did not go out are free again.

    Whoever holds messages' rows may call this: the ramp's own is locked last by everybody.
    """
    today = now.date()
    number = sum(
        one.channel == CHANNEL
        and not one.is_transactional
        and one.counted_at is not None
        and one.counted_at.date() == today
        for one in freed
    )
    kept = meta.get(connection, _NAME, for_update=True) if number else None
    if kept is None:
        return
    counted = msgspec.json.decode(kept, type=_Counted)
    if counted.day == today:
        counted.number = max(counted.number - number, 0)
        meta.put(connection, _NAME, msgspec.json.encode(counted).decode())


def _on_ramp(ramp: WarmUp, candidate: MessageCandidate, decision: Decision) -> Decision:
    if candidate.channel != warm_up.CHANNEL or candidate.is_transactional or not isinstance(decision, Allow):
        return decision
    if candidate.has_place:
        # Tried again: the day that it was first tried on has counted it.
        return decision
    if not ramp.is_full():
        ramp.note()
        return decision
    if candidate.expires_at is not None and candidate.expires_at <= ramp.tomorrow:
        return Skip("expired")
    return Hold(ramp.tomorrow, warm_up.REASON)
