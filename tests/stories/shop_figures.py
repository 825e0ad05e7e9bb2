"""The stages of `value` worked out in plain Python from the formulas in the defaults: nothing of Keepers is used."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise

DAY = timedelta(days=1)
Purchases = dict[str, list[datetime]]
"""customer → purchase times, one per day, in order"""


def occasions(rows: list[tuple[str, datetime]]) -> Purchases:
    """Purchases on one day are one, at the time of the first."""
    found: dict[str, dict[object, datetime]] = {}
    for who, at in sorted(rows, key=lambda row: row[1]):
        found.setdefault(who, {}).setdefault(at.date(), at)
    return {who: list(days.values()) for who, days in found.items()}


def typical_gap(purchases: Purchases, now: datetime) -> float:
    """Days until half have bought a second time (Kaplan–Meier), or half of those who ever do."""
    came_back = [(p[1] - p[0]) / DAY for p in purchases.values() if len(p) > 1]
    waiting = [(now - p[0]) / DAY for p in purchases.values() if len(p) == 1]
    curve, share = [], 1.0
    for day in sorted(set(came_back)):
        at_risk = sum(d >= day for d in came_back) + sum(d >= day for d in waiting)
        share *= 1 - came_back.count(day) / at_risk
        curve.append((day, share))
    goal = 0.5 if share <= 0.5 else (1 + share) / 2
    return next(day for day, left in curve if left <= goal + 1e-12)


def longest_gap(purchases: Purchases) -> float:
    """The 95th percentile of all gaps, by nearest rank, in days."""
    gaps = sorted((b - a) / DAY for p in purchases.values() for a, b in pairwise(p))
    return gaps[max(0, -(-len(gaps) * 95 // 100) - 1)]


def lost_at(times: list[datetime], typical: float, longest: float) -> datetime:
    first, last = times[0], times[-1]
    seasons = {at.month % 12 // 3 for at in times}
    years = {at.year + (at.month == 12) for at in times}
    if len(seasons) == 1 and len(years) >= 2:
        return last + 365 * DAY + 182 * DAY
    own = (2 * typical + (last - first) / DAY) / (2 + len(times) - 1)
    own = min(max(own, 7), 365)
    return last + timedelta(seconds=round(max(4 * own, longest) * 86400))


def value_stages(purchases: Purchases, typical: float, longest: float, now: datetime) -> dict[str, int]:
    """Customers per stage as of a moment, of those who had bought by then."""
    found: Counter[str] = Counter()
    for times in purchases.values():
        seen = [at for at in times if at <= now]
        if seen:
            is_active = lost_at(seen, typical, longest) > now
            found[("loyal" if len(seen) > 1 else "new") if is_active else "churned"] += 1
    return {stage: found[stage] for stage in ("potential", "new", "loyal", "churned")}
