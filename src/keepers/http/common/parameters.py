"""What requests and answers have in common: moments, languages, listings page by page, JSON bodies."""

from __future__ import annotations

from typing import Any

from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import QueryParameter

from keepers.http.common.auth import Connection
from keepers.i18n.catalogues import languages

TEXT: dict[str, Any] = {"one_of": None, "type": OpenAPIType.STRING}
"""for `schema_extra` of a parameter that may be left out: in an address there is no null"""


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
        if name == "locale" and values[0] not in languages():
            raise HTTPException(f"There are no texts in “{values[0]}”; use {', '.join(languages())}.", status_code=400)
