"""Puts the HTTP server together: events, health, and whatever other routers are handed in."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from litestar import Litestar
from litestar.types import ControllerRouterHandler

from keepers.app.access.page_access import PageAccess
from keepers.app.operations.events import EventIntake
from keepers.http.common.auth import read_guard
from keepers.http.common.metrics import ServerMetrics
from keepers.http.common.parameters import SLASH
from keepers.http.common.problems import exception_handlers
from keepers.http.common.security_headers import SecurityHeaders
from keepers.http.probes import health_handlers
from keepers.http.tracking.endpoint import PATHS, Tracking

KEY_USES_EVERY_S = 60.0
"""seconds between writing when keys were last used: requests themselves never write it"""


def create_app(
    events: EventIntake,
    *,
    clock: Callable[[], datetime],
    handlers: Sequence[ControllerRouterHandler] = (),
    figures: ServerMetrics | None = None,
    notes: Callable[[], dict[str, str]] | None = None,
    proxies: int = 0,
    access: PageAccess | None = None,
    is_https: bool = False,
    **options: Any,
) -> Litestar:
    """An ASGI application that takes events; `clock` gives the present as naive UTC.

    `handlers` are other routers and handlers; `options` go to Litestar as they are (exception handlers, OpenAPI,
    lifespan, state …). `proxies` are in front (see `client_address`). `notes` says what /ready should add, such as that
    ticks fail; `access`, who may see /metrics: nobody without one. `is_https` says that the public address is https.
    """
    figures = figures or ServerMetrics()
    events.on_commit = figures.committed

    async def recording_key_uses() -> None:
        while True:
            await asyncio.sleep(KEY_USES_EVERY_S)
            await asyncio.to_thread(events.record_key_uses, clock())

    @asynccontextmanager
    async def collecting(_app: Litestar) -> AsyncGenerator[None, None]:
        events.start()
        recording = asyncio.create_task(recording_key_uses())
        try:
            yield
        finally:
            recording.cancel()
            with suppress(asyncio.CancelledError):
                await recording
            await asyncio.to_thread(events.stop)
            await asyncio.to_thread(events.record_key_uses, clock())

    made = _Application(
        route_handlers=[
            *health_handlers(events, figures, read_guard(access, clock, "read_metrics"), notes),
            *handlers,
        ],
        lifespan=[collecting, *options.pop("lifespan", ())],
        exception_handlers=options.pop("exception_handlers", exception_handlers()),
        **options,
    )
    made.security_headers = SecurityHeaders(is_https=is_https)
    made.tracking = Tracking(events, figures, clock, proxies, made.security_headers.of("/v1/"))
    return made


class _Application(Litestar):
    """Litestar, but events go past it, a slash that is sent as `%2F` belongs to a name and does not end a part of the
    path, and every answer gets the headers of `security_headers.py`."""

    security_headers: SecurityHeaders
    tracking: Tracking

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] in PATHS:
            await self.tracking(scope, receive, send)
            return
        sent = (scope.get("raw_path") or b"").partition(b"?")[0]
        if b"%2f" in sent.lower():
            scope["path"] = unquote(re.sub("%2f", SLASH, sent.decode("ascii", "replace"), flags=re.IGNORECASE))
        if scope["type"] == "http":
            send = self.security_headers.adding(scope["path"], send)
        await super().__call__(scope, receive, send)
