"""The status page at `/`: stages with counts over time, recent moves, lag; and its login.

Whence a request comes says nothing: a proxy on the same machine, as nginx is set up by default, connects over loopback
and sends `Host: 127.0.0.1`. So everybody brings a session, begun by a link or by a key, or a key itself.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from html import escape
from importlib import resources
from typing import Annotated, Any
from urllib.parse import urlencode

import msgspec
from litestar import Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, QueryParameter

from keepers.app.access.page_access import SESSION_LASTS, PageAccess
from keepers.app.operations.overview import ReadOverview, read_overview
from keepers.app.use_cases import wire_format
from keepers.app.workspace.workspace import Workspace
from keepers.http.common.auth import SESSION_COOKIE, actor_of, read_guard, reader_of
from keepers.http.common.request_info import client_address, form_of, is_https
from keepers.i18n.catalogues import languages
from keepers.i18n.locales import own_name
from keepers.i18n.page_texts import choose_locale
from keepers.i18n.status_texts import status_texts
from keepers.model.errors import NotFoundError, problem

FILES = {"status.css": "text/css", "status.js": "text/javascript", "icon.svg": "image/svg+xml"}
HTML = ("status.html", "login.html", "signed_in.html")
PARTS = ("head.html", "brand.html")
"""what the pages share"""
_WORD = re.compile(r"\{\{([a-z_.]+)\}\}")
WHAT = read_overview.name
MOST_FORM_BYTES = 4_000
_CURRENT = ' aria-current="true"'
Call = Request[Any, Any, Any]


def status_handlers(workspace: Workspace) -> list[HTTPRouteHandler]:
    """`/`, `/status.json`, the page's files, and signing in and out."""
    pages = _Pages()
    workspace_name = workspace.settings.workspace.name
    access = workspace.part(PageAccess)
    clock = workspace.clock

    @get("/", include_in_schema=False, sync_to_thread=True)
    def page(request: Call, lang: Annotated[str | None, QueryParameter(name="lang")] = None) -> Response[str]:
        if reader_of(access, request, WHAT, clock()) is None:
            return Response("", status_code=303, headers={"Location": "/login" + _query(request)})
        locale = _locale(request, lang)
        return Response(
            pages.html("status.html", locale, workspace_name),
            media_type="text/html",
            headers={"Vary": "Accept-Language, Cookie"},
        )

    # The files of the package hold nothing of the workspace.
    @get("/page/{name:str}", include_in_schema=False, sync_to_thread=False)
    def file(name: FromPath[str]) -> Response[bytes]:
        if name not in FILES:
            raise NotFoundError(problem("There is no page file “{name}”.", name=name))
        return Response(pages.file(name), media_type=FILES[name])

    @get("/status.json", include_in_schema=False, sync_to_thread=True, guards=[read_guard(access, clock, WHAT)])
    def status(
        request: Call,
        lifecycle: Annotated[str | None, QueryParameter(name="lifecycle")] = None,
        lang: Annotated[str | None, QueryParameter(name="lang")] = None,
    ) -> Response[bytes]:
        wanted = ReadOverview(lifecycle=lifecycle, locale=_locale(request, lang))
        overview = read_overview(workspace, actor_of(request), wanted)
        return Response(wire_format.encode(overview), media_type="application/json")

    def address_of(request: Call) -> str:
        return client_address(request.scope, workspace.settings.server.proxies)

    @get("/login", include_in_schema=False)
    async def login(
        request: Call,
        token: Annotated[str | None, QueryParameter(name="token", max_length=200)] = None,
        lang: Annotated[str | None, QueryParameter(name="lang")] = None,
    ) -> Response[str]:
        """The form, or with a link's token the session. It is begun by a page, not by a redirect: a browser that came
        from elsewhere sends no strict cookie along a chain of redirects."""
        locale = _locale(request, lang)
        if token is None:
            return _sign_in(pages.html("login.html", locale, workspace_name))
        session = await asyncio.to_thread(access.sign_in_by_link, token, address_of(request), clock())
        if session is None:
            return _sign_in(pages.html("login.html", locale, workspace_name, wrong="wrong_link"), 403)
        html = pages.html("signed_in.html", locale, workspace_name, target="/" + _query(request))
        return _with_cookie(request, _sign_in(html), session)

    @post("/login", include_in_schema=False, status_code=303, request_max_body_size=MOST_FORM_BYTES)
    async def sign_in(request: Call, lang: Annotated[str | None, QueryParameter(name="lang")] = None) -> Response[str]:
        sent = (await form_of(request)).get("key", [""])[0].strip()
        session = await asyncio.to_thread(access.sign_in_by_key, sent, address_of(request), clock())
        if session is None:
            html = pages.html("login.html", _locale(request, lang), workspace_name, wrong="wrong_key")
            return _sign_in(html, 403)
        answer = Response("", status_code=303, headers={"Location": "/" + _query(request)})
        return _with_cookie(request, answer, session)

    @post("/logout", include_in_schema=False, status_code=303, request_max_body_size=MOST_FORM_BYTES)
    async def sign_out(request: Call) -> Response[str]:
        await asyncio.to_thread(access.sign_out, request.cookies.get(SESSION_COOKIE, ""), clock())
        return _with_cookie(request, Response("", status_code=303, headers={"Location": "/login"}), "", 0)

    return [page, file, status, login, sign_in, sign_out]


