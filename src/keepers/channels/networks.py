"""The network that a client belongs to, as limits count it."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

_NETWORK_BITS = 64
_SITE_BITS = 48
_BLOCK_BITS = {4: 16, 6: 32}


def network_of(address: str) -> str:
    """The network of an address: of an IPv4 address itself, of an IPv6 one its /64, since whoever has one address there
    has all of them; empty for what is no address."""
    return _first_of(address, _NETWORK_BITS)


def site_of(address: str) -> str:
    """The same, but of an IPv6 address its /48: what one customer of a provider is given at most (RFC 6177)."""
    return _first_of(address, _SITE_BITS)


def block_of(address: str) -> str:
    """The block of addresses that a provider was assigned, about: of an IPv4 address its /16, of an IPv6 one its /32;
    empty for what is no address."""
    found = _read(address)
    return _first_bits(found, _BLOCK_BITS[found.version]) if found is not None else ""


def _first_of(address: str, bits: int) -> str:
    found = _read(address)
    if found is None:
        return ""
    return _first_bits(found, bits) if isinstance(found, IPv6Address) else str(found)


def _read(address: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found


def _first_bits(address: IPv4Address | IPv6Address, bits: int) -> str:
    rest = address.max_prefixlen - bits
    return f"{type(address)(int(address) >> rest << rest)}/{bits}"
