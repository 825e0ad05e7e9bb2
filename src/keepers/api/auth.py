"""Who may use the management API: whoever sends a secret key as a bearer token."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from litestar.connection import ASGIConnection
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler
from litestar.openapi.spec import SecurityScheme

from keepers.store.keys import KeyRing

SCHEME = "secret_key"
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


def secret_key_guard(keys: KeyRing, clock: Callable[[], datetime]) -> Guard:
    """Lets requests with a secret key pass; 401 without a known key, 403 with one of another kind or revoked."""

    async def guard(connection: Connection, _handler: BaseRouteHandler) -> None:
        now = clock()
        if keys.is_stale(now):
            await asyncio.to_thread(keys.refresh, now)
        token = bearer(connection)
        key = keys.find(token) if token else None
        if key is None:
            what = "This key is unknown." if token else "A secret key is needed."
            raise HTTPException(
                f"{what} Send `Authorization: Bearer km_…`; `keepers keys create secret` makes one.", status_code=401
            )
        if key.revoked_at is not None:
            raise HTTPException("This key was revoked. Use one that is not.", status_code=403)
        if key.kind != "secret":
            raise HTTPException(f"This is a {key.kind} key; the management API takes secret keys.", status_code=403)

    return guard
