"""The addresses that a client's URL may lead to. It must not reach what only this machine can (SSRF)."""

import asyncio
import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any
from urllib.parse import SplitResult, urlsplit

SCHEMES = {"http": 80, "https": 443}
"""The default port of each scheme."""

MAX_URL_LENGTH = 2_048

_NAT64, _LOCAL_NAT64 = IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48")
"""Addresses that a gateway of the network translates to the IPv4 address in their last 32 bits (RFC 6052), and others
that it translates as it is configured (RFC 8215)."""


class UnusableUrl(ValueError):
    """A URL that nothing is sent to. The message is the reason."""


def parse_url(text: str) -> SplitResult:
    """Return the parts of a URL. Raises `UnusableUrl`."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise UnusableUrl("it is not a URL") from None
    if len(text) > MAX_URL_LENGTH or not text.isascii() or not text.isprintable() or " " in text:
        raise UnusableUrl(f"it must have at most {MAX_URL_LENGTH} visible ASCII characters")
    if parts.scheme not in SCHEMES or not parts.hostname:
        raise UnusableUrl("it must begin with https:// or http:// and name a host")
    if parts.username is not None or parts.password is not None or parts.fragment or port == 0:
        raise UnusableUrl("it must have no user name, no password, no fragment and no port 0")
    return parts


async def resolve(parts: SplitResult, allow_private: bool) -> str:
    """Return an address of the URL's host, all of which are public, or private ones are allowed. Raises `UnusableUrl`.

    The caller connects to this address: the name could have another one a moment later.
    """
    port = parts.port or SCHEMES[parts.scheme]
    try:
        found = await _getaddrinfo(parts.hostname, port)
    except (OSError, UnicodeError):
        raise UnusableUrl("its host has no address") from None
    addresses = [str(address[0]) for *_, address in found]
    if not allow_private and not all(map(is_public, addresses)):
        raise UnusableUrl("its host has a private address")
    return addresses[0]


async def _getaddrinfo(host: str | None, port: int) -> list[Any]:
    return await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)


def is_public(text: str) -> bool:
    """Return whether an address is reachable from everywhere, whatever form it has."""
    address = ip_address(text.partition("%")[0])
    embedded = _embedded(address)
    if embedded:
        return is_public(str(embedded))
    if address in _LOCAL_NAT64:
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _embedded(address: IPv4Address | IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that an IPv6 address leads to."""
    if isinstance(address, IPv4Address):
        return None
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
