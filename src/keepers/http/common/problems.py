"""Every error as an RFC 9457 problem: what went wrong, where, and the remedy; never a traceback."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from litestar import Request, Response
from litestar.connection import ASGIConnection
from litestar.exceptions import HTTPException
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from litestar.types import ExceptionHandlersMap
from msgspec import Meta, Struct

from keepers.app.public.rate_limit import TooManyError
from keepers.i18n.page_texts import choose_locale
from keepers.i18n.problems import error_text, problem_text
from keepers.model.errors import ConflictError, KeepersError, NotFoundError, Problem, UserError, problem

MEDIA_TYPE = "application/problem+json"
log = logging.getLogger("keepers")


class RequestError(UserError):
    """A request that is refused before any use case is called, with its HTTP status and headers of the answer."""

    def __init__(self, message: Problem, status: int, *, code: str = "", headers: dict[str, str] | None = None) -> None:
        super().__init__(message, code=code or _code_of(status))
        self.status = status
        self.headers = headers or {}


class Flaw(Struct, frozen=True, omit_defaults=True):
    """One of several mistakes."""

    message: Annotated[str, Meta(description="What is wrong and what to do.")]
    field: Annotated[str, Meta(description="The field, such as `who.all[1].did`, or the parameter.")] = ""


class ProblemDetails(Struct, frozen=True, omit_defaults=True):
    """RFC 9457 problem details."""

    type: Annotated[str, Meta(description="Names the kind of problem: `urn:keepers:problem:` and the code.")]
    title: Annotated[str, Meta(description="The kind of problem in a few words.")]
    status: Annotated[int, Meta(ge=400, le=599, description="The HTTP status.")]
    detail: Annotated[str, Meta(description="What went wrong, where, and what to do about it.")]
    code: Annotated[str, Meta(description="Stable and machine-readable.")]
    field: Annotated[str, Meta(description="The field at fault, where one is.")] = ""
    errors: Annotated[list[Flaw], Meta(description="Each mistake, where there are several.")] = []


STATUSES = {
    "unauthorized": 401,
    "not_allowed": 403,
    "revoked": 403,
    "expired": 403,
    "wrong_key": 403,
    "wrong_origin": 403,
    "cursor": 400,
    "body": 400,
    "too_large": 413,
    "busy": 429,
    "too_many": 429,
    "stopped": 503,
    "store": 503,
}
"""statuses of codes that do not follow from the class of the error"""
_STATUS_TEXTS = {
    400: "The request is malformed: a parameter, the body or the cursor.",
    401: "No secret key was sent, or an unknown one.",
    403: "The key is of another kind, has ended, or lacks the scope that this needs.",
    404: "What the path or a parameter names is not there.",
    409: "The present state refuses the request.",
    413: "The body is larger than is allowed.",
    415: "The body is of a type that is not accepted here.",
    422: "The request is well-formed but cannot be used: unknown names, wrong types, an impossible time.",
    429: "Too much at once. Wait, and send the request again.",
    500: "An unexpected error in Keepers. Details are in the workspace's `data/errors.log`.",
}
_EXAMPLES = {
    400: ("cursor", "This cursor was not made by this listing. Start again without one."),
    401: ("unauthorized", "Send a secret key: `Authorization: Bearer km_…`. `keepers keys create secret` makes one."),
    403: ("wrong_key", "This is a write key. Here one is needed of: secret."),
    404: ("not_found", "No profile is known as “ann”."),
    409: ("clock", "The last tick was at 2026-03-02T10:00:00Z; a tick before it would go back in time."),
    413: ("too_large", "The body is over 1,000,000 bytes, which is the limit."),
    415: ("media_type", "Send the body as application/json."),
    422: ("definition", "field did: no event “Order Complete” is known. Did you mean “Order Completed”?"),
    429: ("busy", "64 clients watch operations already. Poll the operation itself instead."),
    500: ("internal", "An unexpected error happened in Keepers. Details are in data/errors.log."),
}


OWN_MISTAKE = problem("An unexpected error happened in Keepers. Details are in data/errors.log.")


def problem_of(error: Exception, locale: str = "en") -> ProblemDetails:
    """The problem an error is, in a language. The text of an unexpected exception is not shown."""
    match error:
        case KeepersError():
            flaws = [Flaw(error_text(e, locale)) for e in error.data.get("errors", [])]
            detail = error_text(error, locale)
            return _problem(status_of(error), error.code, detail, str(error.data.get("field") or ""), flaws)
        case HTTPException():
            return _of_http(error, locale)
        case RecursionError():
            message = problem("The body is nested too deeply. Send a flatter one.")
            return _problem(400, "body", problem_text(message, locale))
        case UnicodeDecodeError():
            return _problem(400, "body", problem_text(problem("The body is not UTF-8. Send it as UTF-8."), locale))
    return _problem(500, "internal", problem_text(OWN_MISTAKE, locale))


def status_of(error: KeepersError) -> int:
    """The HTTP status of an error of ours."""
    if isinstance(error, RequestError):
        return error.status
    if error.code in STATUSES:
        return STATUSES[error.code]
    match error:
        case NotFoundError():
            return 404
        case ConflictError():
            return 409
        case UserError():
            return 422
    return 500


def exception_handlers() -> ExceptionHandlersMap:
    """For Litestar's `exception_handlers`."""
    return {Exception: _answer, HTTPException: _answer}


