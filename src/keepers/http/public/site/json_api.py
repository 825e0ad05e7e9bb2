"""What the JSON calls of sites and apps share: the origins of their key may call, bodies are small."""

from __future__ import annotations

import logging
from typing import Any, TypeVar

import msgspec
from litestar import Request, Response, route
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.types import ExceptionHandlersMap
from msgspec import Struct

from keepers.app.access.key_ring import KeyRefusedError
from keepers.app.public.visitor_auth import SentKey, sent_key
from keepers.app.workspace.workspace import Workspace
from keepers.http.common.auth import sent_token
from keepers.http.common.cors import PREFLIGHT, origin_of, readable_by
from keepers.http.common.problems import answer_of, kept_headers, locale_of, problem_of
from keepers.model.errors import UserError, problem, problem_as_written

_ORIGINS = "origins_of_key"
MOST_BODY_BYTES = 32_000
log = logging.getLogger("keepers")
T = TypeVar("T", bound=Struct)


def preflight(*paths: str) -> HTTPRouteHandler:
    """Answers the preflight requests of browsers (CORS)."""

    @route(list(paths), http_method=["OPTIONS"], status_code=204, include_in_schema=False, sync_to_thread=False)
    def allowed() -> Response[None]:
        return Response(None, status_code=204, headers=PREFLIGHT)

    return allowed


def page_key(workspace: Workspace, request: Request[Any, Any, Any], in_body: str = "") -> SentKey:
    """The key that a request brings, None for none. Raises KeyRefusedError. Blocks."""
    key = sent_key(workspace, sent_token(request, in_body), origin_of(request.headers))
    if key is not None:
        request.scope["state"][_ORIGINS] = key.origins
    return key


def json_answer(request: Request[Any, Any, Any], answer: object, status: int = 200) -> Response[bytes]:
    """An answer as JSON, readable by the pages that its key is for."""
    cors = readable_by(request.scope["state"].get(_ORIGINS, ()), request.headers)
    return Response(msgspec.json.encode(answer), status_code=status, media_type="application/json", headers=cors)


async def body_of(request: Request[Any, Any, Any], shape: type[T]) -> T:
    """The request's JSON, whatever its content type says: `text/plain` spares browsers the preflight.

    Raises UserError naming the field.
    """
    body = await request.body()
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError as error:
        raise UserError(problem_as_written(f"{error}."), code="invalid") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UserError(problem("The body is not JSON. Send an object as JSON in UTF-8."), code="body") from None


def call_errors() -> ExceptionHandlersMap:
    """For Litestar's `exception_handlers`: problems that a page of another origin may read."""

    def answer(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
        found = problem_of(error, locale_of(request))
        if found.status >= 500:
            log.error("%s %s failed: %s", request.method, request.url.path, type(error).__name__, exc_info=error)
        origins = request.scope["state"].get(_ORIGINS, ())
        cors = readable_by(error.origins if isinstance(error, KeyRefusedError) else origins, request.headers)
        return answer_of(found, {**cors, **kept_headers(error)})

    return {Exception: answer, HTTPException: answer}
