"""uvicorn's HTTP protocol, and what it lacks at a door on the internet. Knows nothing of what is said there.

- An Upgrade that is not wanted is to be ignored (RFC 9110, 7.8). uvicorn drops the body of such a request instead:
  Java's HttpClient, which offers HTTP/2 with its first request on a connection, could not say a word here.
- uvicorn waits for ever for a slow client and takes headers and connections without end. Here each has a bound. One
  look a second at every connection keeps the time: a timer for each request would cost more than all the rest.
- A refusal waits for the answers to earlier requests, and the connection is first closed in one direction, for a reset
  would take the refusal with it (RFC 9112, 9.6). uvicorn does neither.
- Trailers are no headers (RFC 9110, 6.5.1), a request names its host once (RFC 9112, 3.2), and a body whose transfer
  coding is not known cannot be read (RFC 9112, 6.1).
- When the server stops, what a client has sent by then is answered. So is who sends no more, but still listens.
"""

import asyncio
import string
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

OFFERS = (b"upgrade", b"connection", b"http2-settings")
"""The headers of an offer to speak another protocol."""

FRAMING = 8
"""Bytes that may frame one byte of a body, as chunks of one byte each do. More than that is held against a client."""

SPOKEN = ("1.1", "1.0")
"""Versions of HTTP. The parser knows more, and frames them as HTTP/1.1."""

IN_A_HOST = b"-._~%!$&'()*+,;=:[]" + (string.ascii_letters + string.digits).encode()
"""What a host and its port are made of (RFC 3986, 3.2.2)."""

LINGER = 2.0
"""Seconds in which a client that was refused may still send before its connection is closed."""

DRAIN = 0.25
"""Seconds in which an idle connection may still bring a request when the server stops."""

IDLE, HEAD, BODY, DEAF, LEAVING = range(5)
"""What a connection waits for: nothing, a header block, a body; nothing more but its answers, and the client's end."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may take up: seconds, bytes, bytes a second, numbers."""

    connections: int = 10_000
    head_seconds: float = 10
    head_bytes: int = 32_768
    headers: int = 100
    body_seconds: float = 30
    body_rate: int = 500
    pipelined: int = 32


class Counting:
    """What counts connections and refusals, where somebody wants to know; this one does not."""

    def opened(self) -> None:
        """A connection was accepted."""

    def closed(self) -> None:
        """It is gone."""

    def refused(self, status: int) -> None:
        """It was refused with this status before any request of it reached the application."""


class Unread(Exception):
    """Thrown through the parser, which stops there: what comes is not worth reading."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Together:
    """A transport that sends what is written in one turn of the loop at once: a reply's head and body in one packet."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._held: list[bytes] = []
        self._soon = loop.call_soon
        self.is_closing = transport.is_closing

    def write(self, data: bytes) -> None:
        if not self._held:
            self._soon(self.flush)
        self._held.append(data)

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def write_eof(self) -> None:
        self.flush()
        self._transport.write_eof()

    def flush(self) -> None:
        """Sends what is held, before the transport may be closed by somebody else."""
        if self._held:
            self._transport.write(b"".join(self._held))
            self._held.clear()

    def get_write_buffer_size(self) -> int:
        """Bytes that the client has not taken yet."""
        return self._transport.get_write_buffer_size()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Protocols:
    """Makes the protocol of each connection (what uvicorn calls `http`), and looks at all of them, again and again.

    `pause` is the time between two looks, in seconds: no deadline is kept more exactly.
    """

    def __init__(self, limits: Limits, pause: float = 1.0) -> None:
        self.limits = limits
        self.now = 0.0
        self._pause = pause
        self._watching = False

    def __call__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> "Protocol":
        protocol = Protocol(self, config, server_state, app_state, _loop)
        if not self._watching:
            self._watching = True
            self._look(protocol.loop, server_state)
        return protocol

    def _look(self, loop: asyncio.AbstractEventLoop, server_state: ServerState) -> None:
        self.now = loop.time()
        for connection in tuple(server_state.connections):
            if isinstance(connection, Protocol):
                connection.look(self._pause)
        loop.call_later(self._pause, self._look, loop, server_state)


