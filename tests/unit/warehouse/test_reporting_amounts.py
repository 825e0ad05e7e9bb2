"""Conditions over amounts in the reporting currency: against SQL by hand, explained, and when rates change."""

from __future__ import annotations

from typing import Any

import pytest

from keepers.conditions.currencies import Currencies, Unrated, parse_currencies
from keepers.conditions.parsing.conditions import parse_condition
from keepers.conditions.parsing.definitions import parse_segment
from keepers.conditions.wording import describe
from keepers.evaluation.active_queries import Definitions, build, signatures
from keepers.evaluation.evaluator import Evaluator
from keepers.model.errors import DefinitionError
from keepers.playbook.check import check
from keepers.playbook.load import PlaybookErrors, load_bodies, load_texts
from keepers.warehouse.arrivals import unrated_amounts
from keepers.warehouse.database import Warehouse
from keepers.warehouse.load import load
from warehouse_rows import START, profile, track

RATES: dict[str, Any] = {
    "reporting": "EUR",
    "rates": [
        {"from": "2026-01-02", "currency": "PLN", "rate": 0.25},
        {"from": "2026-01-05", "currency": "PLN", "rate": 0.2},
        {"from": "2026-01-01", "currency": "USD", "rate": 0.9},
    ],
}
SUM = {"did": "Order", "sum": {"of": "total", "as": "reporting", "gte": 100}}


def currencies(**changed: Any) -> Currencies:
    return parse_currencies({**RATES, **changed}, "currencies")


@pytest.fixture
def warehouse() -> Warehouse:
    made = Warehouse.open(None, threads=1)
    orders = [
        (1, 0, 1000, "PLN"),  # before the first rate
        (1, 30, 200, "PLN"),  # 0.25: 50
        (1, 100, 200, " pln"),  # 0.2: 40
        (1, 110, 10, "USD"),  # 9
        (2, 30, 99, "EUR"),
        (2, 40, 5000, "CHF"),  # never a rate
        (2, 50, 7, None),
        (3, 30, 100, "EUR"),
    ]
    rows = [
        track(n + 10, who, "Order", at, total=total, **({} if code is None else {"currency": code}))
        for n, (who, at, total, code) in enumerate(orders)
    ]
    load(made, [*(profile(n, n, str(n)) for n in (1, 2, 3)), *rows])
    return made


def definitions(rates: Currencies | None, **who: Any) -> Definitions:
    segments = {name: parse_segment({"id": name, "who": rule}) for name, rule in who.items()}
    return Definitions(segments=segments, currencies=rates)


def members(warehouse: Warehouse, rates: Currencies | None, rule: Any) -> set[int]:
    queries = build(definitions(rates, tested=rule))
    cursor = Evaluator(warehouse).as_of(queries, ["segment:tested"], START.replace(month=2))
    return {row[0] for row in cursor.execute("SELECT profile_id FROM asof_states WHERE value = 1").fetchall()}


@pytest.mark.parametrize("limit", [1, 90, 98.99, 99, 99.01, 100, 101])
def test_a_sum_is_that_of_sql_by_hand(warehouse: Warehouse, limit: float) -> None:
    rows = warehouse.cursor().execute(
        """
        SELECT profile_id
        FROM "order" AS o
        JOIN (VALUES ('EUR', DATE '0001-01-01', DATE '9999-01-01', 1.0),
                     ('USD', DATE '2026-01-01', DATE '9999-01-01', 0.9),
                     ('PLN', DATE '2026-01-02', DATE '2026-01-05', 0.25),
                     ('PLN', DATE '2026-01-05', DATE '9999-01-01', 0.2)) AS r(code, start, until, rate)
          ON r.code = upper(trim(o.currency)) AND o.time >= r.start AND o.time < r.until
        GROUP BY profile_id
        HAVING sum(total * rate) >= ?
        """.replace('"order"', warehouse.registry.events["Order"].table),
        [limit],
    )
    by_hand = {row[0] for row in rows.fetchall()}
    rule = {"did": "Order", "sum": {"of": "total", "as": "reporting", "gte": limit}}
    assert members(warehouse, currencies(), rule) == by_hand


