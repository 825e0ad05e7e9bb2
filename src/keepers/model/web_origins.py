"""Origins of web pages (RFC 6454): `https://shop.example`, `https://*.shop.example`."""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import urlsplit

from keepers.model.errors import UserError, problem

_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"(?:\*\.)?(?:[a-z0-9_](?:[a-z0-9_-]{0,62})\.)*[a-z0-9_][a-z0-9_-]{0,62}|\[[0-9a-f:.]+\]")
_LONGEST = 300


def parse_origin(text: str) -> str:
    """An origin in the form that browsers send: lower case, punycode, no default port, no path.

    Its host may begin with `*.` for every name below it. Raises UserError for anything else.
    """
    found = _origin(text.strip().removesuffix("/"), may_have_path=False)
    if found is None:
        raise UserError(
            problem("“{text}” is no origin. Write it as https://shop.example or https://*.shop.example.", text=text),
            code="key",
            field="origins",
        )
    return found


def origin_of_page(address: str) -> str:
    """The origin of a page's address, as a Referer has it: `null` of one that has none, empty of no address."""
    return (_origin(address, may_have_path=True) or "null") if address else ""


def is_allowed(origin: str, allowed: Collection[str]) -> bool:
    """Whether the origin that a browser sent is one of those allowed, all in the form of `parse_origin`."""
    found = _origin(origin, may_have_path=False)
    if found is None or "*" in found:
        return False
    scheme, _, host = found.partition("://")
    parents = (f"{scheme}://*{host[i:]}" for i, character in enumerate(host) if character == ".")
    return found in allowed or any(one in allowed for one in parents)


def _origin(text: str, *, may_have_path: bool) -> str | None:
    if len(text) > _LONGEST and not may_have_path:
        return None
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
        if not host.isascii():
            host = host.encode("idna").decode()
    except (ValueError, UnicodeError):
        return None
    host = f"[{host}]" if ":" in host else host
    has_more = bool(parts.path or parts.query or parts.fragment)
    if parts.scheme not in _DEFAULT_PORTS or "@" in parts.netloc or (has_more and not may_have_path):
        return None
    if not _HOST.fullmatch(host):
        return None
    is_default = port is None or port == _DEFAULT_PORTS[parts.scheme]
    return f"{parts.scheme}://{host}" + ("" if is_default else f":{port}")
