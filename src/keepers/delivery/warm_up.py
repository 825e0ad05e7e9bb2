"""A new sending domain's ramp: so many marketing e-mails a day, counted in days since the first one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta

import msgspec
from msgspec import Struct
from sqlalchemy import Connection

from keepers.contact.places import RAMPED_CHANNEL, DailyAllowance
from keepers.contact.rules import ContactRules
from keepers.store import meta
from keepers.store.messages.claims import Freed

_NAME = "warm_up"


class _DayCount(Struct):
    """The day (UTC) of the first e-mail under a ramp, and how many the present day has had."""

    began: date
    day: date
    number: int = 0


def load_allowance(connection: Connection, rules: ContactRules, now: datetime) -> DailyAllowance | None:
    """What the ramp leaves of the present day; None without a ramp. Everybody else who asks waits until the end of
    the transaction, in which `save_allowance` keeps what was taken."""
    if not rules.warm_up:
        return None
    count = _count(connection, now)
    most = rules.allowance((count.day - count.began).days + 1)
    left = None if most is None else max(most - count.number, 0)
    return DailyAllowance(left, datetime.combine(count.day + timedelta(days=1), time()))


def save_allowance(connection: Connection, allowance: DailyAllowance, now: datetime) -> None:
    """Adds what was taken to the day's count."""
    count = _count(connection, now)
    count.number += allowance.taken
    meta.put(connection, _NAME, msgspec.json.encode(count).decode())


def _count(connection: Connection, now: datetime) -> _DayCount:
    today = now.date()
    found = meta.get(connection, _NAME, for_update=True)
    count = msgspec.json.decode(found, type=_DayCount) if found else _DayCount(today, today)
    return count if count.day == today else _DayCount(count.began, today)


def give_back(connection: Connection, freed: Iterable[Freed], now: datetime) -> None:
    """Places of the present day that were taken by messages which did not go out are free again.

    Whoever holds messages' rows may call this: the ramp's own is locked last by everybody.
    """
    today = now.date()
    number = sum(
        one.channel == RAMPED_CHANNEL
        and not one.is_transactional
        and one.counted_at is not None
        and one.counted_at.date() == today
        for one in freed
    )
    kept = meta.get(connection, _NAME, for_update=True) if number else None
    if kept is None:
        return
    counted = msgspec.json.decode(kept, type=_DayCount)
    if counted.day == today:
        counted.number = max(counted.number - number, 0)
        meta.put(connection, _NAME, msgspec.json.encode(counted).decode())
