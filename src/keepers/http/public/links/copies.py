"""View in browser: the exact copy a customer got, without scripts and without an origin, for as long as it is kept."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, route
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from keepers.app.public.desk import PublicWorkspace
from keepers.http.common.request_info import page_locale
from keepers.http.public.links.page_errors import in_thread
from keepers.http.public.links.pages import ALWAYS, COPY_POLICY, Page, draw, home, notice
from keepers.i18n.page_texts import said
from keepers.render.links import PATHS, OfMessage
from keepers.store.messages import message_copies, messages


def copy_handler(desk: PublicWorkspace) -> HTTPRouteHandler:
    """`/e/v/<token>`: the copy as it was sent, or that it is no longer kept (410)."""

    @route(f"{PATHS['view']}{{token:str}}", http_method=["GET", "HEAD"], status_code=200)
    async def copy(request: Request[Any, Any, Any], token: FromPath[str]) -> Response[bytes]:
        payload = desk.links.read("view", token)
        assert isinstance(payload, OfMessage)
        return await in_thread(lambda: _copy(desk, payload.key, request))

    return copy


def _copy(desk: PublicWorkspace, key: str, request: Request[Any, Any, Any]) -> Response[bytes]:
    with desk.store.read() as connection:
        message = messages.by_keys(connection, [key]).get(key)
        kept = message_copies.get(connection, message.id, desk.clock()) if message is not None else None
    locale = page_locale(request, message.locale if message is not None else "")
    if kept is None:
        lines, more = [said("gone_text", locale)], home(locale, desk.company)
        return draw(notice("gone_title", lines, is_good=False, more=more, status=410), locale, desk.company)
    if not kept.html:
        shown = {"title": kept.subject, "text": kept.text}
        return draw(Page("copy", "copy_title", shown), locale, desk.company)
    headers = {**ALWAYS, "Content-Security-Policy": COPY_POLICY}
    return Response(kept.html.encode(), media_type="text/html", headers=headers)
