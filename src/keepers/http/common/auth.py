"""Authentication of the management API: a secret key as a bearer token."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Awaitable, Callable
from datetime import datetime
from hmac import compare_digest
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.openapi.spec import SecurityScheme

from keepers.app.access.key_ring import KeyRefusedError, KeyRing, actor_of_key
from keepers.app.access.page_access import SESSION, PageAccess
from keepers.app.use_cases.actor import COMMAND_LINE, Actor
from keepers.http.common.loopback import is_local
from keepers.http.common.problems import RequestError, locale_of
from keepers.model.errors import problem

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
    authorization = connection.headers.get("authorization", "")
    return token_in(authorization) if authorization[:7].lower() == "bearer " else ""


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
        try:
            key = keys.admit_secret(token, now)
        except KeyRefusedError as refused:
            if refused.code != "unauthorized":
                raise
            raise RequestError(
                problem(
                    "{what} Send `Authorization: Bearer km_…`; `keepers keys create secret` makes one.",
                    what=refused.problem,
                ),
                401,
            ) from None
        connection.scope["actor"] = actor_of_key(key, locale_of(connection))  # type: ignore[typeddict-unknown-key]

    return guard


def read_guard(access: PageAccess | None, clock: Callable[[], datetime], what: str) -> Guard:
    """Lets requests pass that bring a session's cookie, or a key with the scope `read` as a bearer token: 401 without,
    403 with a key that may not. Without `access` nobody passes. `what` names to the audit log what is read."""

    async def guard(connection: Connection, _handler: BaseRouteHandler) -> None:
        reader = None
        if access is not None:
            reader = await asyncio.to_thread(reader_of, access, connection, what, clock())
        if reader is None:
            raise RequestError(
                problem(
                    "Sign in at /login, or send `Authorization: Bearer km_…` with a secret key that may read: "
                    "`keepers keys create secret --scope read` makes one."
                ),
                401,
            )
        connection.scope["actor"] = reader  # type: ignore[typeddict-unknown-key]

    return guard


def reader_of(access: PageAccess, connection: Connection, what: str, now: datetime) -> Actor | None:
    """Who brings a session or a key that may read; None for nobody and for an unknown key. Blocks.

    Raises KeyRefusedError for another key that does not let in, and NotAllowedError for one that may not read.
    """
    token = bearer(connection)
    if not token:
        return SESSION if access.is_session(connection.cookies.get(SESSION_COOKIE, ""), now) else None
    try:
        return access.reader(token, what, now)
    except KeyRefusedError as refused:
        if refused.code != "unauthorized":
            raise
        return None


def actor_of(connection: Connection) -> Actor:
    """The request's actor, set by the guard."""
    found: Actor = connection.scope["actor"]  # type: ignore[typeddict-item]
    return found


def local_guard(connection: Connection, _handler: BaseRouteHandler) -> None:
    """Refuses all but commands on this machine, before anything else of the request is read."""
    if actor_of(connection).kind != "command":
        raise RequestError(problem("This is for commands on the server's own machine."), 403)


def sent_token(connection: Connection, in_body: str = "") -> str:
    """The key a request of a site or app brings: Basic user name, bearer token, or in its body; empty for none."""
    return token_in(connection.headers.get("authorization", "")) or in_body


def token_in(authorization: str) -> str:
    """The bearer token or the user name of Basic authentication; empty where there is neither."""
    scheme, _, sent = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return sent.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return b64decode(sent.strip()).decode().partition(":")[0]
    except (Base64Error, ValueError):
        return ""
