"""The reporting currency and the dated rates by which amounts of others are read in it."""

from __future__ import annotations

import math
import re
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct

from keepers.model.errors import DefinitionError, UserError, problem
from keepers.model.fields import join, mapping
from keepers.model.moments import parse_instant

_CODE = re.compile(r"[A-Z]{3}")
MAX_RATES = 5_000
_FOR_EVER = datetime(1, 1, 1)


class Rate(Struct, frozen=True):
    """From an instant (naive UTC) on, one unit of a currency is `rate` units of the reporting currency."""

    currency: str
    start: datetime
    rate: float


class Unrated(Struct, frozen=True):
    """Amounts of a currency (empty: none was named) that no rate is for: how many, the first and last of them."""

    currency: str
    amounts: int
    first: datetime
    last: datetime

    def __add__(self, other: Unrated) -> Unrated:
        first, last = min(self.first, other.first), max(self.last, other.last)
        return Unrated(self.currency, self.amounts + other.amounts, first, last)


class Currencies(Struct, frozen=True):
    """`currencies:` of a playbook. Codes are ISO 4217. `default` is the currency of amounts that name none, if any.

    `rates` are by currency and instant; the reporting currency has 1 from ever.
    """

    reporting: str
    rates: tuple[Rate, ...]
    default: str | None = None

    @property
    def starts(self) -> dict[str, datetime]:
        """Currency → since when there is a rate."""
        return {rate.currency: rate.start for rate in reversed(self.rates)}

    @property
    def signature(self) -> str:
        """Changes whenever an amount may be read differently."""
        return msgspec.json.encode(self).decode()


def parse_currencies(data: Any, at: str) -> Currencies:
    """The section `currencies:`. Raises DefinitionError naming the field."""
    fields = mapping(data, ("reporting", "default", "rates"), at)
    reporting = _code(fields.get("reporting"), join(at, "reporting"))
    default = _code(fields["default"], join(at, "default")) if "default" in fields else None
    listed = fields.get("rates", [])
    if not isinstance(listed, list):
        raise DefinitionError(
            problem("expected a list of rates, each as {{from: 2026-01-01, currency: PLN, rate: 0.23}}"),
            field=join(at, "rates"),
        )
    if len(listed) > MAX_RATES:
        raise DefinitionError(problem("more than {most} rates", most=MAX_RATES), field=join(at, "rates"))
    found = {(reporting, _FOR_EVER): Rate(reporting, _FOR_EVER, 1.0)}
    for n, entry in enumerate(listed):
        here = f"{join(at, 'rates')}[{n}]"
        rate = _rate(entry, here)
        if rate.currency == reporting:
            raise DefinitionError(
                problem("{currency} is the reporting currency; its rate is always 1", currency=reporting),
                field=join(here, "currency"),
            )
        if (rate.currency, rate.start) in found:
            raise DefinitionError(
                problem("{currency} has a rate from {start} already", currency=rate.currency, start=rate.start.date()),
                field=here,
            )
        found[rate.currency, rate.start] = rate
    return Currencies(reporting, tuple(found[key] for key in sorted(found)), default)


def _rate(data: Any, at: str) -> Rate:
    fields = mapping(data, ("from", "currency", "rate"), at)
    rate = fields.get("rate")
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not math.isfinite(rate) or not 0 < rate < 1e12:
        raise DefinitionError(
            problem("expected how many units of the reporting currency one unit is, a number above 0"),
            field=join(at, "rate"),
        )
    return Rate(_code(fields.get("currency"), join(at, "currency")), _day(fields.get("from"), at), float(rate))


def _code(data: Any, at: str) -> str:
    if not isinstance(data, str) or not _CODE.fullmatch(data):
        raise DefinitionError(problem("expected a currency of ISO 4217, three capital letters such as EUR"), field=at)
    return data


def _day(data: Any, at: str) -> datetime:
    """A day begins at midnight UTC, so that a rate does not hang on where the workspace is."""
    text = data.isoformat() if isinstance(data, date) and not isinstance(data, datetime) else data
    if isinstance(text, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        try:
            return parse_instant(text, ZoneInfo("UTC"))
        except UserError as error:
            raise DefinitionError(error.problem, field=join(at, "from")) from None
    raise DefinitionError(problem("expected the first day of the rate, such as 2026-01-01"), field=join(at, "from"))
