"""Browsers that want notifications: `POST` and `DELETE /v1/push/subscriptions`, and the key to subscribe with."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, delete, get, post
from litestar.handlers import HTTPRouteHandler

from keepers.app.public.push import (
    AddBrowser,
    ForgetBrowser,
    ReadPushKey,
    Subscribe,
    Unsubscribe,
    add_browser,
    forget_browser,
    read_push_key,
)
from keepers.app.public.visitor_auth import check_visitor, require_collect_key
from keepers.app.use_cases.actor import VISITOR, Actor
from keepers.app.workspace.workspace import Workspace
from keepers.http.public.links.page_errors import in_thread
from keepers.http.public.site.json_api import body_of, json_answer, page_key
from keepers.model.errors import UserError, problem
from keepers.model.identity import IdentityKind


def push_handlers(workspace: Workspace) -> list[HTTPRouteHandler]:
    """Add a browser, forget it, and the public key."""

    @get("/push/key", include_in_schema=False, sync_to_thread=False)
    def key(request: Request[Any, Any, Any]) -> Response[bytes]:
        return json_answer(request, read_push_key(workspace, VISITOR, ReadPushKey()))

    @post("/push/subscriptions", status_code=200, include_in_schema=False)
    async def add(request: Request[Any, Any, Any]) -> Response[bytes]:
        sent = await body_of(request, Subscribe)

        def answer() -> Response[bytes]:
            actor, kind, value = _customer(workspace, request, sent)
            wanted = AddBrowser(kind=kind, value=value, subscription=sent.subscription, wording=sent.wording)
            return json_answer(request, add_browser(workspace, actor, wanted))

        return await in_thread(answer)

    @delete("/push/subscriptions", status_code=200, include_in_schema=False)
    async def remove(request: Request[Any, Any, Any]) -> Response[bytes]:
        sent = await body_of(request, Unsubscribe)

        def answer() -> Response[bytes]:
            actor = require_collect_key(page_key(workspace, request, sent.writeKey))
            return json_answer(request, forget_browser(workspace, actor, ForgetBrowser(endpoint=sent.endpoint)))

        return await in_thread(answer)

    return [key, add, remove]


def _customer(
    workspace: Workspace, request: Request[Any, Any, Any], sent: Subscribe
) -> tuple[Actor, IdentityKind, str]:
    """Who calls, and the kind and value of the identifier whose browser it is."""
    if sent.userId is not None:
        actor = check_visitor(workspace, page_key(workspace, request), sent.userId, sent.signature, sent.expires)
        return actor, "user_id", sent.userId
    if sent.anonymousId is None:
        raise UserError(problem("Name the browser's owner: a signed userId, or an anonymousId."), field="userId")
    return require_collect_key(page_key(workspace, request, sent.writeKey)), "anonymous_id", sent.anonymousId
