"""What requests and answers have in common: moments, languages, listings page by page, JSON bodies."""

from __future__ import annotations

from typing import Annotated, Any

from litestar.di import NamedDependency
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler
from litestar.openapi.spec import Example
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import PathParameter, QueryParameter, SkipValidation

from keepers.app.workspace.common_fields import Locale
from keepers.app.workspace.desk import WorkspaceApi
from keepers.http.common.auth import Connection

AtDesk = NamedDependency[SkipValidation[WorkspaceApi]]
Body = dict[str, Any]

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
NameParameter = Annotated[
    str,
    PathParameter(
        description="A user id, anonymous id or group id, or `#` and Keepers' number (`%2312`).",
        examples=[Example(value="#1")],
        max_length=512,
    ),
]
LocaleParameter = Annotated[Locale, QueryParameter(name="locale", description="Language of names and explanations.")]


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
