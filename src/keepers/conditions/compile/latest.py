"""The latest of several values: of all rows the one with the greatest time, and of equal times the greatest seq.

Sorting within an aggregate, or comparing structs, costs five to ten times as much as one whole number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ibis

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


def _latest(kind: str) -> Callable[..., Any]:
    def arg_max_null(value: Any, order: Any) -> Any: ...

    arg_max_null.__annotations__ = {"value": kind, "order": "decimal(38, 0)", "return": kind}
    return ibis.udf.agg.builtin(arg_max_null, signature=((kind, "decimal(38, 0)"), kind))  # type: ignore[no-any-return]


LATEST = {field: _latest(kind) for field, kind in _FIELDS.items()}
"""Per field of a trait the aggregate (value, order, where): NULL where the latest is NULL, as of a cleared trait."""


def _epoch_us(time: Any) -> Any: ...


# A whole number of 128 bits in truth; to Ibis the widest decimal is nearest.
_microseconds = ibis.udf.scalar.builtin(_epoch_us, name="epoch_us", signature=(("timestamp",), "decimal(38, 0)"))


def in_order(rows: Any) -> Any:
    """(time, seq) of rows as one number that sorts as they do."""
    return _microseconds(rows.time) * ibis.literal(_SEQ_RANGE, "uint64") + rows.seq
