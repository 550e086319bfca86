"""Errors of the HTTP/1.1 connection itself, and the responses to them. They belong to no dialect."""

from http import HTTPStatus

import httptools

from gateway.server.connection_limits import ConnectionLimits


class HttpError(Exception):
    """A request that the connection rejects before the application sees it. It passes through the parser."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def error_of(error: httptools.HttpParserError) -> HttpError:
    """Return the `HttpError` that stopped the parser, or one for the parser's own error."""
    if isinstance(error.__context__, HttpError):
        return error.__context__
    return HttpError(HTTPStatus.BAD_REQUEST, "this is not HTTP/1.1")


def head_too_large(limits: ConnectionLimits) -> HttpError:
    """The error for a header block, or for the framing of a body, over `head_bytes`."""
    reason = f"the headers may have at most {limits.head_bytes} bytes"
    return HttpError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, reason)


def too_many_headers(limits: ConnectionLimits) -> HttpError:
    """The error for more headers, or trailers, than `headers`."""
    return HttpError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"there may be at most {limits.headers} headers")


def error_response(status: HTTPStatus, reason: str) -> bytes:
    """Return a complete response in plain text that closes the connection."""
    body = f"{status.phrase}: {reason}\n".encode()
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        "content-type: text/plain; charset=utf-8",
        f"content-length: {len(body)}",
        "connection: close",
        *(["retry-after: 1"] if status == HTTPStatus.SERVICE_UNAVAILABLE else []),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body
