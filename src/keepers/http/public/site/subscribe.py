"""Subscribe forms: `POST /v1/subscribe` takes an address for a topic; double opt-in asks the address itself first."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler
from msgspec.structs import replace

from keepers.app.public.subscriptions import SubscribeForm, subscribe
from keepers.app.public.visitor_auth import require_collect_key
from keepers.app.workspace.workspace import Workspace
from keepers.http.common.request_info import client_address
from keepers.http.public.links.page_errors import in_thread
from keepers.http.public.site.json_api import body_of, json_answer, page_key


def subscribe_handler(workspace: Workspace) -> HTTPRouteHandler:
    """`POST /v1/subscribe`, with a write or server key: 202, or a problem (401, 403, 422, 429)."""

    @post("/subscribe", status_code=202, include_in_schema=False)
    async def handle(request: Request[Any, Any, Any]) -> Response[bytes]:
        form = await body_of(request, SubscribeForm)

        def answer() -> Response[bytes]:
            actor = require_collect_key(page_key(workspace, request, form.writeKey))
            if actor.kind == "visitor":
                address = client_address(request.scope, workspace.settings.server.proxies)
                workspace.public_limits.spend_form(address, workspace.clock())
                actor = replace(actor, address=address)
            return json_answer(request, subscribe(workspace, actor, replace(form, writeKey="")), 202)

        return await in_thread(answer)

    return handle
