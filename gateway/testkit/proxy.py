"""Forwards requests to a server and its responses back, byte for byte, and passes each conversation to a callback.

Hop-by-hop headers (RFC 9110, 7.6.1) are removed, and Host names the server.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

import httpx
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

log = logging.getLogger("gateway")

TIMEOUT_SECONDS = 60.0
"""How long a server may take to respond."""

Headers = list[tuple[bytes, bytes]]

_HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade")
)


@dataclass(frozen=True, slots=True)
class ForwardedRequest:
    """A request as received: `target` is path and query, header names are in lower case."""

    method: str
    target: bytes
    headers: Headers
    body: bytes

    @property
    def plain(self) -> bytes:
        """The body without its content encoding. Raises `httpx.DecodingError`."""
        return _decoded(self.headers, self.body)


@dataclass(frozen=True, slots=True)
class ForwardedResponse:
    """A response as received, its body still in its content encoding."""

    status: int
    headers: Headers
    body: bytes

    def header(self, name: str) -> str:
        """Return the value of a header, or ""."""
        named = (value for key, value in self.headers if key.decode("latin-1").lower() == name)
        return next(named, b"").decode("latin-1")

    @property
    def plain(self) -> bytes:
        """The body without its content encoding. Raises `httpx.DecodingError`."""
        return _decoded(self.headers, self.body)


UNAVAILABLE = ForwardedResponse(502, [(b"content-type", b"text/plain")], b"the server behind this does not answer\n")


class UpstreamServer:
    """A server that requests are forwarded to."""

    def __init__(self, url: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._url = httpx.URL(url)
        self._transport = transport or httpx.AsyncHTTPTransport(limits=httpx.Limits(max_connections=None))
        self.authority = self._url.netloc.decode()

    async def send(self, sent: ForwardedRequest) -> ForwardedResponse:
        """Return the response to a request. Raises `httpx.HTTPError`."""
        target = self._url.raw_path.rstrip(b"/") + sent.target
        headers = [*_end_to_end(sent.headers, b"host"), (b"host", self._url.netloc)]
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), TIMEOUT_SECONDS)
        request = httpx.Request(
            sent.method,
            self._url_of(target),
            headers=headers,
            content=sent.body or None,
            extensions={"target": target, "timeout": timeouts},
        )
        response = await self._transport.handle_async_request(request)
        try:
            body = b"".join([chunk async for chunk in response.aiter_raw()])
        finally:
            await response.aclose()
        return ForwardedResponse(response.status_code, _end_to_end(response.headers.raw), body)

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.aclose()

    def _url_of(self, target: bytes) -> httpx.URL:
        """Return the URL of a target. A target that is not valid in a URL is sent as received all the same."""
        try:
            return self._url.copy_with(raw_path=target)
        except (httpx.InvalidURL, UnicodeDecodeError):
            return self._url


class Forwarder:
    """The application of a proxy. It calls `observe` with each conversation after it sends the response."""

    def __init__(
        self, server: UpstreamServer, observe: Callable[[ForwardedRequest, ForwardedResponse], Awaitable[None]]
    ) -> None:
        self._server = server
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            sent = await _receive(scope, receive)
        except ClientDisconnect:
            return
        try:
            got = await self._server.send(sent)
        except httpx.HTTPError as reason:
            log.error("%s does not answer: %s", self._server.authority, type(reason).__name__)
            await _respond(send, UNAVAILABLE)
            return
        await _respond(send, got)
        await self._observe(sent, got)


async def _receive(scope: Scope, receive: Receive) -> ForwardedRequest:
    target: bytes = scope["raw_path"].partition(b"?")[0]
    if scope["query_string"]:
        target += b"?" + scope["query_string"]
    chunks, more = [], True
    while more:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise ClientDisconnect
        chunks.append(event.get("body", b""))
        more = event.get("more_body", False)
    return ForwardedRequest(scope["method"], target, list(scope["headers"]), b"".join(chunks))


async def _respond(send: Send, got: ForwardedResponse) -> None:
    # 304 has no body, but may have Content-Length (RFC 9110, 8.6): uvicorn would wait for the body.
    excluded = {b"content-length"} if got.status == 304 else set()
    headers = [(name, value) for name, value in got.headers if name.lower() not in excluded]
    await send({"type": "http.response.start", "status": got.status, "headers": headers})
    await send({"type": "http.response.body", "body": got.body})


def _decoded(headers: Headers, body: bytes) -> bytes:
    encodings = [(name, value) for name, value in headers if name.lower() == b"content-encoding"]
    return httpx.Response(200, headers=encodings, content=body).content


def _end_to_end(headers: Iterable[tuple[bytes, bytes]], *others: bytes) -> Headers:
    """Return the end-to-end headers: without hop-by-hop headers and those that Connection names."""
    pairs = list(headers)
    named = {name.strip().lower() for key, value in pairs if key.lower() == b"connection" for name in value.split(b",")}
    excluded = _HOP_BY_HOP | named | set(others)
    return [(name, value) for name, value in pairs if name.lower() not in excluded]