def test_a_default_is_the_currency_of_amounts_that_name_none(warehouse: Warehouse) -> None:
    rule = {"did": "Order", "sum": {"of": "total", "as": "reporting", "gte": 106}}
    assert members(warehouse, currencies(), rule) == set()
    assert members(warehouse, currencies(default="EUR"), rule) == {2}


def test_one_amount_is_compared_as_it_reads(warehouse: Warehouse) -> None:
    rule = {"did": "Order", "where": {"total": {"as": "reporting", "gte": 50, "lt": 100}}}
    assert members(warehouse, currencies(), rule) == {1, 2}
    assert members(warehouse, None, rule) == set()


def test_what_is_left_out_is_said_where_an_answer_is_explained(warehouse: Warehouse) -> None:
    queries = build(definitions(currencies(), tested=SUM))
    condition = parse_condition(SUM)
    evaluator = Evaluator(warehouse)
    now = START.replace(month=2)
    evaluator.as_of(queries, [], now)
    seen = {}
    for who in (1, 2, 3):
        holds, leaves = evaluator.explain(queries, condition, "person", who, now)
        ((_, figures),) = leaves.values()
        seen[who] = (holds, *(figures[name] for name in figures if name != "last"))
    assert {who: tuple(map(str, found)) for who, found in seen.items()} == {
        1: ("False", "1", "PLN", "99.000000"),
        2: ("False", "2", "? CHF", "99.000000"),
        3: ("True", "0", "None", "100.000000"),
    }


def test_a_changed_rate_changes_the_rules_that_use_it_and_no_other() -> None:
    rules = {
        "rated": SUM,
        "plain": {"did": "Order", "sum": {"of": "total", "gte": 100}},
        "both": {"in_segment": "rated"},
    }
    later = {**RATES["rates"][0], "rate": 0.26}
    before = signatures(definitions(currencies(), **rules))
    after = signatures(definitions(currencies(rates=[later]), **rules))
    assert {name for name in before if before[name] != after[name]} == {"segment:rated", "segment:both"}
    assert signatures(definitions(None, **rules))["segment:plain"] == before["segment:plain"]


def test_rules_of_before_are_known_as_they_were() -> None:
    """The signature that a workspace holds of a rule made before there were reporting amounts."""
    plain = definitions(None, plain={"did": "Order", "sum": {"of": "total", "gte": 100}, "where": {"country": "PL"}})
    assert signatures(plain) == {"segment:plain": "98a0033a70edfc76c1788addc79a255b"}


def test_a_rule_with_an_amount_that_reads_otherwise_is_compiled_anew(warehouse: Warehouse) -> None:
    rule = {"did": "Order", "sum": {"of": "total", "as": "reporting", "gte": 100}}
    assert members(warehouse, currencies(), rule) == {3}
    doubled = [{**rate, "rate": rate["rate"] * 2} for rate in RATES["rates"]]
    assert members(warehouse, currencies(rates=doubled), rule) == {1, 3}


def test_check_names_the_currencies_without_a_rate_and_from_when_to_when(warehouse: Warehouse) -> None:
    rates = currencies()
    assert [(u.currency, u.amounts) for u in unrated_amounts(warehouse, "Order", "total", "currency", rates)] == [
        ("", 1), ("CHF", 1), ("PLN", 1),
    ]  # fmt: skip
    bodies = {"currencies": RATES, "segment/big": {"id": "big", "who": SUM}}
    seen = {"currencies": lambda event, path: ("CHF", "EUR", "PLN")}

    def unrated(event: str, path: str, currency: str, rates_given: Currencies) -> list[Unrated]:
        assert rates_given == rates
        return unrated_amounts(warehouse, event, path, currency, rates_given)

    (one,) = check(load_bodies(bodies), currencies=seen["currencies"], unrated=unrated)
    assert (one.level, one.field, one.sentence.inner.code) == ("warning", "segment/big.who.sum", "unrated_amounts")
    assert "CHF: 1, 2026-01-02 … 2026-01-02" in one.message
    assert "–: 1" in one.message
    complete = {**RATES, "default": "EUR", "rates": [
        *RATES["rates"],
        {"from": "2025-01-01", "currency": "PLN", "rate": 1},
        {"from": "2025-01-01", "currency": "CHF", "rate": 1},
    ]}  # fmt: skip
    assert check(load_bodies({**bodies, "currencies": complete}), currencies=seen["currencies"], unrated=lambda *a: (
        unrated_amounts(warehouse, *a)
    )) == []  # fmt: skip


