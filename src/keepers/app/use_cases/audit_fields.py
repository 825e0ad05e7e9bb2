"""What the audit log keeps of a request: a use case says it of each field that may hold a text.

A field that nothing is said of is hidden, and a test refuses a text that nothing is said of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sized
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Struct

from keepers.model.moments import format_instant

Kept = Literal["plain", "target", "profile", "run", "names", "hidden"]
"""`plain`: as it is. `target`: as it is, and as what the call was about. `profile`: it names a customer, of whom only
the number is kept, and that until they are erased. `run`: as it is, with the customer whose run through a journey it
is. `names`: of a mapping its names, without values. `hidden`, for secrets and what is said of persons: whether it was
given, and how many."""
_HARMLESS = (bool, int, float, datetime, type(None))
_LONGEST = 1000
_MOST_LISTED = 50


class AuditedRequest(NamedTuple):
    target: str
    profile: str
    """what the customer is called in the request; empty for none"""
    run: int | None
    """the number of the run whose customer it is about"""
    values: dict[str, Any]


def audited(request: Struct, declared: Mapping[str, Kept]) -> AuditedRequest:
    """What is kept of a request, as its use case declares it by field."""
    hints = get_type_hints(type(request), include_extras=True)
    values: dict[str, Any] = {}
    targets: list[str] = []
    profile, run = "", None
    for name in request.__struct_fields__:
        value = getattr(request, name)
        match declared.get(name, "plain" if is_harmless(hints[name]) else "hidden"):
            case "profile":
                profile = str(value or "")
            case "run":
                values[name] = run = value
            case "target":
                targets += map(str, shown if isinstance(shown := _shown(value), list) else [shown])
            case "plain":
                values[name] = _shown(value)
            case "names":
                values[name] = sorted(value)[:_MOST_LISTED] if value else []
            case _:
                values[name] = _hidden(value)
    return AuditedRequest(" ".join(targets), profile, run, values)


def is_harmless(hint: Any) -> bool:
    """Whether a type can hold no text of anybody's own."""
    origin = get_origin(hint)
    if origin is Annotated:
        return is_harmless(get_args(hint)[0])
    if origin is Literal:
        return True
    arguments = get_args(hint)
    return hint in _HARMLESS or (bool(arguments) and origin is not dict and all(map(is_harmless, arguments)))


def _shown(value: Any) -> Any:
    match value:
        case str():
            return value[:_LONGEST]
        case datetime():
            return format_instant(value)
        case list() | tuple():
            return [_shown(one) for one in value[:_MOST_LISTED]]
        case Struct() | dict():
            return msgspec.to_builtins(value)
    return value


def _hidden(value: Any) -> Any:
    match value:
        case None | "":
            return None
        case str() | bytes():
            return "…"
        case Sized():
            return f"… ({len(value)})"
    return "…"
