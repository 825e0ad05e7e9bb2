"""What requests and answers have in common: moments, languages, listings page by page, JSON bodies."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Any, Literal

import msgspec
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler
from litestar.openapi.spec import Example
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import QueryParameter, SkipValidation
from msgspec import Meta

from keepers.api.auth import Connection
from keepers.api.desk import Desk
from keepers.model.errors import UserError
from keepers.model.moments import format_instant, parse_instant

AtDesk = NamedDependency[SkipValidation[Desk]]
Instant = Annotated[
    str, Meta(extra_json_schema={"extra": {"format": "date-time"}, "examples": ["2026-03-01T09:30:00Z"]})
]
"""ISO 8601 in UTC"""
Locale = Literal["en", "ru", "pl", "zh", "it"]
Body = dict[str, Any]
_TAG_BYTES = 12

TEXT: dict[str, Any] = {"one_of": None, "type": OpenAPIType.STRING}
"""for `schema_extra` of a parameter that may be left out: in an address there is no null"""
NowParameter = Annotated[
    str | None,
    QueryParameter(
        name="now",
        description="Answer as of this moment, over what was known by then. The last tick when left out.",
        examples=[Example(value="2026-03-01T09:30:00Z")],
        schema_extra=TEXT | {"format": "date-time"},
        max_length=64,
    ),
]
LimitParameter = Annotated[
    int,
    QueryParameter(name="limit", ge=1, le=200, description="Most items of one answer.", examples=[Example(value=50)]),
]
CursorParameter = Annotated[
    str | None,
    QueryParameter(
        name="cursor",
        description="`next` of the answer before, to go on from there; with the same other parameters.",
        max_length=1000,
        schema_extra=TEXT,
    ),
]
LocaleParameter = Annotated[Locale, QueryParameter(name="locale", description="Language of names and explanations.")]
Next = Annotated[str | None, Meta(description="Send it as `cursor` for what follows; null at the end.")]


def moment(desk: Desk, now: str | None) -> datetime:
    """The moment to answer as of, naive UTC. Raises UserError (422)."""
    return desk.now() if now is None else parse_instant(now, desk.zone)


def shown(instant: datetime | None) -> str | None:
    """An instant as JSON has it."""
    return None if instant is None else format_instant(instant)


class CursorError(UserError):
    """A cursor that this listing did not give out."""

    code = "cursor"


def seal(secret: bytes, listing: tuple[object, ...], position: list[Any]) -> str:
    """A cursor: where a listing stopped, signed, and bound to that listing and its filters."""
    content = msgspec.json.encode(position)
    return urlsafe_b64encode(_tag(secret, listing, content) + content).decode().rstrip("=")


def unseal(secret: bytes, listing: tuple[object, ...], cursor: str) -> list[Any]:
    """Where the listing stopped. Raises CursorError for a cursor that is not one of this listing's."""
    try:
        raw = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        tag, content = raw[:_TAG_BYTES], raw[_TAG_BYTES:]
        if hmac.compare_digest(tag, _tag(secret, listing, content)):
            return msgspec.json.decode(content, type=list[Any])
    except (ValueError, msgspec.DecodeError):
        pass
    raise CursorError("This cursor was not made by this listing with these parameters. Start again without one.")


def _tag(secret: bytes, listing: tuple[object, ...], content: bytes) -> bytes:
    bound = msgspec.json.encode([str(part) for part in listing])
    return hmac.new(secret, bound + b"\0" + content, sha256).digest()[:_TAG_BYTES]


def json_body_guard(connection: Connection, _handler: BaseRouteHandler) -> None:
    """Refuses bodies that say they are something else than JSON."""
    sent = connection.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if sent != "application/json" and not sent.endswith("+json"):
        raise HTTPException("Send the body as application/json.", status_code=415)


def known_parameters_guard(connection: Connection, handler: BaseRouteHandler) -> None:
    """Refuses query parameters that mean nothing here: a filter with a typing error must not list everybody."""
    known: frozenset[str] | None = handler.opt.get("known_parameters")
    if known is None:
        fields = handler.parsed_fn_signature.parameters.values()
        given = (field.kwarg_definition for field in fields)
        known = frozenset(one.name for one in given if isinstance(one, QueryParameter) and one.name)
        handler.opt["known_parameters"] = known
    if any("\0" in str(value) for value in connection.path_params.values()):
        raise HTTPException("The address holds a NUL character, which no name has.", status_code=400)
    for name, values in connection.query_params.dict().items():
        if len(values) > 1:
            raise HTTPException(f"The parameter “{name}” is given more than once.", status_code=400)
        if "\0" in str(values[0]):
            raise HTTPException(f"“{name}” holds a NUL character, which no value has.", status_code=400)
        if str(values[0]).lower() == "null":
            # It would be read as if it had been left out, and a filter that vanishes lists everybody.
            raise HTTPException(f"“null” is no value; leave “{name}” out.", status_code=400)
        if name not in known:
            listed = ", ".join(sorted(known)) or "none"
            raise HTTPException(f"There is no parameter “{name}” here. Known: {listed}.", status_code=400)
