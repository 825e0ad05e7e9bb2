"""Where links may lead: to hosts that the template writes out, and to those that the settings allow.

An event may say where an order is found; were its address followed as it is, whoever sends events would decide where
the business's own links lead.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import lru_cache

from msgspec import Struct

_WRITTEN = re.compile(r"https?://([A-Za-z0-9.-]{1,253})", re.IGNORECASE)
_END = re.compile(r"[/\\?#]")
_HOST = re.compile(r"[a-z0-9.-]+")
_SLASHES = "/\\"
DOT = "[.\u3002\uff0e\uff61]"
"""a dot, and the full stops that browsers read as one (UTS 46)"""
_LOOKS_ALIKE = str.maketrans("\u3002\uff0e\uff61", "...")
NAME = rf"(?:[\w-]{{1,63}}{DOT}){{1,30}}[\w-]{{2,63}}"
"""what mail programs may read as the name of a host; `is_name` says more"""
_NAME = re.compile(NAME)


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
    return normal_host(host.partition(":")[0])


@lru_cache(maxsize=4096)
def normal_host(host: str) -> str:
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


class WrittenAddresses(Struct, frozen=True):
    """What the texts of a template say of addresses: all of it is the author's own."""

    texts: tuple[str, ...] = ()
    hosts: frozenset[str] = frozenset()
    """of its http(s) addresses: links may lead there"""
    names: frozenset[str] = frozenset()
    """names that could be hosts: they may be printed"""

    def holds(self, address: str) -> bool:
        """Whether an address is written out as a whole."""
        return any(address in text for text in self.texts)

    def __or__(self, other: WrittenAddresses) -> WrittenAddresses:
        return WrittenAddresses(self.texts + other.texts, self.hosts | other.hosts, self.names | other.names)


def written_addresses(source: str, own: Iterable[str]) -> WrittenAddresses:
    """Of a template: its source, and what of it is text rather than Liquid."""
    hosts = frozenset(normal_host(found[1]) for found in _WRITTEN.finditer(source))
    names = {normal_host(found[0]) for text in own for found in _NAME.finditer(text) if is_name(found[0])}
    return WrittenAddresses((source,), hosts, hosts | names)


def is_name(text: str) -> bool:
    """Whether what `NAME` found may be a host: its last part is of letters, or an encoded one."""
    last = text.translate(_LOOKS_ALIKE).rpartition(".")[2]
    return last.isalpha() or last[:4].lower() == "xn--"


def is_allowed(host: str, written: Collection[str], allowed: Collection[str]) -> bool:
    """Whether a link may lead to a host: written in the template, or one of `allowed` or below it."""
    return host in written or any(host == one or host.endswith(f".{one}") for one in allowed)
