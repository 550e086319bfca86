"""The URLs of accounts that a credential may be sent to."""

from ipaddress import ip_address
from urllib.parse import urlsplit


class UnusableAccount(ValueError):
    """A URL that no credential is sent to. The message is the reason."""


def require_safe(url: str, is_public: bool) -> None:
    """Raise `UnusableAccount` unless a URL is https://, or, if it need not be public, http:// to this machine."""
    try:
        parts = urlsplit(url)
        has_port = parts.port != 0
    except ValueError:
        raise UnusableAccount("it is not a URL") from None
    if not parts.hostname or parts.query or parts.fragment or parts.username is not None or not has_port:
        raise UnusableAccount("it must be a URL with a host, and without user name, query and fragment")
    if parts.scheme != "https" and is_public:
        raise UnusableAccount("it must begin with https://")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname)):
        raise UnusableAccount("it must begin with https://; http:// is for this machine alone")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
