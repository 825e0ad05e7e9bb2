"""The fields that every definition has, read from plain data. Mistakes name their field and the remedy."""

from __future__ import annotations

import re
from datetime import time, timedelta
from functools import cache
from typing import Annotated, Any, Literal, cast
from urllib.parse import urlsplit

from msgspec import Meta

from keepers.model.errors import DefinitionError, UserError, nearest, problem
from keepers.model.moments import parse_duration, parse_zone

Kind = Literal["person", "account"]
"""whose a definition is"""
Text = str | dict[str, str]
"""one text, or one per locale"""
_ID = re.compile(r"[a-z][a-z0-9_-]{0,63}")


def join(at: str, key: str) -> str:
    """The path of a field inside another: `stages[0].when`."""
    return f"{at}.{key}" if at else key


def mapping(data: Any, allowed: tuple[str, ...], at: str) -> dict[str, Any]:
    """Names and values, none of them unknown. Raises DefinitionError with the nearest name."""
    if not isinstance(data, dict):
        raise DefinitionError(problem("expected fields ({allowed})", allowed=", ".join(allowed)), field=at)
    for key in data:
        if key not in allowed:
            raise DefinitionError(
                problem("“{name}” does not belong here.", near=nearest(str(key), allowed), name=key), field=at
            )
    return data


def parse_id(data: Any, at: str) -> str:
    """An id: lower-case Latin letters, digits, - and _, at most 64."""
    if not isinstance(data, str) or not _ID.fullmatch(data):
        raise DefinitionError(
            problem(
                "“{data}” cannot be an id; use lower-case letters, digits, - and _, starting with a letter", data=data
            ),
            field=at,
        )
    return data


def duration(data: Any, at: str) -> timedelta:
    """A duration such as 14d."""
    try:
        return parse_duration(data)
    except UserError as error:
        raise DefinitionError(error.problem, field=at) from None


def text(data: Any, at: str) -> Text:
    """A text, or one per locale."""
    if isinstance(data, str):
        return data
    if isinstance(data, dict) and data and all(isinstance(k, str) and isinstance(v, str) for k, v in data.items()):
        return cast(Text, data)
    raise DefinitionError(problem("expected a text, or one per locale as {{en: …, ru: …}}"), field=at)


def texts(data: Any, at: str) -> tuple[Text, ...]:
    """A list of texts."""
    if not isinstance(data, list):
        raise DefinitionError(problem("expected a list of texts"), field=at)
    return tuple(text(item, f"{at}[{n}]") for n, item in enumerate(data))


def one_of(data: Any, allowed: tuple[str, ...], at: str) -> str:
    """One of some words."""
    if data not in allowed:
        raise DefinitionError(
            problem("“{data}” is not known here.", near=nearest(str(data), allowed), data=data), field=at
        )
    return str(data)


DURATION = r"^\s*(\d+(\.\d+)?\s*[smhdw]\s*)+$"


OFFSET = r"^\s*[+-]?\s*(\d+(\.\d+)?\s*[smhdw]\s*)+$"


CLOCK = r"^([01]?\d|2[0-3]):[0-5]\d$"


ID = r"^[a-z][a-z0-9_-]{0,63}$(?!\n)"


TARGET = r"^[a-z][a-z0-9_-]{0,63}$|^$"


ZONE = r"^[A-Za-z][A-Za-z0-9_+/-]{0,63}$"


URL = r"^https?://[^\s]+$"


SENTENCES = {
    DURATION: problem("expected a duration: a number and a unit, as 30m, 6h, 14d, 8w"),
    OFFSET: problem("expected a span before or after: -7d, 3d, -36h"),
    CLOCK: problem("expected a time of day from 00:00 to 23:59, in quotes"),
    ID: problem("expected an id: lower-case letters, digits, - and _, starting with a letter"),
    TARGET: problem("expected the id of a step, or “end”"),
    URL: problem("expected an address that starts with https:// or http://"),
    ZONE: problem("expected “customer” or an IANA zone such as Europe/Warsaw"),
}
"""pattern of a text → what is wrong with one that does not match"""


END = "end"
"""written where a step goes: the run ends"""


JUST_AFTER = "0.000001s"
"""the least that instants differ by: from here on, without what happened at the very instant"""


Weekday = Literal["mo", "tu", "we", "th", "fr", "sa", "su"]


WEEKDAYS: tuple[Weekday, ...] = ("mo", "tu", "we", "th", "fr", "sa", "su")


Id = Annotated[str, Meta(pattern=ID)]


Target = Annotated[
    str,
    Meta(
        pattern=TARGET,
        description="the id of a step, or “end”; empty for the following step",
        extra_json_schema={"x-keepers": "step"},
    ),
]


Duration = Annotated[str, Meta(pattern=DURATION, description="a duration such as 30m, 6h, 14d, 8w")]


Offset = Annotated[str, Meta(pattern=OFFSET, description="a span before or after, such as -7d")]


Clock = Annotated[str, Meta(pattern=CLOCK, description="a local time of day, such as 09:00")]


Zone = Annotated[str, Meta(pattern=ZONE, description="“customer” or an IANA zone")]


Share = Annotated[float, Meta(ge=0, lt=1, description="a share such as 0.1")]


Weight = Annotated[float, Meta(gt=0, description="how many of all weights together")]


When = Annotated[Any, Meta(description="a condition", extra_json_schema={"x-keepers": "condition"})]


Values = Annotated[
    dict[str, Any],
    Meta(description="values, or {ref: trigger.…}", extra_json_schema={"x-keepers": "values"}),
]


@cache
def span(text: str) -> timedelta:
    """A duration or offset as written. Raises UserError."""
    plain = text.strip()
    if plain.startswith("-"):
        return -parse_duration(plain[1:])
    return parse_duration(plain.removeprefix("+"))


@cache
def clock(text: str) -> time:
    """A time of day as written, `09:00`."""
    hour, minute = text.split(":")
    return time(int(hour), int(minute))


@cache
def days_of(weekdays: tuple[Weekday, ...]) -> frozenset[int]:
    """Weekdays as Python numbers them, Monday 0; all of them when none is written."""
    return frozenset(WEEKDAYS.index(day) for day in weekdays or WEEKDAYS)


def require_zone(name: str) -> None:
    """Raises ValueError, which msgspec reports with the field, for a zone that tzdata does not know."""
    if name != "customer":
        try:
            parse_zone(name)
        except UserError as error:
            raise ValueError(error.problem) from None


def require_spans(*texts: str | None) -> None:
    """Raises ValueError, which msgspec reports with the field, for a duration that is too long."""
    for text in texts:
        if text:
            try:
                span(text)
            except UserError as error:
                raise ValueError(error.problem) from None


def is_web(url: str) -> bool:
    """Whether an address is one a browser may be sent to: http or https, with a host, nothing to split a header."""
    if any(ord(c) < 33 or c == "\x7f" for c in url) or "\\" in url:
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def text_in(text: Text, locale: str = "en") -> str:
    """The text in a locale, falling back to English, then to whatever there is."""
    if isinstance(text, str):
        return text
    return text.get(locale) or text.get("en") or next(iter(text.values()), "")
