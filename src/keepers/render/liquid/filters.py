"""Filters beyond the standard: money, numbers, dates, plurals and lists in the customer's language."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, cast
from zoneinfo import ZoneInfo

from babel import dates, lists, numbers
from dateutil import parser as dates_in_words
from liquid.exceptions import FilterArgumentError
from liquid.filter import flatten, with_context
from liquid.undefined import is_undefined

from keepers.i18n.locales import babel_locale
from keepers.model.errors import problem
from keepers.render.liquid.context import Context, MessageContext
from keepers.render.liquid.sandbox import Sandbox, bounded

_STYLES = ("short", "medium", "long", "full")
_MOST_FORMAT = 100
_MOST_LISTED = 1000
_MOST_LISTED_TEXT = 100_000
_OWN_MARK = re.compile(r"%[%ABabs]")
"""of a date's format: written here and not by strftime, which speaks English and knows the machine's zone alone"""
_ABSENT = object()
_CATEGORIES = ("zero", "one", "two", "few", "many", "other")
# Whole numbers that show every plural category a language uses for them.
_SAMPLE = (*range(201), 1000, 1_000_000)
_LARGEST = Decimal(10) ** 18


def register(sandbox: Sandbox) -> None:
    """Adds these filters to an environment, in place of its own `date`."""
    for name, function in FILTERS.items():
        sandbox.add_filter(name, bounded(name, function))


def _message(context: Any) -> MessageContext:
    return cast(Context, context).message


@with_context
def money(value: Any, currency: Any = None, digits: Any = None, *, context: Any) -> str:
    """`{{ trigger.total | money: trigger.currency }}` → 1 234,50 zł. Without a currency: the message's, else a number.

    An absent value is an empty text; what is no number stays as it is.
    """
    message = _message(context)
    amount = _amount(value)
    if amount is None:
        return _as_is(value)
    code = str(currency or message.currency or "").upper()
    if not (len(code) == 3 and code.isascii() and code.isalpha()):
        return _number(amount, 2, message.locale)
    return _money(amount, code, _digits(digits), message.locale)


@with_context
def number(value: Any, digits: Any = None, *, context: Any) -> str:
    """`{{ 1234.5 | number }}` → 1,234.5; with digits exactly as many after the point."""
    amount = _amount(value)
    return _as_is(value) if amount is None else _number(amount, _digits(digits), _message(context).locale)


@with_context
def percent(value: Any, digits: Any = 0, *, context: Any) -> str:
    """`{{ 0.15 | percent }}` → 15%"""
    amount = _amount(value)
    if amount is None:
        return _as_is(value)
    pattern = "#,##0" + ("." + "0" * places if (places := _digits(digits) or 0) else "")
    locale = babel_locale(_message(context).locale)
    own = locale.percent_formats[None].pattern
    return numbers.format_percent(amount, format=own.replace("#,##0", pattern, 1), locale=locale)


@with_context
def pluralize(value: Any, *forms: Any, context: Any, **named: Any) -> str:
    """`{{ n }} {{ n | pluralize: 'товар', 'товара', 'товаров' }}`: the form that CLDR's rules choose for n.

    Forms stand in the order zero, one, two, few, many, other, as far as the language has them for whole numbers (en:
    one, other; pl, ru: one, few, many; zh: other), or are named: `one: 'item', other: 'items'`.
    """
    message = _message(context)
    amount = _amount(value) or Decimal(0)
    by_category = {k: str(v) for k, v in named.items() if k in _CATEGORIES}
    order = plural_categories(message.locale)
    by_category.update({name: str(form) for name, form in zip(order, forms, strict=False) if name not in by_category})
    if not by_category:
        raise FilterArgumentError(problem("pluralize needs the forms of the word"), token=None)
    wanted = babel_locale(message.locale).plural_form(cast(Any, abs(_plain(amount))))
    if wanted not in by_category and wanted == "other":
        # Fractions: 1,5 товара, where the form of `few` is the genitive singular.
        wanted = "few" if message.locale[:2] in ("ru", "uk", "be") else "many"
    return by_category.get(wanted) or by_category.get("other") or list(by_category.values())[-1]


@lru_cache(maxsize=256)
def plural_categories(locale: str) -> tuple[str, ...]:
    """The plural categories a language uses for whole numbers, in CLDR's order."""
    form = babel_locale(locale).plural_form
    used = {form(n) for n in _SAMPLE} if locale[:2] not in ("it", "fr", "es", "pt", "ca") else {"one", "other"}
    return tuple(name for name in _CATEGORIES if name in used)


