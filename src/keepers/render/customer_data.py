"""Traits as nested data for templates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def nested(traits: Mapping[str, Any]) -> dict[str, Any]:
    """Traits as templates read them: `address.city` is {{ customer.address.city }}."""
    found: dict[str, Any] = {}
    for name, value in traits.items():
        *outer, last = name.split(".")
        place = found
        for part in outer:
            inner = place.setdefault(part, {})
            if not isinstance(inner, dict):
                # A trait that is both a value and has parts keeps the value; the parts by their whole name.
                place, last = found, name
                break
            place = inner
        place[last] = value
    return found
