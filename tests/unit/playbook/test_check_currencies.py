"""`keepers check` on figures of amounts that have come in several currencies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from keepers.playbook.check import Finding, check
from keepers.playbook.load import load_bodies
from keepers.warehouse.arrivals import currencies_seen
from keepers.warehouse.database import Warehouse
from keepers.warehouse.load import load
from warehouse_rows import profile, track

PURCHASE = {"id": "purchase", "from": ["Order Completed", "Sale"], "value": {"of": "grand", "currency": "paid_in"}}
SEEN = {
    ("Order Completed", "currency"): ("EUR", "PLN"),
    ("Order Completed", "paid_in"): ("EUR",),
    ("Sale", "paid_in"): ("USD",),
}


def seen(event: str, path: str) -> Sequence[str]:
    return SEEN.get((event, path), ())


def found(who: Any, word: Any = PURCHASE) -> list[Finding]:
    bodies = {"segment/big": {"id": "big", "who": who}, f"event/{word['id']}": word}
    return check(load_bodies(bodies), currencies=seen)


@pytest.mark.parametrize(
    ("who", "field", "named"),
    [
        ({"did": "Order Completed", "sum": {"of": "total", "gt": 100}}, "who.sum", "(EUR, PLN)"),
        ({"not": {"did": "Order Completed", "avg": {"of": "total", "gt": 1}}}, "who.not.avg", "(EUR, PLN)"),
        ({"any": [{"did": "purchase", "sum": {"of": "value", "gt": 1}}]}, "who.any[0].sum", "(EUR, USD)"),
    ],
)
def test_a_figure_over_several_currencies_is_warned_about_with_their_names(who: Any, field: str, named: str) -> None:
    (one,) = found(who)
    assert (one.level, one.field) == ("warning", f"segment/big.{field}")
    assert named in one.message


@pytest.mark.parametrize(
    "who",
    [
        {"did": "Order Completed", "where": {"currency": "EUR"}, "sum": {"of": "total", "gt": 100}},
        {"did": "purchase", "where": {"currency": "EUR"}, "sum": {"of": "value", "gt": 100}},
        {"did": "Order Completed", "sum": {"of": "quantity", "gt": 100}},
        {"did": "Order Completed", "count": {"gt": 3}},
        {"did": "Refund", "sum": {"of": "total", "gt": 100}},
    ],
)
def test_a_test_of_the_currency_one_currency_or_no_amount_is_no_reason_to_warn(who: Any) -> None:
    assert found(who) == []


def test_a_word_whose_own_events_are_of_one_currency_each_by_a_test_is_not_warned_about() -> None:
    word = {**PURCHASE, "where": {"paid_in": "EUR"}}
    assert found({"did": "purchase", "sum": {"of": "value", "gt": 1}}, word) == []


def test_currencies_are_those_that_have_come() -> None:
    warehouse = Warehouse.open(None)
    rows = [track(2 + n, 1, "Order", currency=code, total=5) for n, code in enumerate(("PLN", "EUR", "EUR", "", None))]
    load(warehouse, [profile(1, 1, "a"), *rows])
    assert currencies_seen(warehouse, "Order", "currency") == ("EUR", "PLN")
    assert currencies_seen(warehouse, "Order", "total") == ()
    assert currencies_seen(warehouse, "Refund", "currency") == ()
    warehouse.close()
