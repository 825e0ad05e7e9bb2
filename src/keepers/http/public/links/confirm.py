"""Confirmation of a double opt-in: a page with a button, so that link scanners confirm nothing."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, route
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from keepers.app.public.confirmations import confirm_subscription, show_confirmation
from keepers.app.public.link_owner import link_path
from keepers.app.use_cases.actor import VISITOR
from keepers.app.workspace.workspace import Workspace
from keepers.http.common.request_info import link_request
from keepers.http.public.links.page_errors import in_thread
from keepers.http.public.links.pages import Page, PageLink, draw, notice
from keepers.i18n.page_texts import page_text


def confirm_handler(workspace: Workspace) -> HTTPRouteHandler:
    """`/e/y/<token>`: GET and HEAD ask, POST confirms. Confirming twice is the same as once."""

    @route(f"{link_path('confirm')}{{token:str}}", http_method=["GET", "HEAD", "POST"], status_code=200)
    async def confirm(request: Request[Any, Any, Any], token: FromPath[str]) -> Response[bytes]:
        answer = _done if request.method == "POST" else _question
        return await in_thread(lambda: answer(workspace, request, token))

    return confirm


def _question(workspace: Workspace, request: Request[Any, Any, Any], token: str) -> Response[bytes]:
    view = show_confirmation(workspace, VISITOR, link_request(request, token))
    shown = {"topic": view.topic, "whom": [view.address] if view.address else []}
    return draw(Page("confirm", "confirm_title", shown), view.locale, workspace.sending.company)


def _done(workspace: Workspace, request: Request[Any, Any, Any], token: str) -> Response[bytes]:
    done = confirm_subscription(workspace, VISITOR, link_request(request, token))
    more = PageLink(done.preferences_url, page_text("manage", done.locale))
    if done.is_subscribed:
        lines = [page_text("confirmed_text", done.locale, done.topic)]
        page = notice("confirmed_title", lines, is_good=True, more=more, is_answer=True)
    else:
        # An old e-mail does not subscribe a customer who has left since; the preference page can.
        lines = [page_text("stale_text", done.locale)]
        page = notice("broken_title", lines, is_good=False, more=more, status=409, is_answer=True)
    return draw(page, done.locale, workspace.sending.company)
