"""The value of several that counts: what is trusted before the rest, of these the latest, of equal times the last.

Sorting within an aggregate, or comparing structs, costs five to ten times as much as one whole number.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from keepers.conditions.lazy_ibis import ibis
from keepers.conditions.schema import TRUSTED

_FIELDS = {
    "number": "float64",
    "text": "string",
    "boolean": "boolean",
    "instant": "timestamp",
    "date": "date",
    "items": "string",
}
TRAIT_FIELDS = tuple(_FIELDS)
_SEQ_RANGE = 1 << 63
_TRUSTED = 1 << 60
"""more than any time has microseconds"""


@cache
def latest(field: str) -> Callable[..., Any]:
    """The aggregate (value, order, where) of a field of a trait: NULL where the latest is NULL, as of a cleared one."""
    kind = _FIELDS[field]

    def arg_max_null(value: Any, order: Any) -> Any: ...

    arg_max_null.__annotations__ = {"value": kind, "order": "decimal(38, 0)", "return": kind}
    return ibis.udf.agg.builtin(arg_max_null, signature=((kind, "decimal(38, 0)"), kind))  # type: ignore[no-any-return]


def _epoch_us(time: Any) -> Any: ...


@cache
def _microseconds() -> Callable[..., Any]:
    # Really a whole number of 128 bits; the widest decimal is the nearest type of Ibis.
    return ibis.udf.scalar.builtin(  # type: ignore[no-any-return]
        _epoch_us, name="epoch_us", signature=(("timestamp",), "decimal(38, 0)")
    )


def in_order(rows: Any) -> Any:
    """(trusted, time, seq) of rows as one number that sorts as they do."""
    trusted = ibis.cases((rows[TRUSTED], ibis.literal(_TRUSTED, "int64")), else_=ibis.literal(0, "int64"))
    return (_microseconds()(rows.time) + trusted) * ibis.literal(_SEQ_RANGE, "uint64") + rows.seq
