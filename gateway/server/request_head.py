"""Checks of a request's head that the parser does not make (RFC 9112). Pure functions."""

import string
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import TypeAlias

from gateway.server.connection_limits import ConnectionLimits
from gateway.server.http_errors import HttpError, head_too_large, too_many_headers

Headers: TypeAlias = Sequence[tuple[bytes, bytes]]

WHITE_SPACE = b" \t"
"""What may surround the value of a header, and is no part of it (RFC 9110, 5.6.3)."""

HTTP_VERSIONS = ("1.1", "1.0")
"""The parser accepts other versions too, and frames them as HTTP/1.1."""

UPGRADE_HEADERS = (b"upgrade", b"connection", b"http2-settings")
"""The headers of an Upgrade."""

HOST_CHARACTERS = b"-._~%!$&'()*+,;=:[]" + (string.ascii_letters + string.digits).encode()
"""The characters of a host and port (RFC 3986, 3.2.2)."""


def check_head(
    version: str, url: bytes, headers: Headers, received: int, limits: ConnectionLimits
) -> Mapping[bytes, bytes]:
    """Return the headers by name. Raises `HttpError` if a head exceeds a limit or is not correct HTTP/1.1.

    `received` is an upper bound of its size; the exact sum is only needed where that exceeds the limit.
    """
    if len(headers) > limits.headers:
        raise too_many_headers(limits)
    if received > limits.head_bytes and _head_size(url, headers) > limits.head_bytes:
        raise head_too_large(limits)
    if version not in HTTP_VERSIONS:
        raise HttpError(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "this server speaks HTTP/1.1")
    values = dict(headers)
    host = values.get(b"host")
    is_valid = version == "1.0" if host is None else not host.translate(None, HOST_CHARACTERS)
    if not is_valid or (len(values) < len(headers) and _count(headers, b"host") > 1):
        raise HttpError(HTTPStatus.BAD_REQUEST, "a request of HTTP/1.1 has one Host")
    if b"transfer-encoding" in values:
        _check_transfer_coding(version, headers)
    return values


def _count(headers: Headers, name: bytes) -> int:
    return sum(1 for each, _ in headers if each == name)


def _check_transfer_coding(version: str, headers: Headers) -> None:
    """Raise `HttpError` on a coding other than chunked, and on any coding in HTTP/1.0 (RFC 9112, 6.1 and 7)."""
    if version == "1.0":
        raise HttpError(HTTPStatus.BAD_REQUEST, "HTTP/1.0 has no Transfer-Encoding")
    if [value.lower() for name, value in headers if name == b"transfer-encoding"] != [b"chunked"]:
        raise HttpError(HTTPStatus.NOT_IMPLEMENTED, "the only Transfer-Encoding is chunked")


def _head_size(url: bytes, headers: Headers) -> int:
    return len(url) + sum(len(name) + len(value) + 4 for name, value in headers)


def without_upgrade(method: bytes, version: str, url: bytes, headers: Headers) -> bytes:
    """Return a head again, without the headers of its Upgrade."""
    lines = [b"%b %b HTTP/%b" % (method, url, version.encode())]
    lines += [b"%b: %b" % header for header in headers if header[0] not in UPGRADE_HEADERS]
    return b"\r\n".join(lines) + b"\r\n\r\n"
