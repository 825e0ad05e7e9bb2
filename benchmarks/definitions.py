"""Fifty definitions as a shop would write them: counts, sums, recency, filters, traits, groups, a few layers."""

from __future__ import annotations

from typing import Any

from keepers.conditions.definitions import Lifecycle, Segment
from keepers.conditions.parsing.definitions import parse_derived, parse_lifecycle, parse_segment
from keepers.evaluation.active_queries import Definitions

PURCHASE = {
    "id": "purchase",
    "from": "Order Completed",
    "unless": {"did": "Order Refunded", "same": "order_id"},
    "value": {"of": "total"},
}


def _did(event: str, **rest: Any) -> dict[str, Any]:
    return {"did": event, **rest}


def _never(event: str, **rest: Any) -> dict[str, Any]:
    return {"did_not": event, **rest}


def _all(*items: Any) -> dict[str, Any]:
    return {"all": list(items)}


def _any(*items: Any) -> dict[str, Any]:
    return {"any": list(items)}


def _in(segment: str) -> dict[str, Any]:
    return {"in_segment": segment}


_BOUGHT, _VIEWED, _VISITED, _OPENED, _CARTED = (
    "purchase",
    "Product Viewed",
    "Session Started",
    "Email Opened",
    "Cart Updated",
)

SEGMENTS: dict[str, dict[str, Any]] = {
    "active": _did(_BOUGHT, within="90d"),
    "buyers": _did(_BOUGHT),
    "never_bought": _never(_BOUGHT),
    "one_time": _did(_BOUGHT, count=1),
    "repeat": _did(_BOUGHT, count={"gte": 2}),
    "loyal": _did(_BOUGHT, count={"gte": 5}),
    "bought_30d": _did(_BOUGHT, within="30d"),
    "bought_7d": _did(_BOUGHT, within="7d"),
    "lapsed": _all(_did(_BOUGHT), _never(_BOUGHT, within="180d")),
    "spent_100_in_90d": _did(_BOUGHT, sum={"of": "value", "gte": 100}, within="90d"),
    "spent_500_in_365d": _did(_BOUGHT, sum={"of": "value", "gte": 500}, within="365d"),
    "vip": _did(_BOUGHT, sum={"of": "value", "gte": 800}),
    "good_basket": _did(_BOUGHT, avg={"of": "value", "gte": 110}),
    "big_basket": _did(_BOUGHT, max={"of": "value", "gte": 195}),
    "shoe_buyers": _did(_BOUGHT, where={"category": "shoes"}),
    "footwear_fans": _did(_BOUGHT, where={"category": ["shoes", "boots"]}, count={"gte": 2}, within="365d"),
    "coupon_hunters": _did(_BOUGHT, where={"coupon": {"exists": True}}, count={"gte": 3}),
    "first_bought_60d": _did(_BOUGHT, first=True, within="60d"),
    "last_was_big": _did(_BOUGHT, last=True, where={"total": {"gt": 150}}),
    "all_rounders": _did(_BOUGHT, distinct={"of": "category", "gte": 4}),
    "christmas_buyers": _did(_BOUGHT, between=["2025-12-01", "2026-01-01"]),
    "browsing_7d": _did(_VIEWED, within="7d"),
    "window_shoppers": _all(_did(_VIEWED, count={"gte": 2}, within="90d"), _never(_BOUGHT, within="90d")),
    "shoe_viewers": _did(_VIEWED, where={"category": "shoes"}, within="14d"),
    "luxury_viewers": _did(_VIEWED, where={"price": {"gte": 150}}, count={"gte": 2}, within="180d"),
    "curious": _did(_VIEWED, distinct={"of": "category", "gte": 3}, within="180d"),
    "not_browsing": _never(_VIEWED, within="90d"),
    "app_users": _did(_VISITED, where={"device": "app"}, within="30d"),
    "frequent_visitors": _did(_VISITED, count={"gte": 3}, within="180d"),
    "dormant": _all(_did(_VISITED), _never(_VISITED, within="180d")),
    "two_devices": _did(_VISITED, distinct={"of": "device", "gte": 2}),
    "engaged": _did(_OPENED, within="90d"),
    "email_fans": _did(_OPENED, count={"gte": 2}, within="180d"),
    "unengaged": _never(_OPENED, within="180d"),
    "reads_but_does_not_buy": _all(_did(_OPENED, within="60d"), _never(_BOUGHT, within="60d")),
    "cart_left": _all(_did(_CARTED, within="3d"), _never(_BOUGHT, within="3d")),
    "full_cart": _did(_CARTED, max={"of": "amount", "gte": 100}, within="14d"),
    "poland": {"trait": "country", "eq": "PL"},
    "europe": {"trait": "country", "in": ["PL", "DE", "IT", "FR", "ES"]},
    "gold_with_points": _all({"trait": "plan", "eq": "gold"}, {"trait": "points", "gte": 700}),
    "consenting": {"trait": "consent", "eq": True},
    "new_sign_ups": {"trait": "signed_up", "within_last": "30d"},
    "local_or_poor": _any(
        _all({"trait": "country", "eq": "DE"}, _did(_BOUGHT, within="30d")),
        _all({"not": {"trait": "consent", "eq": True}}, {"trait": "points", "lt": 100}),
    ),
    "left_cold": {"not": _any(_did(_OPENED, within="90d"), _did(_VISITED, within="90d"), _did(_BOUGHT, within="90d"))},
    "at_risk": _all(_in("loyal"), {"not": _in("active")}),
    "german_vips": _all(_in("vip"), {"trait": "country", "eq": "DE"}),
    "win_back": _all(_in("lapsed"), _in("engaged")),
    "churned_vips": _all({"in_stage": "value.churned"}, _in("vip")),
}
LIFECYCLES: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "value": [
        ("potential", _never(_BOUGHT)),
        ("new", _all(_did(_BOUGHT, count=1), _in("active"))),
        ("loyal", _all(_did(_BOUGHT, count={"gte": 2}), _in("active"))),
        ("churned", _all(_did(_BOUGHT), {"not": _in("active")})),
    ],
    "interest": [
        ("unknown", _never(_VISITED)),
        ("visitor", _did(_VISITED)),
        ("browsing", _did(_VIEWED, within="30d")),
        ("hot", _did(_CARTED, within="7d")),
    ],
}


def playbook() -> Definitions:
    """All fifty, read."""
    segments: dict[str, Segment] = {k: parse_segment({"id": k, "who": who}) for k, who in SEGMENTS.items()}
    lifecycles: dict[str, Lifecycle] = {
        k: parse_lifecycle({"id": k, "stages": [{"id": s, "when": when} for s, when in stages]})
        for k, stages in LIFECYCLES.items()
    }
    return Definitions({"purchase": parse_derived(PURCHASE)}, segments, lifecycles)
