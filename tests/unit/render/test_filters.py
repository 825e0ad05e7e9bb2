"""Money, numbers, dates and plurals as each language writes them."""

from __future__ import annotations

import time
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from liquid.exceptions import LiquidError

from keepers.render.compose import TEXT
from keepers.render.liquid.context import MessageContext
from keepers.render.liquid.filters import FILTERS, plural_categories
from keepers.render.liquid.sandbox import run

NOON = datetime(2026, 3, 1, 12, 30)


def written(source: str, locale: str = "en", *, zone: str = "", currency: str = "", **data: Any) -> str:
    message_context = MessageContext(
        locale, clock=time.monotonic, now=NOON, zone=ZoneInfo(zone) if zone else None, currency=currency
    )
    return (
        run(TEXT.compiled("{{ " + source + " }}"), data, message_context).replace("\u00a0", " ").replace("\u202f", " ")
    )


@pytest.mark.parametrize(
    ("locale", "amount", "currency", "text"),
    [
        ("en", 1234.5, "USD", "$1,234.50"),
        ("en-GB", "12", "EUR", "€12.00"),
        ("pl", 1234.5, "PLN", "1 234,50 zł"),
        ("pl", 12345, "pln", "12 345,00 zł"),
        ("ru", 1234.5, "RUB", "1 234,50 ₽"),
        ("it", -5, "EUR", "-5,00 €"),
        ("zh", 1234.5, "CNY", "¥1,234.50"),
        ("ja", 1234.5, "JPY", "¥1,234"),
        ("en", 0.1 + 0.2, "EUR", "€0.30"),
        ("xx-YY", 1, "EUR", "€1.00"),
    ],
)
def test_money(locale: str, amount: object, currency: str, text: str) -> None:
    assert written("x | money: c", locale, x=amount, c=currency).replace("￥", "¥") == text


def test_money_takes_its_currency_from_the_letter_and_its_digits_from_the_author() -> None:
    assert written("x | money", currency="EUR", x=5) == "€5.00"
    assert written("x | money", x=5) == "5.00"
    assert written("x | money: 'PLN', 0", "pl", x=1999.4) == "1 999 zł"


@pytest.mark.parametrize("value", [None, "", "free", True, [1], {"a": 1}, float("inf"), "9" * 50])
def test_what_is_no_amount_is_left_as_it_is(value: object) -> None:
    expected = "" if value is None else str(value)
    assert written("x | money: 'EUR'", x=value) == expected
    assert written("x | number", x=value) == expected


def test_numbers_and_percents() -> None:
    assert written("1234567.891 | number", "pl") == "1 234 567,891"
    assert written("1234.5 | number: 2", "it") == "1.234,50"
    assert written("0.155 | percent", "en") == "16%"
    assert written("0.155 | percent: 1", "ru") == "15,5 %"


@pytest.mark.parametrize(
    ("locale", "forms", "counts"),
    [
        ("en", "'item', 'items'", {0: "items", 1: "item", 2: "items", 21: "items", 1.5: "items"}),
        (
            "ru",
            "'товар', 'товара', 'товаров'",
            {
                0: "товаров",
                1: "товар",
                2: "товара",
                5: "товаров",
                11: "товаров",
                21: "товар",
                112: "товаров",
                1.5: "товара",
            },
        ),
        (
            "pl",
            "'rzecz', 'rzeczy', 'rzeczy!'",
            {1: "rzecz", 2: "rzeczy", 4: "rzeczy", 5: "rzeczy!", 12: "rzeczy!", 21: "rzeczy!", 22: "rzeczy"},
        ),
        ("it", "'prodotto', 'prodotti'", {1: "prodotto", 2: "prodotti", 0: "prodotti", 1_000_000: "prodotti"}),
        ("zh", "'件商品'", {0: "件商品", 1: "件商品", 2: "件商品"}),
        ("en", "one: 'a day', other: 'days'", {1: "a day", 3: "days"}),
        ("pl", "one: 'dzień', few: 'dni', many: 'dni!', other: 'dnia'", {1: "dzień", 3: "dni", 5: "dni!", 1.5: "dnia"}),
    ],
)
def test_plurals_follow_cldr(locale: str, forms: str, counts: dict[float, str]) -> None:
    for count, word in counts.items():
        assert written(f"n | pluralize: {forms}", locale, n=count) == word
        assert written(f"n | pluralize: {forms}", locale, n=str(count)) == word


