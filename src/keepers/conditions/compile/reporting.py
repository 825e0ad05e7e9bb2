"""Amounts read in the reporting currency: each by the rate in force at its event's own time."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

from keepers.conditions.currencies import Currencies
from keepers.conditions.lazy_ibis import ibis

RATE = "reporting_rate"
CODE = "reporting_code"
"""columns of an event's rows: the rate (NULL where there is none) and the currency it is of"""
_STRUCTURE = '[{"code":"VARCHAR","start":"TIMESTAMP","rate":"DOUBLE"}]'


def _from_json(text: Any, structure: Any) -> Any: ...


@cache
def _read() -> Any:
    # One text, whatever the number of rates: a literal per rate would take longer to compile than to run.
    return ibis.udf.scalar.builtin(
        _from_json,
        name="from_json",
        signature=(("string", "string"), "array<struct<code: string, start: timestamp, rate: float64>>"),
    )


def with_rates(rows: Any, code: Any, currencies: Currencies | None) -> Any:
    """Rows of an event with the rate of each; `code` is their currency as text, None where none ever arrived."""
    currency = ibis.null("string") if code is None else code.strip().upper().nullif("")
    if currencies is None:
        return rows.mutate(**{CODE: currency, RATE: ibis.null("float64")})
    if currencies.default is not None:
        currency = currency.fill_null(currencies.default)
    dated = rows.mutate(**{CODE: currency})
    listed = [{"code": r.currency, "start": r.start.isoformat(), "rate": r.rate} for r in currencies.rates]
    text = msgspec.json.encode(listed).decode()
    rates = _read()(ibis.literal(text), ibis.literal(_STRUCTURE)).unnest().name("each").as_table().unpack("each")
    rates = rates.select(rate_code=rates.code, rate_start=rates.start, **{RATE: rates.rate})
    joined = dated.asof_join(rates, on=dated.time >= rates.rate_start, predicates=[dated[CODE] == rates.rate_code])
    return joined.drop("rate_code", "rate_start")
