"""What a customer may be given: pools of coupon codes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct

from keepers.model.errors import DefinitionError, problem
from keepers.model.fields import Text, duration, join, mapping, parse_id, text

NO_CODE = "no_coupon"
"""why a message that needs a code is skipped"""


class CouponPool(Struct, frozen=True):
    """Imported codes, of which a run takes one. `low` left is warned about; a customer gets one per `every`."""

    id: str
    name: Text = ""
    description: Text = ""
    low: int = 50
    every: timedelta = timedelta(days=90)


def parse_coupon_pool(data: Any, zone: ZoneInfo | None = None, at: str = "") -> CouponPool:
    """One entry of `coupons:`."""
    fields = mapping(data, ("id", "name", "description", "low", "every"), at)
    low = fields.get("low", 50)
    if isinstance(low, bool) or not isinstance(low, int) or low < 0:
        raise DefinitionError(problem("expected a whole number of codes"), field=join(at, "low"))
    return CouponPool(
        id=parse_id(fields.get("id"), join(at, "id")),
        name=text(fields.get("name", ""), join(at, "name")),
        description=text(fields.get("description", ""), join(at, "description")),
        low=low,
        every=duration(fields.get("every", "90d"), join(at, "every")),
    )
