"""The same conditions with refs in the place of what is written down, and what each run has there."""

from __future__ import annotations

from random import Random
from typing import Any

from properties.generate import ABSOLUTE, NUMBERS, TEXTS

_OPERATORS = frozenset(
    (
        "eq", "ne", "lt", "lte", "gt", "gte", "in", "not_in", "between", "before", "after", "contains",
        "not_contains", "starts_with", "ends_with",
    )
)  # fmt: skip
Keys = dict[str, Any]


def referring(data: Any, r: Random, keys: Keys) -> Any:
    """A condition with some of its literals replaced by refs; `keys` gets what each stands for."""
    if isinstance(data, list):
        return [referring(item, r, keys) for item in data]
    if not isinstance(data, dict):
        return data
    found = {}
    for key, value in data.items():
        match key:
            case "where" | "some":
                found[key] = {path: _wanted(held, r, keys) for path, held in value.items()}
            case "since" | "between" if "trait" not in data and "of" not in data:
                found[key] = _operand(value, r, keys)
            case "count" if not isinstance(value, dict):
                found[key] = _operand(value, r, keys)
            case _ if key in _OPERATORS:
                found[key] = _operand(value, r, keys)
            case _:
                found[key] = referring(value, r, keys)
    return found


def _wanted(held: Any, r: Random, keys: Keys) -> Any:
    return referring(held, r, keys) if isinstance(held, dict) else _operand(held, r, keys)


def _operand(value: Any, r: Random, keys: Keys) -> Any:
    if isinstance(value, list):
        return [_operand(item, r, keys) for item in value]
    is_literal = isinstance(value, bool | int | float) or value in TEXTS or value in ABSOLUTE
    if not is_literal or r.random() < 0.3:
        return value
    path = f"trigger.k{len(keys)}"
    keys[path] = value
    return {"ref": path}


def other(value: Any, r: Random) -> Any:
    """Another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return r.choice(NUMBERS)
    return r.choice(ABSOLUTE if value in ABSOLUTE else TEXTS[:-1])


def written(data: Any, keys: Keys) -> Any:
    """The condition with what the refs stand for written in their place."""
    if isinstance(data, list):
        return [written(item, keys) for item in data]
    if not isinstance(data, dict):
        return data
    if "ref" in data:
        return keys[data["ref"]]
    return {key: written(value, keys) for key, value in data.items()}
