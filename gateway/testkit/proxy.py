"""Passes requests to a server and its answers back, byte for byte, and shows each conversation to whoever listens.

Only what RFC 9110, 7.6.1 keeps to one connection is left out, and Host names the server.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

import httpx
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

log = logging.getLogger("gateway")

PATIENCE = 60.0
"""Seconds that a server may take for an answer."""

Headers = list[tuple[bytes, bytes]]

_HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade")
)


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as it came: `target` is path and query, header names are in lower case."""

    method: str
    target: bytes
    headers: Headers
    body: bytes

    @property
    def plain(self) -> bytes:
        """The body without its content encoding. Raises `httpx.DecodingError`."""
        return _decoded(self.headers, self.body)


@dataclass(frozen=True, slots=True)
class Got:
    """An answer as it came, its body still in its content encoding."""

    status: int
    headers: Headers
    body: bytes

    def header(self, name: str) -> str:
        named = (value for key, value in self.headers if key.decode("latin-1").lower() == name)
        return next(named, b"").decode("latin-1")

    @property
    def plain(self) -> bytes:
        """The body without its content encoding. Raises `httpx.DecodingError`."""
        return _decoded(self.headers, self.body)


AWAY = Got(502, [(b"content-type", b"text/plain")], b"the server behind this does not answer\n")


class Server:
    """A server that requests are passed on to."""

    def __init__(self, url: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._url = httpx.URL(url)
        self._transport = transport or httpx.AsyncHTTPTransport(limits=httpx.Limits(max_connections=None))
        self.authority = self._url.netloc.decode()

    async def ask(self, sent: Sent) -> Got:
        """The answer to a request. Raises `httpx.HTTPError`."""
        target = self._url.raw_path.rstrip(b"/") + sent.target
        headers = [*_end_to_end(sent.headers, b"host"), (b"host", self._url.netloc)]
        patience = dict.fromkeys(("connect", "read", "write", "pool"), PATIENCE)
        request = httpx.Request(
            sent.method,
            self._at(target),
            headers=headers,
            content=sent.body or None,
            extensions={"target": target, "timeout": patience},
        )
        response = await self._transport.handle_async_request(request)
        try:
            body = b"".join([chunk async for chunk in response.aiter_raw()])
        finally:
            await response.aclose()
        return Got(response.status_code, _end_to_end(response.headers.raw), body)

    async def close(self) -> None:
        await self._transport.aclose()

    def _at(self, target: bytes) -> httpx.URL:
        """The URL of a target; what no URL can spell goes over the wire as it came all the same."""
        try:
            return self._url.copy_with(raw_path=target)
        except (httpx.InvalidURL, UnicodeDecodeError):
            return self._url


class Forwarder:
    """The application of a proxy. `seen` is called with each conversation once its answer is on its way."""

    def __init__(self, server: Server, seen: Callable[[Sent, Got], Awaitable[None]]) -> None:
        self._server = server
        self._seen = seen

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            sent = await _sent(scope, receive)
        except ClientDisconnect:
            return
        try:
            got = await self._server.ask(sent)
        except httpx.HTTPError as reason:
            log.error("%s does not answer: %s", self._server.authority, type(reason).__name__)
            await _answer(send, AWAY)
            return
        await _answer(send, got)
        await self._seen(sent, got)


async def _sent(scope: Scope, receive: Receive) -> Sent:
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
    return Sent(scope["method"], target, list(scope["headers"]), b"".join(chunks))


async def _answer(send: Send, got: Got) -> None:
    # 304 has no body, and may tell how long one would have been (RFC 9110, 8.6): uvicorn would wait for that.
    left_out = {b"content-length"} if got.status == 304 else set()
    headers = [(name, value) for name, value in got.headers if name.lower() not in left_out]
    await send({"type": "http.response.start", "status": got.status, "headers": headers})
    await send({"type": "http.response.body", "body": got.body})


def _decoded(headers: Headers, body: bytes) -> bytes:
    encodings = [(name, value) for name, value in headers if name.lower() == b"content-encoding"]
    return httpx.Response(200, headers=encodings, content=body).content


def _end_to_end(headers: Iterable[tuple[bytes, bytes]], *others: bytes) -> Headers:
    """The headers that are for the other end: not those of one connection, nor what Connection names."""
    pairs = list(headers)
    named = {name.strip().lower() for key, value in pairs if key.lower() == b"connection" for name in value.split(b",")}
    left_out = _HOP_BY_HOP | named | set(others)
    return [(name, value) for name, value in pairs if name.lower() not in left_out]
