"""Webhooks of e-mail providers: the call is checked to be theirs, and its reports are stored for the next tick."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from keepers.app.public.provider_webhooks import ProviderCall, take_reports
from keepers.app.use_cases.actor import COLLECT, Actor
from keepers.app.workspace.workspace import Workspace
from keepers.http.common.problems import ProblemDetails, answer_of, problem_of
from keepers.http.public.links.page_errors import in_thread
from keepers.model.errors import KeepersError

MOST_WEBHOOK_BYTES = 5_000_000
"""a full batch of any of the known providers is under 1 MB"""


def provider_handler(workspace: Workspace) -> HTTPRouteHandler:
    """`POST /e/in/<provider>`: 200 once its reports are on disk, 401 for a wrong signature, 413 over the limit."""

    @post("/in/{provider:str}", status_code=200, include_in_schema=False, request_max_body_size=MOST_WEBHOOK_BYTES)
    async def webhook(request: Request[Any, Any, Any], provider: FromPath[str]) -> Response[bytes]:
        body = await request.body()
        headers = {name.lower(): value for name, value in request.headers.items()}

        def answer() -> Response[bytes]:
            call = ProviderCall(provider=provider, headers=headers, body=body)
            try:
                taken = take_reports(workspace, Actor("system", provider, COLLECT, is_proven=True), call)
            except KeepersError as error:
                return answer_of(_problem(error))
            return Response(msgspec.json.encode(taken), status_code=200, media_type="application/json")

        return await in_thread(answer)

    return webhook


def _problem(error: KeepersError) -> ProblemDetails:
    problem = problem_of(error)
    if error.code != "signature":
        return problem
    return ProblemDetails(problem.type, "Unauthorized", 401, problem.detail, problem.code)
