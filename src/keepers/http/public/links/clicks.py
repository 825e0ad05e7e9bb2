"""Open pixels and tracked links: the request is recorded and answered without waiting for it to be processed."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

from httpx import URL, InvalidURL
from litestar import Request, Response, route
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from keepers.app.public.engagement import EngagementRecorder, LinkVisit
from keepers.app.public.link_owner import link_path
from keepers.app.workspace.workspace import Workspace
from keepers.http.common.request_info import LONGEST_USER_AGENT, client_address, page_locale
from keepers.http.public.links.pages import ALWAYS, broken, draw

GIF = b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
"""one transparent pixel"""


def click_handlers(workspace: Workspace) -> list[HTTPRouteHandler]:
    """`/e/o/<token>.gif` and `/e/c/<token>`, for GET and HEAD."""
    recorder = EngagementRecorder(workspace)

    @route(f"{link_path('open')}{{token:str}}", http_method=["GET", "HEAD"], status_code=200)
    async def opened(request: Request[Any, Any, Any], token: FromPath[str]) -> Response[bytes]:
        """The pixel, also for an invalid token, so that no broken image is shown."""
        await recorder.record_open(token, _visit(workspace, request))
        return Response(GIF, media_type="image/gif", headers=ALWAYS)

    @route(f"{link_path('click')}{{token:str}}", http_method=["GET", "HEAD"], status_code=302)
    async def clicked(request: Request[Any, Any, Any], token: FromPath[str]) -> Response[bytes]:
        url = await recorder.record_click(token, _visit(workspace, request))
        target = _as_header(url) if url is not None else None
        if target is None:
            locale = page_locale(request)
            return draw(broken(locale, workspace.sending.company), locale, workspace.sending.company)
        return Response(b"", status_code=302, headers={**ALWAYS, "Location": target})

    return [opened, clicked]


def _as_header(url: str) -> str | None:
    """An address as a header may hold it: hosts by IDNA, what else is beyond ASCII percent-encoded (RFC 3987 §3.1)."""
    if url.isascii():
        return url
    try:
        return str(URL(url))
    except (InvalidURL, ValueError):
        return None


def _visit(workspace: Workspace, request: Request[Any, Any, Any]) -> LinkVisit:
    agent = request.headers.get("user-agent", "")[:LONGEST_USER_AGENT]
    return LinkVisit(request.method, agent, client_address(request.scope, workspace.settings.server.proxies))