@with_context
def date_(value: Any, form: Any = "medium", *, context: Any) -> str:
    """A date in the customer's language and zone.

    `form` is short, medium, long or full; a pattern with % as strftime has it, its names of days and months in the
    customer's language; or a CLDR pattern (d MMMM). `'now' | date` is the moment of rendering. What is no date stays.
    """
    message = _message(context)
    if value is None or is_undefined(value):
        return ""
    if is_undefined(form):
        return str(value)
    moment = _moment(value, message)
    if moment is None:
        return str(value)
    pattern = str(form)
    if len(pattern) > _MOST_FORMAT:
        raise FilterArgumentError(
            problem("a date's format is longer than {most} characters", most=_MOST_FORMAT), token=None
        )
    locale = babel_locale(message.locale)
    if pattern in _STYLES:
        return dates.format_date(moment, pattern, locale=locale)
    if "%" in pattern or not pattern:
        return _strftime(moment, pattern, message)
    return dates.format_datetime(moment, pattern, locale=locale)


@with_context
def time_(value: Any, form: Any = "short", *, context: Any) -> str:
    """A time of day in the customer's language and zone: short, medium, or a CLDR pattern (HH:mm)."""
    message = _message(context)
    moment = None if value is None or is_undefined(value) else _moment(value, message)
    if moment is None:
        return "" if value is None or is_undefined(value) else str(value)
    return dates.format_time(moment, str(form)[:_MOST_FORMAT], locale=babel_locale(message.locale))


@with_context
def list_(value: Any, style: Any = "standard", *, context: Any) -> str:
    """`{{ names | list }}` → Ann, Bob and Carl; `list: 'or'` for alternatives."""
    if isinstance(value, str) or not isinstance(value, list | tuple):
        return _as_is(value)
    items = [str(v) for v in value if v not in (None, "")]
    # Babel copies what it has for each item.
    if len(items) > _MOST_LISTED or sum(map(len, items)) > _MOST_LISTED_TEXT:
        raise FilterArgumentError(problem("list: more than {most} items", most=_MOST_LISTED), token=None)
    kind = "or" if str(style) == "or" else "standard"
    return lists.format_list(items, style=cast(Any, kind), locale=babel_locale(_message(context).locale))


@with_context
def country(value: Any, *, context: Any) -> str:
    """The name of a country in the customer's language: `{{ 'PL' | country }}` → Poland."""
    name = babel_locale(_message(context).locale).territories.get(str(value or "").upper())
    return cast(str, name) if name else _as_is(value)


def uniq(value: Any, key: Any = None) -> Any:
    """The items of a list without those equal to an earlier one, or whose `key` is. python-liquid's takes the square of
    their number."""
    if isinstance(value, str) or not isinstance(value, list | tuple | range):
        return [] if value is None or is_undefined(value) else [value]
    found: dict[Any, Any] = {}
    for item in flatten(value) if isinstance(value, list | tuple) else value:
        compared = item
        if key is not None:
            if not isinstance(item, dict):
                raise FilterArgumentError(problem("uniq: an item has no fields"), token=None)
            compared = item.get(str(key), _ABSENT)
        found.setdefault(_hashable(compared), item)
    return list(found.values())


def _hashable(value: Any) -> Any:
    """Equal for equal values of plain data. Number, text and truth are as Python compares them: 1 is 1.0 and true."""
    if isinstance(value, dict):
        return (dict, frozenset((name, _hashable(one)) for name, one in value.items()))
    if isinstance(value, list | tuple):
        return (list, tuple(map(_hashable, value)))
    return value


FILTERS: dict[str, Callable[..., Any]] = {
    "money": money,
    "number": number,
    "percent": percent,
    "pluralize": pluralize,
    "date": date_,
    "time": time_,
    "list": list_,
    "country": country,
    "uniq": uniq,
}