def test_the_categories_of_the_languages_shipped() -> None:
    assert {x: plural_categories(x) for x in ("en", "it", "ru", "pl", "zh", "ar")} == {
        "en": ("one", "other"),
        "it": ("one", "other"),
        "ru": ("one", "few", "many"),
        "pl": ("one", "few", "many"),
        "zh": ("other",),
        "ar": ("zero", "one", "two", "few", "many", "other"),
    }


def test_pluralize_without_forms_is_a_mistake() -> None:
    with pytest.raises(LiquidError, match="forms"):
        written("2 | pluralize")


@pytest.mark.parametrize(
    ("source", "locale", "text"),
    [
        ("x | date", "en", "Mar 1, 2026"),
        ("x | date: 'long'", "en", "March 1, 2026"),
        ("x | date: 'long'", "ru", "1 марта 2026 г."),
        ("x | date: 'full'", "pl", "niedziela, 1 marca 2026"),
        ("x | date: '%d %B'", "ru", "01 марта"),
        ("x | date: '%A, %-d %b %Y'", "it", "domenica, 1 mar 2026"),
        ("x | date: 'd MMMM'", "pl", "1 marca"),
        ("x | date: 'long'", "zh", "2026年3月1日"),
        ("x | time", "en", "12:30 PM"),
        ("x | time", "pl", "12:30"),
        ("x | time: 'HH:mm'", "en", "12:30"),
        ("'now' | date: '%H:%M'", "en", "12:30"),
    ],
)
def test_dates(source: str, locale: str, text: str) -> None:
    for value in (NOON, NOON.isoformat(), "2026-03-01T12:30:00Z"):
        assert written(source, locale, x=value) == text


def test_a_moment_is_told_in_the_customers_zone_and_a_day_is_that_day() -> None:
    late = datetime(2026, 3, 1, 23, 30)
    assert written("x | date: '%d %H:%M'", zone="Europe/Warsaw", x=late) == "02 00:30"
    assert written("x | date: '%d %H:%M'", zone="Europe/Warsaw", x="2026-03-01T23:30:00+00:00") == "02 00:30"
    assert written("x | date: '%d'", zone="America/New_York", x="2026-03-01") == "01"
    assert written("x | date: '%d'", zone="America/New_York", x=date(2026, 3, 1)) == "01"


@pytest.mark.parametrize("machine", ["UTC", "Europe/Warsaw"])
def test_seconds_since_1970_are_those_of_the_customers_zone(machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setenv("TZ", machine)
        time.tzset()
        assert written("x | date: '%s'", x="2016-03-14") == "1457913600"
        assert written("x | date: '%s'", zone="America/New_York", x="2026-03-01T12:30:00Z") == "1772368200"
        assert written("x | date: '%s'", x="2026-03-01T13:30:00+01:00") == "1772368200"
        assert written("x | date: '%%s %%B %B'", x=NOON) == "%s %B March"
    time.tzset()


@pytest.mark.parametrize("value", ["soon", "9999-99-99", True, 1.5e300, "x" * 1000])
def test_what_is_no_date_stays(value: object) -> None:
    assert written("x | date: 'long'", x=value) == str(value)


def test_a_date_s_format_has_an_end() -> None:
    with pytest.raises(LiquidError, match="longer than"):
        written("x | date: f", x=NOON, f="%d" * 100)


def test_lists_and_countries() -> None:
    names = ["Ann", "Bob", "Carl"]
    assert written("x | list", x=names) == "Ann, Bob, and Carl"
    assert written("x | list", "pl", x=names) == "Ann, Bob i Carl"
    assert written("x | list: 'or'", "it", x=names[:2]) == "Ann o Bob"
    assert written("x | list", x="Ann") == "Ann"
    assert written("'PL' | country", "ru") == "Польша"
    assert written("'XX' | country", "ru") == "XX"


def test_a_missing_value_leaves_every_filter_silent() -> None:
    for name in FILTERS:
        if name != "pluralize":
            assert written(f"nothing | {name}") == ""
