"""Reads the fields that every definition has from plain data. Mistakes name their field and the remedy."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any, cast

from keepers.model.definitions import Text
from keepers.model.errors import DefinitionError, UserError, nearest
from keepers.model.moments import parse_duration

_ID = re.compile(r"^[a-z][a-z0-9_-]{0,63}$")


def join(at: str, key: str) -> str:
    """The path of a field inside another: `stages[0].when`."""
    return f"{at}.{key}" if at else key


def mapping(data: Any, allowed: tuple[str, ...], at: str) -> dict[str, Any]:
    """Names and values, none of them unknown. Raises DefinitionError with the nearest name."""
    if not isinstance(data, dict):
        raise DefinitionError(f"expected fields ({', '.join(allowed)})", field=at)
    for key in data:
        if key not in allowed:
            raise DefinitionError(f"“{key}” does not belong here.{nearest(str(key), allowed)}", field=at)
    return data


def parse_id(data: Any, at: str) -> str:
    """An id: lower-case Latin letters, digits, - and _, at most 64."""
    if not isinstance(data, str) or not _ID.match(data):
        raise DefinitionError(
            f"“{data}” cannot be an id; use lower-case letters, digits, - and _, starting with a letter",
            field=at,
        )
    return data


def duration(data: Any, at: str) -> timedelta:
    """A duration such as 14d."""
    try:
        return parse_duration(data)
    except UserError as error:
        raise DefinitionError(error.message, field=at) from None


def text(data: Any, at: str) -> Text:
    """A text, or one per locale."""
    if isinstance(data, str):
        return data
    if isinstance(data, dict) and data and all(isinstance(k, str) and isinstance(v, str) for k, v in data.items()):
        return cast(Text, data)
    raise DefinitionError("expected a text, or one per locale as {en: …, ru: …}", field=at)


def texts(data: Any, at: str) -> tuple[Text, ...]:
    """A list of texts."""
    if not isinstance(data, list):
        raise DefinitionError("expected a list of texts", field=at)
    return tuple(text(item, f"{at}[{n}]") for n, item in enumerate(data))


def one_of(data: Any, allowed: tuple[str, ...], at: str) -> str:
    """One of some words."""
    if data not in allowed:
        raise DefinitionError(f"“{data}” is not known here.{nearest(str(data), allowed)}", field=at)
    return str(data)
