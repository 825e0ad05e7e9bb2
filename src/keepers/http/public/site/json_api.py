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

from keepers.app.public.visitor_auth import check_origin
from keepers.app.workspace.workspace import Workspace
from keepers.http.common.auth import origin_of, sent_token
from keepers.http.common.problems import answer_of, kept_headers, locale_of, problem_of
from keepers.model.errors import UserError, problem, problem_as_written

_ALLOWED = "Access-Control-Allow-Origin"
_ONE_ORIGIN = "is_for_one_origin"
CORS = {_ALLOWED: "*"}
"""no cookies are used, so any page may call; what may be done is decided by keys and signatures"""
PREFLIGHT = {
    **CORS,
    "Access-Control-Allow-Methods": "GET, POST, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "authorization, content-type",
    "Access-Control-Max-Age": "86400",
}
MOST_BODY_BYTES = 32_000
log = logging.getLogger("keepers")
T = TypeVar("T", bound=Struct)


def preflight(*paths: str) -> HTTPRouteHandler:
    """Answers the preflight requests of browsers (CORS)."""

    @route(list(paths), http_method=["OPTIONS"], status_code=204, include_in_schema=False, sync_to_thread=False)
    def allowed() -> Response[None]:
        return Response(None, status_code=204, headers=PREFLIGHT)

    return allowed


def page_key(workspace: Workspace, request: Request[Any, Any, Any], in_body: str = "") -> str:
    """The key that a request brings, empty for none; the pages of sites that it is not for are refused.

    Raises OriginRefusedError. Blocks.
    """
    token = sent_token(request, in_body)
    origins = check_origin(workspace, token, origin_of(request.headers))
    if origins:
        request.scope["state"][_ONE_ORIGIN] = True
    return token


def json_answer(request: Request[Any, Any, Any], answer: object, status: int = 200) -> Response[bytes]:
    """An answer as JSON: for any origin, or for the one that asks where the key is for some sites."""
    content = msgspec.json.encode(answer)
    return Response(content, status_code=status, media_type="application/json", headers=_cors(request))


def _cors(request: Request[Any, Any, Any]) -> dict[str, str]:
    if not request.scope["state"].get(_ONE_ORIGIN):
        return CORS
    headers = {name: value for name, value in CORS.items() if name != _ALLOWED} | {"Vary": "Origin"}
    origin = request.headers.get("origin")
    return headers if origin is None else headers | {_ALLOWED: origin}


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
        cors = {n: v for n, v in CORS.items() if n != _ALLOWED} if found.code == "wrong_origin" else _cors(request)
        return answer_of(found, {**cors, **kept_headers(error)})

    return {Exception: answer, HTTPException: answer}
