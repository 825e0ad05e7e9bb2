"""Whether a request comes from this machine itself, and not through a proxy or a page that pretends to."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from litestar.connection import ASGIConnection

_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via")


def is_local(connection: ASGIConnection[Any, Any, Any, Any]) -> bool:
    """True for a direct connection over loopback.

    A proxy on the same machine connects over loopback too, so a request that was forwarded does not count; nor
    does one for another host's name, which is how a foreign page would reach in (DNS rebinding).
    """
    client = connection.scope.get("client")
    if client is None or not _is_loopback(str(client[0])):
        return False
    if any(name in connection.headers for name in _FORWARDED):
        return False
    host = connection.headers.get("host", "")
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return name.lower() == "localhost" or _is_loopback(name)


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False
