"""Keeps calls to addresses given by others away from this machine, its network and its cloud's metadata (SSRF).

A name is resolved once and the connection goes to a checked address, so a second answer of the name server (DNS
rebinding) changes nothing. The resolved address is checked: spellings such as `0x7f.1` are resolved first.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from keepers.model.errors import UserError, problem, shown

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""(name, port) → its addresses as text, best first"""

_REFUSED: tuple[Network, ...] = tuple(
    ip_network(network)
    for network in (
        "168.63.129.16/32",  # Azure's metadata and host agent: looks public
        "192.0.0.0/24",  # protocol assignments, Oracle's metadata among them: partly global to some Pythons
        "100.64.0.0/10",  # shared between a provider and its customers
        "192.88.99.0/24",  # 6to4 relays
        "::ffff:0:0/96",  # IPv4-mapped
        "::/96",  # IPv4-compatible
        "64:ff9b::/96",  # NAT64: an IPv4 address of the translator's choosing
        "64:ff9b:1::/48",
        "2002::/16",  # 6to4
        "2001::/23",  # protocol assignments, Teredo among them
        "fec0::/10",  # site-local
        "5f00::/16",  # segment routing
        "100:0:0:1::/64",
        "3fff::/20",  # documentation
    )
)


class RefusedError(UserError):
    """An address that may not be called."""

    code = "address"


def is_public(address: Address) -> bool:
    """True for an ordinary address of the internet: not private, shared, loopback, link-local (cloud metadata
    included), multicast, reserved or unspecified, and no form that hides an IPv4 address in an IPv6 one."""
    if isinstance(address, IPv6Address) and address.scope_id:
        return False
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_unspecified:
        return False
    return not any(address.version == network.version and address in network for network in _REFUSED)


class Guard:
    """What may be called: public addresses, and what `allow` names (CIDRs, addresses, host names, `*.domain`)."""

    def __init__(self, allow: Iterable[str] = (), resolve: Resolve | None = None) -> None:
        """Raises UserError for an entry that is neither network nor host name."""
        self._networks: list[Network] = []
        self._hosts: set[str] = set()
        self._resolve = resolve or _resolve
        for entry in allow:
            text = entry.strip().casefold().rstrip(".")
            try:
                self._networks.append(ip_network(text, strict=False))
            except ValueError:
                if not text or any(c in text for c in "/:@ "):
                    raise UserError(
                        problem(
                            "allow: {entry} is neither a network (10.0.0.0/8) nor a host name.", entry=shown(entry)
                        ),
                        code="settings",
                    ) from None
                self._hosts.add(text)

    def check_url(self, url: str) -> None:
        """Refuses what is no plain http or https URL: other schemes, credentials in it, no host, control characters.

        Raises RefusedError. The host's addresses are checked when they are resolved.
        """
        import httpx  # with the first call: channels are described without one

        if any(ord(c) <= 32 or ord(c) == 127 for c in url):
            raise RefusedError(problem("{url} is not a URL: it holds spaces or control characters.", url=shown(url)))
        try:
            parts = urlsplit(url)
            port = parts.port
            host = httpx.URL(url).host
        except (ValueError, httpx.InvalidURL):
            raise RefusedError(problem("{url} is not a URL.", url=shown(url))) from None
        if parts.scheme.lower() not in ("http", "https"):
            raise RefusedError(problem("{url} is not called: only http:// and https:// are.", url=shown(url)))
        if parts.username is not None or parts.password is not None:
            raise RefusedError(
                problem("A URL with a user name or password in it is not called: put them into a header.")
            )
        if not host or port == 0:
            raise RefusedError(problem("{url} names no host that could be called.", url=shown(url)))

    async def addresses(self, host: str, port: int) -> list[str]:
        """The addresses of a host that may be connected to, in the resolver's order.

        Raises RefusedError when there are only others, and OSError when the name is not known.
        """
        name = host.casefold().rstrip(".")
        found = list(dict.fromkeys(await self._resolve(host, port)))
        allowed = found if self._is_allowed_host(name) else [a for a in found if self._may_call(ip_address(a))]
        if not allowed:
            raise RefusedError(
                problem(
                    "{host} leads to {addresses}, which is not a public address. If it is your own, add it "
                    "to `allow` in the channel's settings.",
                    host=shown(host),
                    addresses=", ".join(found) or problem("no address"),
                )
            )
        return allowed

    def _is_allowed_host(self, name: str) -> bool:
        parents = [name[i + 1 :] for i, c in enumerate(name) if c == "."]
        return name in self._hosts or any(f"*.{parent}" in self._hosts for parent in parents)

    def _may_call(self, address: Address) -> bool:
        if any(address.version == network.version and address in network for network in self._networks):
            return True
        return is_public(address)


async def _resolve(host: str, port: int) -> list[str]:
    loop = asyncio.get_running_loop()
    infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return [str(info[4][0]) for info in infos]