def answers(answer: type[Struct], example: dict[str, Any], *statuses: int) -> dict[int, ResponseSpec]:
    """For a handler's `responses`: what it answers, with an example, and the problems it may answer with."""
    summary = (answer.__doc__ or "").strip().partition("\n\n")[0]
    is_own = bool(summary) and not summary.startswith(f"{answer.__name__}(")
    good = ResponseSpec(
        answer,
        generate_examples=False,
        description=summary if is_own else "The answer.",
        examples=[Example(summary="An answer", value=example)],
    )
    return {200: good} | _problems(*statuses)


def _problems(*statuses: int) -> dict[int, ResponseSpec]:
    return {
        status: ResponseSpec(
            ProblemDetails,
            generate_examples=False,
            description=_STATUS_TEXTS[status],
            media_type=MEDIA_TYPE,
            examples=[Example(summary=_EXAMPLES[status][0], value=_example(status))],
        )
        for status in (*statuses, 401, 403, 500)
    }


def answer_of(details: ProblemDetails, headers: dict[str, str] | None = None) -> Response[bytes]:
    """The problem as a response."""
    sent = dict(headers or {})
    if details.status == 401:
        sent["WWW-Authenticate"] = 'Bearer realm="keepers"'
    return Response(msgspec.json.encode(details), status_code=details.status, media_type=MEDIA_TYPE, headers=sent)


def _answer(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    found = problem_of(error, locale_of(request))
    if found.status == 500:
        log.error("%s %s failed: %s", request.method, request.url.path, type(error).__name__, exc_info=error)
    return answer_of(found, kept_headers(error))


def locale_of(request: ASGIConnection[Any, Any, Any, Any]) -> str:
    """The language of a request's answer: the parameter `locale` where it names one, else by Accept-Language."""
    return choose_locale(request.query_params.get("locale") or "", "", request.headers.get("accept-language", ""))


def kept_headers(error: Exception) -> dict[str, str]:
    """The headers of an error that go with its answer: what is allowed, and when to try again."""
    if isinstance(error, TooManyError):
        return {"Retry-After": str(error.wait_s)}
    headers = getattr(error, "headers", None) or {}
    return {name: value for name, value in headers.items() if name.lower() in ("allow", "retry-after")}


def _problem(status: int, code: str, detail: str, field: str = "", errors: list[Flaw] | None = None) -> ProblemDetails:
    return ProblemDetails(
        f"urn:keepers:problem:{code}", HTTPStatus(status).phrase, status, detail, code, field, errors or []
    )


_CODES = {400: "invalid", 401: "unauthorized", 403: "wrong_key", 404: "not_found", 405: "method", 413: "too_large"}


def _code_of(status: int) -> str:
    return _CODES.get(status, "media_type" if status == 415 else HTTPStatus(status).name.lower())


_DETAILS = {
    404: problem("There is nothing at this address. See /api/v1/openapi.json for what there is."),
    405: problem("This address does not take this method; see the Allow header."),
    413: problem("The body is larger than is allowed. Send less."),
}


def _of_http(error: HTTPException, locale: str) -> ProblemDetails:
    status = error.status_code
    listed = error.extra if isinstance(error.extra, list) else []
    found = [e for e in listed if isinstance(e, dict)]
    flaws = [Flaw(str(e.get("message", "")), str(e.get("key", ""))) for e in found]
    is_of_body = bool(found) and all(e.get("source") == "body" for e in found)
    code = "body" if is_of_body else _code_of(status)
    if status >= 500:
        detail = problem_text(OWN_MISTAKE, locale)
    elif status in _DETAILS:
        detail = problem_text(_DETAILS[status], locale)
    elif flaws:
        detail = "; ".join(f"{f.field}: {f.message}" if f.field else f.message for f in flaws)
    else:
        detail = error.detail
    return _problem(status, code, detail, flaws[0].field if len(flaws) == 1 else "", flaws if len(flaws) > 1 else [])


def _example(status: int) -> dict[str, Any]:
    code, detail = _EXAMPLES[status]
    return {
        "type": f"urn:keepers:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
    }
