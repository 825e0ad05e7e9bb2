"""View in browser: the exact copy a customer got, without scripts and without an origin, for as long as it is kept."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, route
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from keepers.app.public.copies import view_copy
from keepers.app.public.link_owner import link_path
from keepers.app.use_cases.actor import VISITOR
from keepers.app.workspace.workspace import Workspace
from keepers.http.common.request_info import link_request
from keepers.http.public.links.page_errors import in_thread
from keepers.http.public.links.pages import ALWAYS, COPY_POLICY, Page, draw, home, notice
from keepers.i18n.page_texts import page_text


def copy_handler(workspace: Workspace) -> HTTPRouteHandler:
    """`/e/v/<token>`: the copy as it was sent, or that it is no longer kept (410)."""

    @route(f"{link_path('view')}{{token:str}}", http_method=["GET", "HEAD"], status_code=200)
    async def copy(request: Request[Any, Any, Any], token: FromPath[str]) -> Response[bytes]:
        return await in_thread(lambda: _copy(workspace, request, token))

    return copy


def _copy(workspace: Workspace, request: Request[Any, Any, Any], token: str) -> Response[bytes]:
    view, company = view_copy(workspace, VISITOR, link_request(request, token)), workspace.sending.company
    if view.copy is None:
        lines, more = [page_text("gone_text", view.locale)], home(view.locale, company)
        return draw(notice("gone_title", lines, is_good=False, more=more, status=410), view.locale, company)
    if not view.copy.html:
        shown = {"title": view.copy.subject, "text": view.copy.text}
        return draw(Page("copy", "copy_title", shown), view.locale, company)
    headers = {**ALWAYS, "Content-Security-Policy": COPY_POLICY}
    return Response(view.copy.html.encode(), media_type="text/html", headers=headers)
