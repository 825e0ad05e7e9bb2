"""View in browser: the exact copy a customer got, without scripts and without an origin, for as long as it is kept."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, route
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from keepers.app.public.copies import kept_copy
from keepers.app.public.link_owner import link_path, message_key
from keepers.app.public.public_workspace import PublicWorkspace
from keepers.http.common.request_info import page_locale
from keepers.http.public.links.page_errors import in_thread
from keepers.http.public.links.pages import ALWAYS, COPY_POLICY, Page, draw, home, notice
from keepers.i18n.page_texts import page_text


def copy_handler(workspace: PublicWorkspace) -> HTTPRouteHandler:
    """`/e/v/<token>`: the copy as it was sent, or that it is no longer kept (410)."""

    @route(f"{link_path('view')}{{token:str}}", http_method=["GET", "HEAD"], status_code=200)
    async def copy(request: Request[Any, Any, Any], token: FromPath[str]) -> Response[bytes]:
        key = message_key(workspace, "view", token)
        return await in_thread(lambda: _copy(workspace, key, request))

    return copy


def _copy(workspace: PublicWorkspace, key: str, request: Request[Any, Any, Any]) -> Response[bytes]:
    kept, own = kept_copy(workspace, key)
    locale = page_locale(request, own)
    if kept is None:
        lines, more = [page_text("gone_text", locale)], home(locale, workspace.company)
        return draw(notice("gone_title", lines, is_good=False, more=more, status=410), locale, workspace.company)
    if not kept.html:
        shown = {"title": kept.subject, "text": kept.text}
        return draw(Page("copy", "copy_title", shown), locale, workspace.company)
    headers = {**ALWAYS, "Content-Security-Policy": COPY_POLICY}
    return Response(kept.html.encode(), media_type="text/html", headers=headers)
