"""Browsers that want notifications: `POST` and `DELETE /v1/push/subscriptions`, and the key to subscribe with."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, delete, get, post
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler

from keepers.app.public.identify_visitor import check_identifier
from keepers.app.public.public_workspace import PublicWorkspace
from keepers.app.public.push import Kept, PushKey, Subscribe, Unsubscribe, _add, check_subscription, forget_browser
from keepers.app.public.visitor_auth import check_visitor, key_of
from keepers.http.common.auth import sent_token
from keepers.http.public.links.page_errors import in_thread
from keepers.http.public.site.json_api import body_of, said
from keepers.model.errors import NotFoundError, UserError
from keepers.model.identity import IdentityKind


def push_handlers(desk: PublicWorkspace) -> list[HTTPRouteHandler]:
    """Add a browser, forget it, and the public key."""

    @get("/push/key", include_in_schema=False, sync_to_thread=False)
    def key() -> Response[bytes]:
        if not desk.push_key:
            raise NotFoundError("Web push is not set up: [channels.push] in keepers.toml has no key.")
        return said(PushKey(desk.push_key))

    @post("/push/subscriptions", status_code=200, include_in_schema=False)
    async def add(request: Request[Any, Any, Any]) -> Response[bytes]:
        wish = await body_of(request, Subscribe)

        def answer() -> Response[bytes]:
            kind, value = _subject(desk, request, wish)
            check_subscription(wish.subscription)
            _add(desk, kind, value, wish)
            return said(Kept())

        return await in_thread(answer)

    @delete("/push/subscriptions", status_code=200, include_in_schema=False)
    async def remove(request: Request[Any, Any, Any]) -> Response[bytes]:
        wish = await body_of(request, Unsubscribe)

        def answer() -> Response[bytes]:
            _need_key(desk, request, wish.writeKey)
            forget_browser(desk, wish.endpoint)
            return said(Kept())

        return await in_thread(answer)

    return [key, add, remove]


def _subject(desk: PublicWorkspace, request: Request[Any, Any, Any], wish: Subscribe) -> tuple[IdentityKind, str]:
    if wish.userId is not None:
        check_visitor(desk, sent_token(request), wish.userId, wish.signature, wish.expires)
        return "user_id", wish.userId
    if wish.anonymousId is None:
        raise UserError("Say whose browser it is: a signed userId, or an anonymousId.", field="userId")
    _need_key(desk, request, wish.writeKey)
    check_identifier(wish.anonymousId)
    return "anonymous_id", wish.anonymousId


def _need_key(desk: PublicWorkspace, request: Request[Any, Any, Any], sent: str) -> None:
    key = key_of(desk, sent_token(request, sent))
    if key is None:
        raise HTTPException("Send a write key, as `writeKey` or by Basic authentication.", status_code=401)
    if key.kind == "secret":
        raise HTTPException("A management key may not be used in browsers. Use a write key.", status_code=403)
