"""The network that a client belongs to, as limits count it."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

_NETWORK_BITS = 64
_SITE_BITS = 48


def network_of(address: str) -> str:
    """The network of an address: of an IPv4 address itself, of an IPv6 one its /64, since whoever has one address there
    has all of them; empty for what is no address."""
    return _first_of(address, _NETWORK_BITS)


def site_of(address: str) -> str:
    """The same, but of an IPv6 address its /48: what one customer of a provider is given at most (RFC 6177)."""
    return _first_of(address, _SITE_BITS)


def _first_of(address: str, bits: int) -> str:
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if not isinstance(found, IPv6Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    rest = 128 - bits
    return f"{IPv6Address(int(found) >> rest << rest)}/{bits}"
