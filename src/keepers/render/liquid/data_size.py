"""How large a value may be that a filter is given or that is printed as a whole."""

from __future__ import annotations

from typing import Any

from keepers.model.errors import problem
from keepers.render.liquid.context import LimitError

MOST_ITEMS = 10_000
"""of a list a filter is given or makes, those of lists inside it counted: filters take a list of lists as one"""
_MOST_VALUES = 200_000
"""in lists and dicts together, at any depth"""
_MOST_TEXT = 4_000_000
"""characters of all texts in it"""
_MOST_LEVELS = 100


def refuse_large(name: str, value: Any) -> None:
    """Raises LimitError, naming the filter, for a list, dict or range over the limits. One value that stands in it
    many times counts each time, since it is compared and written each time."""
    if isinstance(value, range):
        if len(value) > MOST_ITEMS:
            raise _too_large(name)
        return
    if not isinstance(value, list | tuple | dict):
        return
    items = values = text = 0
    level: list[Any] = [value]
    for _ in range(_MOST_LEVELS):
        inner: list[Any] = []
        for one in level:
            values += len(one)
            if not isinstance(one, dict):
                items += len(one)
            if values > _MOST_VALUES or items > MOST_ITEMS:
                raise _too_large(name)
            for found in one.values() if isinstance(one, dict) else one:
                if isinstance(found, str):
                    text += len(found)
                elif isinstance(found, list | tuple | dict):
                    inner.append(found)
            if text > _MOST_TEXT:
                raise _too_large(name)
        if not inner:
            return
        level = inner
    raise _too_large(name)


def _too_large(name: str) -> LimitError:
    return LimitError(problem("{filter}: the value is too large", filter=name), token=None)