def test_a_playbook_without_rates_that_needs_them_is_refused() -> None:
    (one,) = check(load_bodies({"segment/big": {"id": "big", "who": {"not": SUM}}}))
    assert (one.level, one.field) == ("error", "segment/big.who.not.sum")


def test_rates_are_read_from_a_file_with_their_lines() -> None:
    text = "currencies:\n  reporting: EUR\n  rates:\n    - {from: 2026-01-01, currency: PLN, rate: 0.23}\n"
    found = load_texts({"currencies.yaml": text}).currencies
    assert found is not None
    assert [(rate.currency, rate.rate) for rate in found.rates] == [("EUR", 1.0), ("PLN", 0.23)]
    with pytest.raises(PlaybookErrors, match=r"currencies\.yaml:4"):
        load_texts({"currencies.yaml": text.replace("0.23", "-1")})


RATE = {"from": "2026-01-01", "currency": "PLN", "rate": 0.23}


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ([], ""),
        ({"rates": []}, ".reporting"),
        ({"reporting": "euro"}, ".reporting"),
        ({"reporting": "EUR", "default": 7}, ".default"),
        ({"reporting": "EUR", "other": 1}, ""),
        ({"reporting": "EUR", "rates": {}}, ".rates"),
        ({"reporting": "EUR", "rates": [{**RATE, "currency": "EUR"}]}, ".rates[0].currency"),
        ({"reporting": "EUR", "rates": [RATE, RATE]}, ".rates[1]"),
        ({"reporting": "EUR", "rates": [{**RATE, "from": "now"}]}, ".rates[0].from"),
        ({"reporting": "EUR", "rates": [{**RATE, "from": "2026-02-30"}]}, ".rates[0].from"),
        ({"reporting": "EUR", "rates": [{**RATE, "from": None}]}, ".rates[0].from"),
        ({"reporting": "EUR", "rates": [RATE] * 5_001}, ".rates"),
        *(
            ({"reporting": "EUR", "rates": [{**RATE, "rate": rate}]}, ".rates[0].rate")
            for rate in (0, -1, True, "1", None, float("nan"), float("inf"), 1e300)
        ),
    ],
)
def test_rates_that_cannot_be_used_are_refused_by_their_field(data: Any, field: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        parse_currencies(data, "currencies")
    assert refused.value.field == f"currencies{field}"


@pytest.mark.parametrize(
    "rule",
    [
        {"did": "Order", "sum": {"of": "total", "as": "EUR", "gte": 1}},
        {"did": "Order", "distinct": {"of": "total", "as": "reporting", "gte": 1}},
        {"did": "Order", "sum": {"of": "total", "as": "reporting"}},
        {"did": "Order", "where": {"total": {"as": "reporting"}}},
        {"did": "Order", "where": {"products": {"some": {"price": {"as": "reporting", "gte": 1}}}}},
    ],
)
def test_as_reporting_stands_beside_amounts_of_events_alone(rule: Any) -> None:
    with pytest.raises(DefinitionError):
        parse_condition(rule)


def test_it_is_said_in_words() -> None:
    assert describe(parse_condition(SUM)) == "did Order, sum of total (in the reporting currency) is at least 100"
