"""Sockets and addresses."""

from __future__ import annotations

import errno
import socket
from contextlib import ExitStack
from ipaddress import ip_address

from keepers.app.workspace.workspace import Workspace
from keepers.model.errors import ConflictError, UserError


def open_sockets(
    stack: ExitStack, workspace: Workspace, host: str | None, port: int | None
) -> tuple[list[socket.socket], str]:
    """Sockets to serve on and the address to show. The last socket is one that this machine can reach."""
    host = host or workspace.settings.server.host
    port = workspace.settings.server.port if port is None else port
    found = [_bound(stack, host, port)]
    bound = found[0].getsockname()
    address = ip_address(bound[0].partition("%")[0])
    if not address.is_loopback and not address.is_unspecified:
        # Commands are accepted over loopback only, so one socket must be bound to it.
        found.append(_bound(stack, "127.0.0.1", 0))
    shown = "127.0.0.1" if address.is_unspecified else str(address)
    return found, _url(shown, bound[1])


def _bound(stack: ExitStack, host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        made = socket.create_server(place[:2], family=family, backlog=2048)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConflictError(
                f"Port {port} of {host} is in use by another program. Choose another with --port, or stop that one.",
                code="port",
            ) from None
        raise UserError(
            f"Cannot listen on {host}, port {port}: {error.strerror or error}. Choose others with --host and --port.",
            code="port",
        ) from None
    stack.callback(made.close)
    return made


def local_address(sockets: list[socket.socket]) -> str:
    """The address at which this machine reaches the server."""
    bound = sockets[-1].getsockname()
    address = ip_address(bound[0].partition("%")[0])
    if address.is_unspecified:
        return _url("127.0.0.1" if address.version == 4 else "::1", bound[1])
    return _url(str(address), bound[1])


def _url(address: str, port: int) -> str:
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"
