"""Where links may lead: to hosts that the template writes out, and to those that the settings allow.

An event may say where an order is found; were its address followed as it is, whoever sends events would decide where
the business's own links lead.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache

_WRITTEN = re.compile(r"https?://([A-Za-z0-9.-]{1,253})", re.IGNORECASE)
_END = re.compile(r"[/\\?#]")
_HOST = re.compile(r"[a-z0-9.-]+")
_SLASHES = "/\\"
_LOOKS_ALIKE = str.maketrans("\u3002\uff0e\uff61", "...")
"""full stops that browsers read as dots (UTS 46)"""


@lru_cache(maxsize=4096)
def host_of(url: str) -> str | None:
    """The host that a browser would open, in lower case and as ASCII; None for an address without one, such as
    `mailto:` or a path, and empty for one that cannot be read."""
    scheme, colon, rest = url.partition(":")
    if colon and scheme.lower() in ("http", "https"):
        # Browsers take any number of slashes, either way round, and none.
        rest = rest.lstrip(_SLASHES)
    elif url[:1] in _SLASHES and url[1:2] in _SLASHES and url[1:2]:
        rest = url.lstrip(_SLASHES)
    else:
        return None
    host = _END.split(rest, maxsplit=1)[0].rpartition("@")[2]
    if host.startswith("["):
        return host.lower()
    return written_host(host.partition(":")[0])


def written_host(host: str) -> str:
    """A host in lower case and as ASCII, without a dot at its end; empty where that is not possible."""
    plain = host.strip().translate(_LOOKS_ALIKE).rstrip(".").lower()
    if plain.isascii():
        return plain
    try:
        encoded = plain.encode("idna").decode()
    except UnicodeError:
        return ""
    # What comes apart into signs of an address is no name of a host.
    return encoded if _HOST.fullmatch(encoded) else ""


def written_hosts(source: str) -> frozenset[str]:
    """The hosts that the text of a template writes out."""
    return frozenset(written_host(found[1]) for found in _WRITTEN.finditer(source))


def is_allowed(host: str, written: Collection[str], allowed: Collection[str]) -> bool:
    """Whether a link may lead to a host: written in the template, or one of `allowed` or below it."""
    return host in written or any(host == one or host.endswith(f".{one}") for one in allowed)
