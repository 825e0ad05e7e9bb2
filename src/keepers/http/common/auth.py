"""Authentication of the management API: a secret key as a bearer token."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from hmac import compare_digest
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.openapi.spec import SecurityScheme

from keepers.app.operations.keys import KeyRing, why_ended
from keepers.app.operations.page_access import PageAccess
from keepers.app.use_cases.actor import COMMAND_LINE, Actor
from keepers.http.common.loopback import is_local
from keepers.http.common.problems import RequestError, locale_of
from keepers.model.errors import problem
from keepers.model.web_origins import origin_of_page

SCHEME = "secret_key"
SESSION_COOKIE = "keepers_session"
Connection = ASGIConnection[Any, Any, Any, Any]
Guard = Callable[[Connection, BaseRouteHandler], Awaitable[None]]


def security_scheme() -> SecurityScheme:
    """For the OpenAPI document."""
    return SecurityScheme(
        type="http",
        scheme="bearer",
        description="A secret key, `km_…`: `keepers keys create secret` makes one and shows it once.",
    )


def bearer(connection: Connection) -> str:
    """The bearer token of a request; empty when there is none."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def secret_key_guard(keys: KeyRing, clock: Callable[[], datetime], local_token: str) -> Guard:
    """Lets requests with a secret key pass; 401 without a known key, 403 with one of another kind or ended.

    `local_token` is sent by commands on this machine: access to the workspace's files grants every permission.
    """

    async def guard(connection: Connection, _handler: BaseRouteHandler) -> None:
        token = bearer(connection)
        if local_token and compare_digest(token.encode(), local_token.encode()):
            if not is_local(connection):
                raise RequestError(problem("This token is for commands on the server's own machine."), 403)
            connection.scope["actor"] = COMMAND_LINE  # type: ignore[typeddict-unknown-key]
            return
        now = clock()
        if keys.is_stale(now):
            await asyncio.to_thread(keys.refresh, now)
        key = keys.find(token) if token else None
        if key is None:
            what = problem("This key is unknown.") if token else problem("A secret key is needed.")
            raise RequestError(
                problem("{what} Send `Authorization: Bearer km_…`; `keepers keys create secret` makes one.", what=what),
                401,
            )
        if key.has_ended(now):
            raise RequestError(why_ended(key), 403)
        if key.kind != "secret":
            raise RequestError(
                problem("This is a {kind} key; the management API takes secret keys.", kind=key.kind), 403
            )
        keys.note_use(key, now)
        actor = Actor("key", key.name, frozenset(key.scopes), locale=locale_of(connection), id=key.id, is_proven=True)
        connection.scope["actor"] = actor  # type: ignore[typeddict-unknown-key]

    return guard


def read_guard(access: PageAccess | None, clock: Callable[[], datetime]) -> Guard:
    """Lets requests pass that bring a session's cookie, or a key with the scope `read` as a bearer token; 401 else.

    Without `access` nobody passes.
    """

    async def guard(connection: Connection, _handler: BaseRouteHandler) -> None:
        if access is None or not await asyncio.to_thread(may_read, access, connection, clock()):
            raise RequestError(
                problem(
                    "Sign in at /login, or send `Authorization: Bearer km_…` with a secret key that may read: "
                    "`keepers keys create secret --scope read` makes one."
                ),
                401,
            )

    return guard


def may_read(access: PageAccess, connection: Connection, now: datetime) -> bool:
    """Whether a request brings a session or a key that may read. Blocks."""
    token = bearer(connection)
    if token:
        return access.key_of(token, now) is not None
    return access.is_session(connection.cookies.get(SESSION_COOKIE, ""), now)


def actor_of(connection: Connection) -> Actor:
    """The request's actor, set by the guard."""
    found: Actor = connection.scope["actor"]  # type: ignore[typeddict-item]
    return found


def local_guard(connection: Connection, _handler: BaseRouteHandler) -> None:
    """Refuses all but commands on this machine, before anything else of the request is read."""
    if actor_of(connection).kind != "command":
        raise RequestError(problem("This is for commands on the server's own machine."), 403)


def origin_of(headers: Mapping[str, str]) -> str:
    """The origin of the page that sent a request, by Origin or else Referer; empty where no page says so."""
    return headers.get("origin") or origin_of_page(headers.get("referer") or "")


def sent_token(connection: Connection, in_body: str = "") -> str:
    """The key a request of a site or app brings: Basic user name, bearer token, or in its body; empty for none."""
    return _token(connection.headers.get("authorization", "")) or in_body


def _token(authorization: str) -> str:
    scheme, _, sent = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return sent.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return b64decode(sent.strip()).decode().partition(":")[0]
    except (Base64Error, ValueError):
        return ""
