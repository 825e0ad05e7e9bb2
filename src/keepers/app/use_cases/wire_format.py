"""Responses as JSON: instants in ISO 8601 UTC, the same for HTTP, `--json` and the command line that asks a server."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from keepers.model.moments import format_instant

T = TypeVar("T")


def plain(value: Any) -> Any:
    """A response as plain data. Naive instants are UTC."""
    return msgspec.to_builtins(_with_instants(value))


def encode(value: Any) -> bytes:
    """A response as JSON."""
    return msgspec.json.encode(_with_instants(value))


def decode(content: bytes, shape: type[T]) -> T:
    """JSON made by `encode` as the response again, its instants naive UTC."""
    found: T = _naive(msgspec.json.decode(content, type=shape))
    return found


def _with_instants(value: Any) -> Any:
    match value:
        case datetime():
            return format_instant(value)
        case Struct():
            fields = msgspec.structs.fields(value)
            tag = value.__struct_config__
            made = {tag.tag_field: tag.tag} if tag.tag_field is not None else {}
            return made | {f.encode_name: _with_instants(getattr(value, f.name)) for f in fields}
        case dict():
            return {k: _with_instants(v) for k, v in value.items()}
        case list() | tuple():
            return [_with_instants(v) for v in value]
        case _:
            return value


def _naive(value: Any) -> Any:
    match value:
        case datetime():
            return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo is not None else value
        case Struct():
            changed = {name: _naive(getattr(value, name)) for name in value.__struct_fields__}
            return msgspec.structs.replace(value, **changed)
        case dict():
            return {k: _naive(v) for k, v in value.items()}
        case list():
            return [_naive(v) for v in value]
        case tuple():
            return tuple(_naive(v) for v in value)
        case _:
            return value
