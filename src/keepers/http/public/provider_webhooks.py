"""Webhooks of e-mail providers: the call is checked to be theirs, and its news wait in the store to be worked off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from keepers.app.public.desk import PublicWorkspace
from keepers.channels.email.providers.registry import PROVIDERS
from keepers.http.common.problems import ProblemDetails, answer_of, problem_of
from keepers.http.public.links.page_errors import in_thread
from keepers.model.errors import KeepersError, NotFoundError, nearest, shown
from keepers.store.messages import delivery_reports

MOST_WEBHOOK_BYTES = 5_000_000
"""a full batch of any of the known providers is under 1 MB"""


def provider_handler(desk: PublicWorkspace) -> HTTPRouteHandler:
    """`POST /e/in/<provider>`: 200 once its reports are on disk, 401 for a wrong signature, 413 over the limit."""

    @post("/in/{provider:str}", status_code=200, include_in_schema=False, request_max_body_size=MOST_WEBHOOK_BYTES)
    async def webhook(request: Request[Any, Any, Any], provider: FromPath[str]) -> Response[bytes]:
        body = await request.body()
        headers = {name.lower(): value for name, value in request.headers.items()}

        def answer() -> Response[bytes]:
            try:
                _take(desk, provider, headers, body)
            except KeepersError as error:
                return answer_of(_problem(error))
            return Response(b'{"success":true}', status_code=200, media_type="application/json")

        return await in_thread(answer)

    return webhook


def _take(desk: PublicWorkspace, name: str, headers: Mapping[str, str], body: bytes) -> None:
    provider, settings = PROVIDERS.get(name), desk.provider_settings(name)
    if provider is None or settings is None:
        raise NotFoundError(f"The webhook of {shown(name)} is not set up.{nearest(name, PROVIDERS)}")
    provider.verify(headers, body, settings, desk.clock())
    wanted = provider.confirmation(body)
    if wanted is not None:
        desk.visit(wanted)
        return
    news = provider.reports(body)
    if news:
        with desk.store.begin() as connection:
            delivery_reports.append(connection, news)


def _problem(error: KeepersError) -> ProblemDetails:
    problem = problem_of(error)
    if error.code != "signature":
        return problem
    return ProblemDetails(problem.type, "Unauthorized", 401, problem.detail, problem.code)
