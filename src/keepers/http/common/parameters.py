"""What requests and answers have in common: moments, languages, listings page by page, JSON bodies."""

from __future__ import annotations

from typing import Any

from litestar.handlers import BaseRouteHandler
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import QueryParameter

from keepers.http.common.auth import Connection
from keepers.http.common.problems import RequestError
from keepers.i18n.catalogues import languages
from keepers.model.errors import problem

TEXT: dict[str, Any] = {"one_of": None, "type": OpenAPIType.STRING}
"""for `schema_extra` of a parameter that may be left out: in an address there is no null"""

SLASH = "\ufdd0"
"""stands for a name's own slash in a decoded path: a character that Unicode keeps for programs' inner use"""


def json_body_guard(connection: Connection, _handler: BaseRouteHandler) -> None:
    """Refuses bodies that say they are something else than JSON."""
    sent = connection.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if sent != "application/json" and not sent.endswith("+json"):
        raise RequestError(problem("Send the body as application/json."), 415)


def known_parameters_guard(connection: Connection, handler: BaseRouteHandler) -> None:
    """Refuses unknown query parameters: a misspelt filter must not list everyone."""
    known: frozenset[str] | None = handler.opt.get("known_parameters")
    if known is None:
        fields = handler.parsed_fn_signature.parameters.values()
        definitions = (field.kwarg_definition for field in fields)
        known = frozenset(one.name for one in definitions if isinstance(one, QueryParameter) and one.name)
        handler.opt["known_parameters"] = known
    if any("\0" in str(value) for value in connection.path_params.values()):
        raise RequestError(problem("The address holds a NUL character, which no name has."), 400)
    for name, values in connection.query_params.dict().items():
        if len(values) > 1:
            raise RequestError(problem("The parameter “{name}” is given more than once.", name=name), 400)
        if "\0" in str(values[0]):
            raise RequestError(problem("“{name}” holds a NUL character, which no value has.", name=name), 400)
        if str(values[0]).lower() == "null":
            # It would be read as an absent parameter, and without its filter the listing would return everyone.
            raise RequestError(problem("“null” is no value; leave “{name}” out.", name=name), 400)
        if name not in known:
            known_names = ", ".join(sorted(known)) or problem("none")
            message = problem("There is no parameter “{name}” here. Known: {known}.", name=name, known=known_names)
            raise RequestError(message, 400)
        if name == "locale" and values[0] not in languages():
            message = problem(
                "There are no texts in “{locale}”; use {known}.", locale=values[0], known=", ".join(languages())
            )
            raise RequestError(message, 400)
