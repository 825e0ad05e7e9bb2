"""Unsubscribing: at once by a mail program's one-click POST (RFC 8058), or by a page; a GET changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from litestar import Request, Response, route
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from keepers.app.public.link_owner import LinkRequest, link_path
from keepers.app.public.unsubscribing import (
    REASONS,
    LeaveByOneClick,
    UnsubscribeForm,
    leave_by_one_click,
    show_unsubscribe,
    unsubscribe,
)
from keepers.app.use_cases.actor import VISITOR
from keepers.app.workspace.workspace import Workspace
from keepers.http.common.request_info import form_of, link_request
from keepers.http.public.links.page_errors import in_thread
from keepers.http.public.links.pages import ALWAYS, Page, PageLink, draw, notice
from keepers.i18n.page_texts import channel_name, join_names, page_text

ONE_CLICK = ("List-Unsubscribe", "One-Click")
"""the field a mail program posts (RFC 8058 §3.1)"""


def unsubscribe_handler(workspace: Workspace) -> HTTPRouteHandler:
    """`/e/u/<token>`: GET and HEAD show the page, POST unsubscribes."""

    @route(f"{link_path('unsubscribe')}{{token:str}}", http_method=["GET", "HEAD", "POST"], status_code=200)
    async def handle(request: Request[Any, Any, Any], token: FromPath[str]) -> Response[bytes]:
        form = await form_of(request) if request.method == "POST" else {}
        link = link_request(request, token)
        field, value = ONE_CLICK
        if any(v.strip().lower() == value.lower() for v in form.get(field, ())):
            await in_thread(lambda: leave_by_one_click(workspace, VISITOR, LeaveByOneClick(token=token)))
            # Whatever the token led to: a mail program shows success or failure, and there is nothing left to send.
            return Response(b"", status_code=200, media_type="text/plain", headers=ALWAYS)
        if form.get("scope", [""])[0] in ("topic", "all"):
            return await in_thread(lambda: _done(workspace, link, form))
        return await in_thread(lambda: _form_page(workspace, link))

    return handle


def _form_page(workspace: Workspace, link: LinkRequest) -> Response[bytes]:
    view = show_unsubscribe(workspace, VISITOR, link)
    shown = {
        "whom": [view.address] if view.address else [],
        "topic": view.topic,
        "channels": join_names((channel_name(channel, view.locale) for channel in view.channels), view.locale),
        "reasons": [{"value": r, "text": page_text(f"reason_{r}", view.locale)} for r in REASONS],
        "still": join_names(view.always_sent, view.locale),
        "preferences": view.preferences_url,
    }
    return draw(Page("unsubscribe", "unsubscribe_title", shown), view.locale, workspace.sending.company)


def _done(workspace: Workspace, link: LinkRequest, form: Mapping[str, Sequence[str]]) -> Response[bytes]:
    reason = next((r for r in form.get("reason", ()) if r in REASONS), "")
    wanted = msgspec.convert(
        {**msgspec.to_builtins(link), "scope": form["scope"][0], "reason": reason}, UnsubscribeForm
    )
    done = unsubscribe(workspace, VISITOR, wanted)
    locale = done.locale
    left = page_text("done_topic", locale, done.topic) if done.topic else page_text("done_all", locale)
    more = PageLink(done.preferences_url, page_text("changed_mind", locale))
    page = notice("done_title", [left, page_text("done_way", locale)], is_good=True, more=more, is_answer=True)
    return draw(page, locale, workspace.sending.company)
