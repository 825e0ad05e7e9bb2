"""The same conditions with refs in the place of what is written down, and what each run has there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from properties.generate import ABSOLUTE, NUMBERS, TEXTS, Strategy

_OPERATORS = frozenset(
    (
        "eq", "ne", "lt", "lte", "gt", "gte", "in", "not_in", "between", "before", "after", "contains",
        "not_contains", "starts_with", "ends_with",
    )
)  # fmt: skip
Keys = dict[str, Any]


@st.composite
def referring(draw: st.DrawFn, conditions: Strategy) -> tuple[Any, Keys]:
    """A condition with some of its literals replaced by refs, and what each stands for."""
    keys: Keys = {}
    # Shrinks to a condition without refs.
    return _replaced(draw(conditions), lambda: draw(st.sampled_from((False, True, True))), keys), keys


def _replaced(data: Any, is_ref: Callable[[], bool], keys: Keys) -> Any:
    if isinstance(data, list):
        return [_replaced(item, is_ref, keys) for item in data]
    if not isinstance(data, dict):
        return data
    found = {}
    for key, value in data.items():
        match key:
            case "where" | "some":
                found[key] = {path: _wanted(held, is_ref, keys) for path, held in value.items()}
            case "since" | "between" if "trait" not in data and "of" not in data:
                found[key] = _operand(value, is_ref, keys)
            case "count" if not isinstance(value, dict):
                found[key] = _operand(value, is_ref, keys)
            case _ if key in _OPERATORS:
                found[key] = _operand(value, is_ref, keys)
            case _:
                found[key] = _replaced(value, is_ref, keys)
    return found


def _wanted(held: Any, is_ref: Callable[[], bool], keys: Keys) -> Any:
    return _replaced(held, is_ref, keys) if isinstance(held, dict) else _operand(held, is_ref, keys)


def _operand(value: Any, is_ref: Callable[[], bool], keys: Keys) -> Any:
    if isinstance(value, list):
        return [_operand(item, is_ref, keys) for item in value]
    is_literal = isinstance(value, bool | int | float) or value in TEXTS or value in ABSOLUTE
    if not is_literal or not is_ref():
        return value
    path = f"trigger.k{len(keys)}"
    keys[path] = value
    return {"ref": path}


def others(keys: Keys) -> st.SearchStrategy[Keys]:
    """Other values of the same kinds."""
    return st.fixed_dictionaries({path: _other(value) for path, value in keys.items()})


def _other(value: Any) -> Strategy:
    if isinstance(value, bool):
        return st.just(not value)
    if isinstance(value, int | float):
        return st.sampled_from(NUMBERS)
    return st.sampled_from(ABSOLUTE if value in ABSOLUTE else TEXTS[:-1])


def written(data: Any, keys: Keys) -> Any:
    """The condition with what the refs stand for written in their place."""
    if isinstance(data, list):
        return [written(item, keys) for item in data]
    if not isinstance(data, dict):
        return data
    if "ref" in data:
        return keys[data["ref"]]
    return {key: written(value, keys) for key, value in data.items()}
