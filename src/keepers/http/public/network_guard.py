"""Holds the requests of one network to the limits, whatever they ask for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from keepers.app.workspace.workspace import Workspace
from keepers.http.common.request_info import client_address

Guard = Callable[[ASGIConnection[Any, Any, Any, Any], BaseRouteHandler], None]


def network_guard(workspace: Workspace) -> Guard:
    """For Litestar's `guards`. Raises TooManyError."""

    def guard(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
        address = client_address(connection.scope, workspace.settings.server.proxies)
        workspace.public_limits.spend_request(address, workspace.clock())

    return guard
