"""The preference page: topics by channel, language, and leaving everything. Signed link, no login, no script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from litestar import Request, Response, route
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from keepers.app.public.link_owner import LinkRequest, link_path
from keepers.app.public.preferences import PreferencesView, SavePreferences, save_preferences, show_preferences
from keepers.app.use_cases.actor import VISITOR
from keepers.app.workspace.workspace import Workspace
from keepers.http.common.request_info import form_of, link_request
from keepers.http.public.links.page_errors import in_thread
from keepers.http.public.links.pages import ALWAYS, Page, draw, language_links
from keepers.i18n.catalogues import languages
from keepers.i18n.page_texts import choose_locale, page_text


def preferences_handler(workspace: Workspace) -> HTTPRouteHandler:
    """`/e/p/<token>`: GET and HEAD show the page, POST saves and shows it again."""

    @route(f"{link_path('preferences')}{{token:str}}", http_method=["GET", "HEAD", "POST"], status_code=200)
    async def preferences(request: Request[Any, Any, Any], token: FromPath[str]) -> Response[bytes]:
        link = link_request(request, token)
        if request.method == "POST":
            form = await form_of(request)
            return await in_thread(lambda: _saved(workspace, link, form))
        return await in_thread(lambda: _shown(workspace, link, request.query_params.dict()))

    return preferences


def _saved(workspace: Workspace, link: LinkRequest, form: Mapping[str, Sequence[str]]) -> Response[bytes]:
    chosen = form.get("language", [""])[0]
    sent = {
        "shown": form.get("shown", []),
        "on": form.get("on", []),
        "written_in": chosen,
        "leaves_all": "none" in form.get("action", ()),
    }
    saved = save_preferences(
        workspace, VISITOR, msgspec.convert({**msgspec.to_builtins(link), **sent}, SavePreferences)
    )
    # Shown by GET, so that reloading the page saves nothing twice.
    done, written = "none" if saved.left_all else "saved", chosen if chosen in languages() else ""
    where = f"?lang={saved.locale}&done={done}&in={written}"
    return Response(b"", status_code=303, headers={**ALWAYS, "Location": where})


def _shown(workspace: Workspace, link: LinkRequest, query: Mapping[str, Sequence[str]]) -> Response[bytes]:
    view = show_preferences(workspace, VISITOR, link)
    return draw(_page(view, query), view.locale, workspace.sending.company)


def _page(view: PreferencesView, query: Mapping[str, Sequence[str]]) -> Page:
    notes = {"saved": page_text("saved", view.locale), "none": page_text("done_all", view.locale)}
    # What was just saved is a trait only after the next tick.
    written = (query.get("in") or [""])[0]
    shown = {
        "whom": view.addresses,
        "note": notes.get((query.get("done") or [""])[0], ""),
        "blocked": view.blocked,
        "topics": msgspec.to_builtins(view.topics),
        "languages": language_links(),
        "spoken": choose_locale(written, view.own_locale, view.locale),
        "always": view.always_sent,
    }
    return Page("preferences", "preferences_title", shown)
