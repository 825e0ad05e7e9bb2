"""Amounts in the reporting currency: the rate of each event's own time, whichever way it is answered."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from keepers.conditions.currencies import Currencies, parse_currencies
from keepers.conditions.parsing.definitions import parse_derived, parse_segment
from keepers.evaluation.active_queries import Definitions
from keepers.warehouse.database import Warehouse
from profiles import large
from properties.running import Live
from warehouse_rows import START, Row, profile, track

PEOPLE = (1, 2)
CODES = ("EUR", "PLN", "pln ", "USD", "CHF", "", None)
WORD = {"id": "purchase", "from": ["Order", "Sale"], "value": {"of": "total", "currency": "currency"}}
LIMIT = 100
FIGURES = {
    "sum": {"did": "Order", "sum": {"of": "total", "as": "reporting", "gte": LIMIT}},
    "avg": {"did": "Order", "avg": {"of": "total", "as": "reporting", "gte": LIMIT}},
    "max": {"did": "Order", "max": {"of": "total", "as": "reporting", "gte": LIMIT}},
    "recent": {"did": "Order", "sum": {"of": "total", "as": "reporting", "gte": LIMIT}, "within": "3d"},
    "one": {"did": "Order", "where": {"total": {"as": "reporting", "gte": LIMIT}}},
    "word": {"did": "purchase", "sum": {"of": "value", "as": "reporting", "gte": LIMIT}},
    "chain": {"sequence": [{"did": "Order", "where": {"total": {"as": "reporting", "gte": LIMIT}}}, {"did": "Sale"}]},
}
days = st.integers(-5, 12)
rates = st.lists(st.tuples(st.sampled_from(("PLN", "USD")), days, st.sampled_from((0.25, 0.5, 2, 4))), max_size=6)
orders = st.lists(
    st.tuples(
        st.sampled_from(PEOPLE),
        st.sampled_from(("Order", "Sale")),
        st.integers(0, 24 * 9),
        st.sampled_from((10, 40, 100, 250)),
        st.sampled_from(CODES),
    ),
    max_size=14,
)


def written(listed: list[tuple[str, int, float]], default: str | None) -> Currencies:
    dated = {(code, day): rate for code, day, rate in listed}
    data: dict[str, Any] = {
        "reporting": "EUR",
        "rates": [
            {"from": (START + timedelta(days=day)).date(), "currency": code, "rate": rate}
            for (code, day), rate in dated.items()
        ],
    }
    return parse_currencies(data | ({"default": default} if default else {}), "currencies")


def amount(total: float, code: str | None, at: datetime, currencies: Currencies) -> float | None:
    """What one amount is in the reporting currency: by hand, rate by rate."""
    known = (code or "").strip().upper() or currencies.default
    found = None
    for rate in currencies.rates:
        if rate.currency == known and rate.start <= at:
            found = total * rate.rate
    return found


def expected(
    listed: list[tuple[Any, ...]], currencies: Currencies, now: datetime, figures: set[str]
) -> set[tuple[str, int]]:
    found = set()
    for who in PEOPLE:
        mine = [
            (event, START + timedelta(hours=hours), amount(total, code, START + timedelta(hours=hours), currencies))
            for person, event, hours, total, code in listed
            if person == who and START + timedelta(hours=hours) <= now
        ]
        rated = [a for event, _, a in mine if event == "Order" and a is not None]
        recent = [a for event, at, a in mine if event == "Order" and a is not None and at > now - timedelta(days=3)]
        large = [at for event, at, a in mine if event == "Order" and a is not None and a >= LIMIT]
        sales = [at for event, at, _ in mine if event == "Sale"]
        holds = {
            "sum": sum(rated) >= LIMIT,
            "avg": bool(rated) and sum(rated) / len(rated) >= LIMIT,
            "max": bool(rated) and max(rated) >= LIMIT,
            "recent": sum(recent) >= LIMIT,
            "one": bool(large),
            "word": sum(a for _, _, a in mine if a is not None) >= LIMIT,
            "chain": any(sale > order for order in large for sale in sales),
        }
        found |= {(f"segment:{name}", who) for name, yes in holds.items() if yes and name in figures}
    return found


@large()
@given(
    orders,
    rates,
    st.sampled_from((None, "EUR", "PLN")),
    st.lists(st.integers(0, 12), min_size=1, max_size=2),
    st.sets(st.sampled_from(sorted(FIGURES)), min_size=1, max_size=3),
)
def test_live_full_and_past_answers_agree_with_a_count_by_hand(
    listed: list[tuple[Any, ...]],
    given_rates: list[tuple[str, int, float]],
    default: str | None,
    moments: list[int],
    figures: set[str],
) -> None:
    # Two events of one instant have an order by their numbers, which the count by hand does not know.
    listed = sorted({(one[0], one[2]): one for one in listed}.values(), key=lambda one: one[2])
    currencies = written(given_rates, default)
    segments = {name: parse_segment({"id": name, "who": who}) for name, who in FIGURES.items() if name in figures}
    events = {"purchase": parse_derived(WORD)}
    live = Live(Warehouse.open(None, threads=1), Definitions(events, segments, currencies=currencies), START)
    live.tick(START)
    live.load([profile(n, n, str(n)) for n in PEOPLE])
    done = 0
    for day in sorted(set(moments)):
        now = START + timedelta(days=day, hours=12)
        rows: list[Row] = []
        for n, (who, event, hours, total, code) in enumerate(listed):
            if n >= done and START + timedelta(hours=hours) <= now:
                given_code = {} if code is None else {"currency": code}
                rows.append(track(n + 10, who, event, hours, total=total, **given_code))
        done += len(rows)
        live.load(rows, (2,))
        live.tick(now)
        wanted = expected(listed, currencies, now, figures)
        assert set(live.states()) == wanted
        assert set(live.as_of(now)) == wanted
    past = START + timedelta(days=min(moments), hours=12)
    assert set(live.as_of(past)) == expected(listed, currencies, past, figures)
    live.warehouse.close()