class Protocol(HttpToolsProtocol):
    """HTTP/1.1 that stays HTTP/1.1, within limits."""

    def __init__(
        self,
        protocols: Protocols,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.headers = []
        self._protocols = protocols
        self._limits = protocols.limits
        self._counting: Counting = app_state.get("counting") or Counting()
        self._phase = HEAD
        self._since = self._moved = protocols.now
        self._received = self._began = self._mark = self._body = self._framing = 0
        self._last_words = b""
        self._stopping = False

    # --- what uvicorn's protocol is told ---

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """As uvicorn's, but not for more connections than there may be."""
        self._wire = Together(transport, self.loop)
        super().connection_made(cast(asyncio.Transport, self._wire))
        self._counting.opened()
        if len(self.connections) > self._limits.connections:
            self._phase = DEAF
            self._counting.refused(503)
            transport.write(_refusal(HTTPStatus.SERVICE_UNAVAILABLE, "there are too many connections"))
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """As uvicorn's."""
        super().connection_lost(exc)
        self._counting.closed()

    def data_received(self, data: bytes) -> None:
        """As uvicorn's, but for an offer, at which the parser stops, and for what is out of bounds."""
        if self._phase >= DEAF:
            return
        if self._phase == IDLE:
            self._enter(HEAD)
        self._received += len(data)
        self._unset_keepalive_if_required()
        begun, self._body = self._began, 0
        try:
            self.parser.feed_data(data)
            if self._phase == BODY:
                # Where it has only just begun, some of the data was its headers.
                self._judge_chunks(len(data) - (self._limits.head_bytes if self._began != begun else 0))
            if self._phase == HEAD and self._received - self._began > self._limits.head_bytes:
                raise _too_long(self._limits)
            if len(self.headers) > self._limits.headers:  # or trailers
                raise _too_many(self._limits)
        except httptools.HttpParserUpgrade as upgrade:
            self._read_without_offer(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            self._refuse(_meant(error))
        except Unread as unread:
            self._refuse(unread)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Whether the connection stays: who has said all that he will say still gets the answers that he is owed."""
        is_owed = self.cycle is not None and not self.cycle.response_complete
        if is_owed and self._phase in (IDLE, HEAD):  # in a body he has left
            self._phase = DEAF
        self._wire.flush()
        return is_owed and self._phase == DEAF

    def on_headers_complete(self) -> None:
        """Begins a request, unless it will be read again without its offer, or is refused for its headers alone."""
        if self.parser.should_upgrade():
            return
        self._judge_head()
        super().on_headers_complete()
        self.headers = []  # what follows the body is no header
        self._enter(BODY)
        if self._stopping:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """As uvicorn's."""
        self._body += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """As uvicorn's, for requests that have begun."""
        if not self.parser.should_upgrade():
            super().on_message_complete()
            self._phase = IDLE

    def on_response_complete(self) -> None:
        """As uvicorn's; once the last answer that was owed is out, the refusal follows."""
        if self._phase == DEAF and not self.pipeline:
            self._hang_up(self._last_words)
        else:
            super().on_response_complete()

    def shutdown(self) -> None:
        """Lets an idle connection go after a moment: what it has sent by then is answered, not reset."""
        self._stopping = True
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
        self.loop.call_later(DRAIN, self._close_idle)

    # --- bounds ---

    def look(self, pause: float) -> None:
        """Ends a connection that has not come as far as it must have by now; `pause` is the time since the last look.

        Time in which we ourselves did not read does not count.
        """
        now, limits = self._protocols.now, self._limits
        unsent = self.transport.get_write_buffer_size()
        mark = -unsent or self._received
        if mark != self._mark or (self.flow.read_paused and not unsent):
            self._mark, self._moved = mark, now
        if self.flow.read_paused:
            self._since += pause
        waited, stalled = now - self._since, now - self._moved
        if unsent:
            if stalled > limits.body_seconds:
                self.transport.abort()
        elif self._phase == HEAD and waited > limits.head_seconds:
            self._refuse(Unread(HTTPStatus.REQUEST_TIMEOUT, "the headers took too long"))
        elif self._phase == BODY and (stalled > limits.body_seconds or self._is_too_slow(waited)):
            self._refuse(Unread(HTTPStatus.REQUEST_TIMEOUT, "the body took too long"))
        elif self._phase == LEAVING and waited > LINGER:
            self.transport.close()

    def _is_too_slow(self, waited: float) -> bool:
        """Whether a body comes below the least rate, or is still coming though its answer is out."""
        if waited <= self._limits.body_seconds:
            return False
        return self.cycle.response_complete or self._received - self._began < self._limits.body_rate * waited

    def _judge_head(self) -> None:
        """Raises `Unread` on a header block that is too large, and on a request that is not right HTTP/1.1."""
        limits, headers = self._limits, self.headers
        if len(headers) > limits.headers:
            raise _too_many(limits)
        # Only where so much was received can a header block be so long.
        if self._received - self._began > limits.head_bytes and _size(self.url, headers) > limits.head_bytes:
            raise _too_long(limits)
        version, names, named = self.parser.get_http_version(), [name for name, _ in headers], dict(headers)
        if version not in SPOKEN:
            raise Unread(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "this server speaks HTTP/1.1")
        hosts = names.count(b"host")
        if (hosts != 1 and (hosts or version == "1.1")) or named.get(b"host", b"").translate(None, IN_A_HOST):
            raise Unread(HTTPStatus.BAD_REQUEST, "a request of HTTP/1.1 has one Host")
        if b"transfer-encoding" in named:
            self._judge_framing(version)
        if len(self.pipeline) >= limits.pipelined:
            raise Unread(HTTPStatus.SERVICE_UNAVAILABLE, f"at most {limits.pipelined} requests may wait in line")

    def _judge_framing(self, version: str) -> None:
        """Raises `Unread` where a body comes in another coding than chunks, or to HTTP/1.0 (RFC 9112, 6.1 and 7)."""
        if version == "1.0":
            raise Unread(HTTPStatus.BAD_REQUEST, "HTTP/1.0 has no Transfer-Encoding")
        if [value.lower() for name, value in self.headers if name == b"transfer-encoding"] != [b"chunked"]:
            raise Unread(HTTPStatus.NOT_IMPLEMENTED, "the only Transfer-Encoding is chunked")

    def _judge_chunks(self, received: int) -> None:
        """Raises `Unread` where what frames a body is out of proportion: extensions, or trailers, without end."""
        self._framing = max(0, self._framing + received - (1 + FRAMING) * self._body)
        if self._framing > self._limits.head_bytes:
            raise _too_long(self._limits)

    def _enter(self, phase: int) -> None:
        self._phase, self._since, self._began = phase, self._protocols.now, self._received
        self._framing = 0

    # --- ends ---

    def _refuse(self, unread: Unread) -> None:
        """Answers what is not read on, behind the answers that are owed to earlier requests, and hangs up."""
        words = _refusal(unread.status, str(unread)) if self._received else b""
        owed = self.cycle is not None and not self.cycle.response_complete
        if self._phase == BODY:
            # The newest request lost its body: it is taken from the line, or runs already and will see its client gone.
            owed = bool(self.pipeline)
            if owed:
                self.pipeline.popleft()
            elif self.cycle.response_started:
                words = b""
        if words:
            self._counting.refused(unread.status)
        if owed:
            self._phase, self._last_words = DEAF, words
        else:
            self._hang_up(words)

    def _hang_up(self, words: bytes) -> None:
        self._enter(LEAVING)
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if words:
            self.transport.write(words)
            self.transport.write_eof()
        else:
            self.transport.close()

    def _close_idle(self) -> None:
        is_answered = self.cycle is None or self.cycle.response_complete
        if is_answered and (self._phase == IDLE or self._received == self._began):
            self.transport.close()

    # --- offers ---

    def _read_without_offer(self, rest: bytes) -> None:
        method = self.parser.get_method()
        if method == b"CONNECT":  # the method itself is the offer
            return self._refuse(Unread(HTTPStatus.NOT_IMPLEMENTED, "this is no proxy"))
        lines = [method + b" " + self.url + b" HTTP/" + self.parser.get_http_version().encode()]
        lines += [name + b": " + value for name, value in self.headers if name not in OFFERS]
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"\r\n".join(lines) + b"\r\n\r\n" + rest)
        return None


def _meant(error: httptools.HttpParserError) -> Unread:
    """What stopped the parser: a refusal of ours, or its own."""
    if isinstance(error.__context__, Unread):
        return error.__context__
    return Unread(HTTPStatus.BAD_REQUEST, "this is not HTTP/1.1")


def _size(url: bytes, headers: list[tuple[bytes, bytes]]) -> int:
    return len(url) + sum(len(name) + len(value) + 4 for name, value in headers)


def _too_long(limits: Limits) -> Unread:
    return Unread(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"the headers may have at most {limits.head_bytes} bytes")


def _too_many(limits: Limits) -> Unread:
    return Unread(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"there may be at most {limits.headers} headers")


def _refusal(status: HTTPStatus, reason: str) -> bytes:
    """A whole response. No dialect is known here: what came may not even be HTTP."""
    body = f"{status.phrase}: {reason}\n".encode()
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        "content-type: text/plain; charset=utf-8",
        f"content-length: {len(body)}",
        "connection: close",
        *(["retry-after: 1"] if status == HTTPStatus.SERVICE_UNAVAILABLE else []),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body
