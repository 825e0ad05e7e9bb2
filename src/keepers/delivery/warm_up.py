"""The warm-up of a new sending domain: so many marketing messages a day, counted in days since the first."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta

import msgspec
from msgspec import Struct
from sqlalchemy import Connection

from keepers.contact.places import DailyAllowance
from keepers.contact.rules import ContactRules
from keepers.model.channels import describe_channel
from keepers.store import meta
from keepers.store.messages.claims import Freed

_NAME = "warm_up"


class _DayCount(Struct):
    """The day (UTC) of the first e-mail under a ramp, and how many the present day has had."""

    began: date
    day: date
    number: int = 0


def load_allowance(connection: Connection, rules: ContactRules, now: datetime) -> DailyAllowance | None:
    """What the warm-up leaves of the present day; None without one. Locks its row until the end of the transaction, in
    which `save_allowance` stores what was taken."""
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


def free_places(connection: Connection, freed: Iterable[Freed], now: datetime) -> None:
    """Frees places of the present day that were taken by messages which were not sent.

    The caller may hold locks on messages: all transactions lock the warm-up's row last.
    """
    today = now.date()
    number = sum(
        describe_channel(one.channel).is_ramped
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
