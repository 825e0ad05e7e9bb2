"""Browsers that want notifications: `POST` and `DELETE /v1/push/subscriptions`, and the key to subscribe with."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, delete, get, post
from litestar.handlers import HTTPRouteHandler

from keepers.app.public.identify_visitor import check_identifier
from keepers.app.public.public_workspace import PublicWorkspace
from keepers.app.public.push import Kept, PushKey, Subscribe, Unsubscribe, _add, check_subscription, forget_browser
from keepers.app.public.visitor_auth import check_visitor, key_of
from keepers.http.common.auth import sent_token
from keepers.http.common.problems import RequestError
from keepers.http.public.links.page_errors import in_thread
from keepers.http.public.site.json_api import body_of, json_answer
from keepers.model.errors import NotFoundError, UserError, problem
from keepers.model.identity import IdentityKind


def push_handlers(workspace: PublicWorkspace) -> list[HTTPRouteHandler]:
    """Add a browser, forget it, and the public key."""

    @get("/push/key", include_in_schema=False, sync_to_thread=False)
    def key() -> Response[bytes]:
        if not workspace.push_key:
            raise NotFoundError(problem("Web push is not set up: [channels.push] in keepers.toml has no key."))
        return json_answer(PushKey(workspace.push_key))

    @post("/push/subscriptions", status_code=200, include_in_schema=False)
    async def add(request: Request[Any, Any, Any]) -> Response[bytes]:
        sent = await body_of(request, Subscribe)

        def answer() -> Response[bytes]:
            kind, value = _subject(workspace, request, sent)
            check_subscription(sent.subscription)
            _add(workspace, kind, value, sent)
            return json_answer(Kept())

        return await in_thread(answer)

    @delete("/push/subscriptions", status_code=200, include_in_schema=False)
    async def remove(request: Request[Any, Any, Any]) -> Response[bytes]:
        sent = await body_of(request, Unsubscribe)

        def answer() -> Response[bytes]:
            _need_key(workspace, request, sent.writeKey)
            forget_browser(workspace, sent.endpoint)
            return json_answer(Kept())

        return await in_thread(answer)

    return [key, add, remove]


def _subject(workspace: PublicWorkspace, request: Request[Any, Any, Any], sent: Subscribe) -> tuple[IdentityKind, str]:
    if sent.userId is not None:
        check_visitor(workspace, sent_token(request), sent.userId, sent.signature, sent.expires)
        return "user_id", sent.userId
    if sent.anonymousId is None:
        raise UserError(problem("Say whose browser it is: a signed userId, or an anonymousId."), field="userId")
    _need_key(workspace, request, sent.writeKey)
    check_identifier(sent.anonymousId)
    return "anonymous_id", sent.anonymousId


def _need_key(workspace: PublicWorkspace, request: Request[Any, Any, Any], sent: str) -> None:
    key = key_of(workspace, sent_token(request, sent))
    if key is None:
        raise RequestError(problem("Send a write key, as `writeKey` or by Basic authentication."), 401)
    if key.kind == "secret":
        raise RequestError(problem("A management key may not be used in browsers. Use a write key."), 403)
