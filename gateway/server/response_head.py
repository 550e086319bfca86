"""The head of a response in HTTP/1.1 (RFC 9112, 4 to 6): status line, headers, and how its body is framed. No I/O."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import TypeAlias

Headers: TypeAlias = Iterable[tuple[bytes, bytes]]

CONTROLS = bytes([*range(9), 11, 12, *range(14, 32), 127])
"""Characters that no value contains (RFC 9110, 5.5), except line breaks, which are counted."""

WITHOUT_BODY = (204, 304)
"""Statuses of responses that never have a body."""

closes = re.compile(rb"(?:.*,)?\s*close\s*(?:,.*)?", re.IGNORECASE).fullmatch
"""Matches a value of Connection with the option `close`."""

is_token = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch


def response_head(
    status: int, defaults: Sequence[tuple[bytes, bytes]], headers: Headers, keep_alive: bool, is_head: bool
) -> tuple[bytes, int | None, bool]:
    """Return the head of a response, the size of its body, and whether the connection is kept.

    The size is None for a body in chunks. `defaults` are headers that every response has; `is_head` is whether the
    request was a HEAD.

    Raises `ValueError` if a header contains what would end it.
    """
    lines, values = [_start(status, tuple(defaults))], {}
    for name, value in headers:
        name = _name(name)
        values[name] = value
        lines.append(b"%b: %b" % (name, value))
    if b"connection" in values and closes(values[b"connection"]):
        keep_alive = False
    elif not keep_alive:
        lines.append(b"connection: close")
    length: int | None = 0
    if b"content-length" in values:
        length = 0 if is_head else int(values[b"content-length"])
    elif values.get(b"transfer-encoding", b"").lower() == b"chunked":
        length = None
    elif not is_head and status not in WITHOUT_BODY:
        length = None
        lines.append(b"transfer-encoding: chunked")
    encoded = b"\r\n".join(lines)
    breaks = len(lines) - 1 + len(defaults)
    if encoded.count(b"\n") != breaks or encoded.count(b"\r") != breaks or encoded.translate(None, CONTROLS) != encoded:
        raise ValueError("a header of the response has a control character")
    return encoded + b"\r\n\r\n", length, keep_alive


@lru_cache(100)
def _start(status: int, defaults: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """Return the status line and the default headers, without the last line break."""
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else ""
    return b"\r\n".join([f"HTTP/1.1 {status} {phrase}".encode(), *(b"%b: %b" % header for header in defaults)])


@lru_cache(1_000)
def _name(name: bytes) -> bytes:
    """Return a name in lower case. Raises `ValueError` if it is none."""
    if not is_token(name):
        raise ValueError("a header of the response has no valid name")
    return name.lower()