def _as_is(value: Any) -> str:
    return "" if value is None or is_undefined(value) else str(value)


def _amount(value: Any) -> Decimal | None:
    """A number, or a text that is one; None for anything else and for unbounded numbers."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    text = str(value).strip()
    try:
        amount = Decimal(text) if len(text) <= 40 else None
    except InvalidOperation:
        return None
    return amount if amount is not None and amount.is_finite() and abs(amount) < _LARGEST else None


def _plain(amount: Decimal) -> Decimal | int:
    return int(amount) if amount == amount.to_integral_value() else amount


def _digits(value: Any) -> int | None:
    if value is None or is_undefined(value):
        return None
    try:
        return min(max(int(value), 0), 10)
    except (TypeError, ValueError):
        raise FilterArgumentError(problem("the number of digits is a whole number"), token=None) from None


@lru_cache(maxsize=8192)
def _money(amount: Decimal, currency: str, digits: int | None, locale: str) -> str:
    known = babel_locale(locale)
    if digits is None:
        return numbers.format_currency(amount, currency, locale=known)
    pattern = known.currency_formats["standard"].pattern
    shown = "#,##0" + ("." + "0" * digits if digits else "")
    return numbers.format_currency(
        amount, currency, format=pattern.replace("#,##0.00", shown), locale=known, currency_digits=False
    )


@lru_cache(maxsize=8192)
def _number(amount: Decimal, digits: int | None, locale: str) -> str:
    form = None if digits is None else "#,##0" + ("." + "0" * digits if digits else "")
    return numbers.format_decimal(amount, format=form, locale=babel_locale(locale))


def _moment(value: Any, message: MessageContext) -> datetime | None:
    """The moment in the customer's zone. A day without a time stays that day."""
    found: datetime | date | None = message.now if value in ("now", "today") else _read(value)
    if not isinstance(found, datetime):
        return datetime.combine(found, time()) if found is not None else None
    if message.zone is None:
        return found
    aware = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
    try:
        return aware.astimezone(message.zone).replace(tzinfo=None)
    except OverflowError:
        return found


def _read(value: Any) -> datetime | date | None:
    if isinstance(value, datetime | date):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, int | float) or (value.isascii() and value.isdigit() and len(value) < 14):
        try:
            return datetime.fromtimestamp(float(value), ZoneInfo("UTC")).replace(tzinfo=None)
        except (OverflowError, OSError, ValueError):
            return None
    return _read_text(value) if len(value) <= 60 else None


@lru_cache(maxsize=4096)
def _read_text(text: str) -> datetime | date | None:
    try:
        return date.fromisoformat(text) if len(text) <= 10 else datetime.fromisoformat(text)
    except ValueError:
        pass
    try:
        found = dates_in_words.parse(text, default=datetime(2000, 1, 1))
    except (ValueError, OverflowError):
        return None
    return found if isinstance(found, datetime) else None


def _strftime(moment: datetime, pattern: str, message: MessageContext) -> str:
    """As strftime, in the customer's language; %s counts from 1970 in the customer's zone, not in the machine's."""
    names = _names(message.locale, moment.month, moment.weekday())

    def written(found: re.Match[str]) -> str:
        if found[0] != "%s":
            return names[found[0]]
        aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=message.zone or UTC)
        return str(int(aware.timestamp()))

    return moment.strftime(_OWN_MARK.sub(written, pattern))


@lru_cache(maxsize=2048)
def _names(locale: str, month: int, weekday: int) -> Mapping[str, str]:
    """What is written for each mark that does not go to strftime as it is; a sign % in it is doubled."""
    known = babel_locale(locale)
    months: Any = {w: dates.get_month_names(w, "format", known)[month] for w in ("wide", "abbreviated")}
    days: Any = {w: dates.get_day_names(w, "format", known)[weekday] for w in ("wide", "abbreviated")}
    names = {"%B": months["wide"], "%b": months["abbreviated"], "%A": days["wide"], "%a": days["abbreviated"]}
    return {mark: str(name).replace("%", "%%") for mark, name in names.items()} | {"%%": "%%"}
