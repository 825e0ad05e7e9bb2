"""The status page at `/`: stages with counts over time, recent moves, lag. Has no login, so see `Visible`."""

from __future__ import annotations

from html import escape
from importlib import resources
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter

from keepers.app.operations.overview import ReadOverview, read_overview
from keepers.app.use_cases import wire_format
from keepers.app.use_cases.actor import Actor
from keepers.app.workspace.workspace import Workspace
from keepers.http.common.loopback import is_local
from keepers.http.common.problems import RequestError
from keepers.i18n.catalogues import languages
from keepers.i18n.locales import own_name
from keepers.i18n.page_texts import choose_locale
from keepers.i18n.status_texts import status_texts
from keepers.model.errors import NotFoundError, problem

Visible = Literal["auto", "on", "off"]
"""who may see the page: this machine (over loopback, not through a proxy), everyone, nobody"""
FILES = {"status.css": "text/css", "status.js": "text/javascript", "icon.svg": "image/svg+xml"}
VISITOR = Actor("visitor", "status page", frozenset({"read"}))
SECURITY = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def status_handlers(workspace: Workspace, visible: Visible) -> list[HTTPRouteHandler]:
    """`/`, `/status.json` and the page's files."""
    pages = _Pages()
    workspace_name = workspace.settings.workspace.name

    def check(request: Request[Any, Any, Any]) -> None:
        if visible == "on" or (visible == "auto" and is_local(request)):
            return
        raise RequestError(
            problem(
                'The status page is shown on the server\'s own machine only. Set page = "on" under [server] in '
                "keepers.toml to show it to whoever can reach this address."
            ),
            403,
        )

    @get("/", include_in_schema=False, sync_to_thread=False)
    def page(
        request: Request[Any, Any, Any], lang: Annotated[str | None, QueryParameter(name="lang")] = None
    ) -> Response[str]:
        check(request)
        locale = choose_locale(lang or "", "", request.headers.get("accept-language", ""))
        return Response(
            pages.html(locale, workspace_name),
            media_type="text/html",
            headers={**SECURITY, "Vary": "Accept-Language"},
        )

    @get("/page/{name:str}", include_in_schema=False, sync_to_thread=False)
    def file(request: Request[Any, Any, Any], name: str) -> Response[bytes]:
        check(request)
        if name not in FILES:
            raise NotFoundError(problem("There is no page file “{name}”.", name=name))
        return Response(pages.file(name), media_type=FILES[name], headers=SECURITY)

    @get("/status.json", include_in_schema=False, sync_to_thread=True)
    def status(
        request: Request[Any, Any, Any],
        lifecycle: Annotated[str | None, QueryParameter(name="lifecycle")] = None,
        lang: Annotated[str | None, QueryParameter(name="lang")] = None,
    ) -> Response[bytes]:
        check(request)
        locale = choose_locale(lang or "", "", request.headers.get("accept-language", ""))
        overview = read_overview(workspace, VISITOR, ReadOverview(lifecycle=lifecycle, locale=locale))
        return Response(wire_format.encode(overview), media_type="application/json", headers=SECURITY)

    return [page, file, status]


def _language_links() -> str:
    links = (
        f'<a href="?lang={escape(locale)}" lang="{escape(locale)}" hreflang="{escape(locale)}">'
        f"{escape(own_name(locale))}</a>"
        for locale in languages()
    )
    return "\n    ".join(links)


class _Pages:
    """The page's files, as they are in the package."""

    def __init__(self) -> None:
        folder = resources.files("keepers.http") / "pages"
        self._files = {name: (folder / name).read_bytes() for name in FILES}
        self._html = (folder / "status.html").read_text(encoding="utf-8")

    def file(self, name: str) -> bytes:
        return self._files[name]

    def html(self, locale: str, workspace: str) -> str:
        """The page in a language: `{{word}}` stands for the word."""
        words = status_texts(locale)
        # Inside a script element nothing but `</` could end it early.
        listed = msgspec.json.encode(words).decode().replace("</", "<\\/")
        html = self._html.replace("{{locale}}", locale).replace("{{words}}", listed)
        html = html.replace("{{workspace}}", escape(workspace)).replace("{{languages}}", _language_links())
        for key, text in words.items():
            html = html.replace("{{" + key + "}}", escape(text))
        return html
