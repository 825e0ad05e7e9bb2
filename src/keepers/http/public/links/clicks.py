"""Open pixels and tracked links: the hit is noted, and the reader is on their way at once."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

from httpx import URL, InvalidURL
from litestar import Request, Response, route
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from keepers.app.public.desk import PublicWorkspace
from keepers.delivery.engagement_log import EngagementLog, EngagementRequest
from keepers.delivery.machine_rules import network_of
from keepers.http.common.request_info import LONGEST_USER_AGENT, client_address, page_locale
from keepers.http.public.links.pages import ALWAYS, broken, draw
from keepers.model.consent import network_address_hash
from keepers.model.errors import UserError
from keepers.model.fields import is_web
from keepers.render.links import PATHS, Click, OfMessage

GIF = b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
"""one transparent pixel"""


def click_handlers(desk: PublicWorkspace) -> list[HTTPRouteHandler]:
    """`/e/o/<token>.gif` and `/e/c/<token>`, for GET and HEAD."""
    keeper = EngagementLog(desk.store)

    @route(f"{PATHS['open']}{{token:str}}", http_method=["GET", "HEAD"], status_code=200)
    async def opened(request: Request[Any, Any, Any], token: FromPath[str]) -> Response[bytes]:
        """The pixel, whatever the token says: a broken picture in a mail helps nobody."""
        try:
            payload = desk.links.read("open", token)
        except UserError:
            payload = None
        if isinstance(payload, OfMessage):
            await keeper.keep(_hit(desk, request, payload.key, ""))
        return Response(GIF, media_type="image/gif", headers=ALWAYS)

    @route(f"{PATHS['click']}{{token:str}}", http_method=["GET", "HEAD"], status_code=302)
    async def clicked(request: Request[Any, Any, Any], token: FromPath[str]) -> Response[bytes]:
        try:
            payload = desk.links.read("click", token)
        except UserError:
            payload = None
        target = _target(payload.url) if isinstance(payload, Click) else None
        if target is None or not isinstance(payload, Click):
            locale = page_locale(request)
            return draw(broken(locale, desk.company), locale, desk.company)
        await keeper.keep(_hit(desk, request, payload.key, payload.url))
        return Response(b"", status_code=302, headers={**ALWAYS, "Location": target})

    return [opened, clicked]


def _target(url: str) -> str | None:
    """Where to send a reader, as a header may hold it: hosts by IDNA, what else is beyond ASCII percent-encoded
    (RFC 3987 §3.1). None for what is no web address: it is signed, but it is looked at again before it leaves."""
    if not is_web(url):
        return None
    if url.isascii():
        return url
    try:
        return str(URL(url))
    except (InvalidURL, ValueError):
        return None


def _hit(desk: PublicWorkspace, request: Request[Any, Any, Any], key: str, url: str) -> EngagementRequest:
    # A NUL is no character PostgreSQL could keep.
    agent = request.headers.get("user-agent", "").replace("\0", "")[:LONGEST_USER_AGENT]
    address = client_address(request.scope, desk.proxies)
    known_by = network_address_hash(desk.secret, address)
    return EngagementRequest(key, desk.clock(), url, request.method, agent, known_by, network_of(address))
