"""The address that clients use: scheme, host and prefix of the links in replies.

Headers of a proxy (`X-Forwarded-Host`, `-Proto`, `-Prefix`, or else `Forwarded`, RFC 7239) count only if the connection
comes from a trusted proxy: otherwise any client could choose the links. Of several values the last one counts, because
the trusted proxy itself added it.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

from starlette.types import Scope

Network: TypeAlias = IPv4Network | IPv6Network

DEFAULT_HOST = "localhost"
"""For a request of HTTP/1.0 without a Host."""

MAX_CACHED_ADDRESSES = 1_024

is_scheme = re.compile(r"https?").fullmatch
is_host = re.compile(r"(?:[\w.~-]+|\[[\da-fA-F:.]+\])(?::\d{1,5})?", re.ASCII).fullmatch
is_prefix = re.compile(r"(?:/[\w.~-]+)+", re.ASCII).fullmatch
PAIR = re.compile(r'(?:^|;)\s*(\w+)\s*=\s*("[^"\\]*"|[^\s";]+)\s*(?=;|$)', re.ASCII)
"""A parameter of `Forwarded`. A value with an escape is no host, so that none is read."""


def parse_networks(text: str | None) -> tuple[Network, ...]:
    """Return addresses and networks in CIDR notation, separated by commas. Raises `ValueError`."""
    return tuple(ip_network(part.strip()) for part in text.split(",")) if text else ()


class PublicAddress:
    """Finds the address for each request. `proxies` are the networks of the trusted proxies."""

    def __init__(self, proxies: tuple[Network, ...] = ()) -> None:
        self.trusts_proxies = bool(proxies)
        """Otherwise the address is the one that the request itself names."""
        self._proxies = proxies
        self._is_trusted = lru_cache(MAX_CACHED_ADDRESSES)(self._is_in_networks)

    def base_of(self, scope: Scope, headers: Mapping[str, str]) -> str:
        """Return the address without a path, such as `https://example.com/prefix`."""
        scheme, host, prefix = scope["scheme"], headers.get("host") or DEFAULT_HOST, ""
        if self._proxies and scope.get("client") and self._is_trusted(scope["client"][0]):
            values = forwarded_values(headers)
            scheme = _valid(values.get("proto", "").lower(), is_scheme) or scheme
            host = _valid(values.get("host", ""), is_host) or host
            prefix = _valid(values.get("prefix", "").rstrip("/"), is_prefix)
        return f"{scheme}://{host}{prefix}"

    def _is_in_networks(self, text: str) -> bool:
        try:
            address = ip_address(text)
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return any(address in network for network in self._proxies)


def forwarded_values(headers: Mapping[str, str]) -> dict[str, str]:
    """Return `host`, `proto` and `prefix` as a proxy gives them.

    `Forwarded` counts only without any `X-Forwarded-` header of these: a proxy that sets one form passes on the
    client's own headers of the other.
    """
    names = ("host", "proto", "prefix")
    values = {name: headers[f"x-forwarded-{name}"] for name in names if f"x-forwarded-{name}" in headers}
    if values:
        return {name: value.rpartition(",")[2].strip() for name, value in values.items()}
    last = headers.get("forwarded", "").rpartition(",")[2]
    return {name.lower(): value.strip('"') for name, value in PAIR.findall(last)}


def _valid(value: str, is_valid: Callable[[str], object]) -> str:
    return value if is_valid(value) else ""