def _locale(request: Call, lang: str | None) -> str:
    return choose_locale(lang or "", "", request.headers.get("accept-language", ""))


def _query(request: Call) -> str:
    """What of the address the status page reads, to go on with after signing in."""
    read = {name: request.query_params[name] for name in ("lifecycle", "lang") if name in request.query_params}
    return f"?{urlencode(read)}" if read else ""


def _sign_in(html: str, status: int = 200) -> Response[str]:
    return Response(html, status_code=status, media_type="text/html", headers={"Vary": "Accept-Language"})


def _with_cookie(
    request: Call, answer: Response[str], value: str, lasts: int = int(SESSION_LASTS.total_seconds())
) -> Response[str]:
    answer.cookies.append(
        Cookie(
            key=SESSION_COOKIE,
            value=value,
            max_age=lasts,
            path="/",
            httponly=True,
            samesite="strict",
            secure=is_https(request),
        )
    )
    return answer


def _language_links(shown: str) -> str:
    """A link to the page in each language; that of the language shown is marked."""
    links = (
        f'<a href="?lang={escape(locale)}" lang="{escape(locale)}" hreflang="{escape(locale)}"'
        f"{_CURRENT if locale == shown else ''}>{escape(own_name(locale))}</a>"
        for locale in languages()
    )
    return "\n    ".join(links)


class _Pages:
    """The page's files, as they are in the package."""

    def __init__(self) -> None:
        folder = resources.files("keepers.http") / "pages"
        self._files = {name: (folder / name).read_bytes() for name in FILES}
        parts = {name: (folder / name).read_text(encoding="utf-8").rstrip() for name in PARTS}
        self._html = {name: _filled((folder / name).read_text(encoding="utf-8"), parts) for name in HTML}

    def file(self, name: str) -> bytes:
        return self._files[name]

    def html(self, name: str, locale: str, workspace: str, *, wrong: str = "", target: str = "") -> str:
        """A page in a language: `{{word}}` stands for the word. `wrong` is the key of what went wrong."""
        words = status_texts(locale)
        values = {word: escape(text) for word, text in words.items()}
        values |= {
            "locale": locale,
            # Inside a script element nothing but `</` could end it early.
            "words": msgspec.json.encode(words).decode().replace("</", "<\\/"),
            "workspace": escape(workspace),
            "languages": _language_links(locale),
            "target": escape(target),
            "hidden": "" if wrong else "hidden",
            "wrong": values[wrong] if wrong else "",
        }
        return _filled(self._html[name], values)


def _filled(html: str, values: Mapping[str, str]) -> str:
    """The text with what `{{word}}` stands for, in one pass: what was put in is not read again."""
    return _WORD.sub(lambda found: values.get(found[1], found[0]), html)
