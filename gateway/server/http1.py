"""HTTP/1.1 on a connection: uvicorn's protocol, with limits on slow and greedy clients.

- An unwanted Upgrade is ignored (RFC 9110, 7.8). uvicorn drops the body of such a request, and Java's HttpClient sends
  one first on each connection.
- Every wait has a limit. One timer per second checks all connections: a timer for each request costs more than the
  rest of the protocol.
- An error response follows the responses to earlier requests. The connection is first closed in one direction, because
  a reset could discard the response (RFC 9112, 9.6).
- Trailers are not headers (RFC 9110, 6.5.1). `request_head` has the other checks.
- When the server stops, requests that have arrived by then get a response.

Relies on private attributes of uvicorn, which `dependencies` checks at start. Independent of the application.
"""

import asyncio
from http import HTTPStatus
from typing import Any, cast

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from gateway.server.connection_limits import ConnectionLimits
from gateway.server.connection_metrics import ConnectionMetrics
from gateway.server.http_errors import HttpError, error_of, error_response, head_too_large, too_many_headers
from gateway.server.request_head import WHITE_SPACE, check_head
from gateway.server.write_buffer import BufferedTransport

UPGRADE_HEADERS = (b"upgrade", b"connection", b"http2-settings")
"""The headers of an Upgrade."""

FRAMING_BYTES_PER_BYTE = 8
"""Bytes of framing allowed for each byte of a body, as chunks of one byte need them."""

LINGER_SECONDS = 2.0
"""Time that a rejected client may continue to send before its connection is closed."""

DRAIN_SECONDS = 0.25
"""Time that an idle connection may still receive a request when the server stops."""

IDLE, HEAD, BODY, DRAINING, LINGERING = range(5)
"""The phases of a connection.

It waits for a request (IDLE), for the rest of a header block (HEAD) or of a body (BODY). While DRAINING it reads no
more and sends the pending responses; while LINGERING it waits for the client to close.
"""


class Http1Connections:
    """Creates the protocol of each connection (uvicorn's `http` setting), and checks all of them for timeouts.

    `interval` is the time between two checks, in seconds. It is the precision of every timeout.
    """

    def __init__(self, limits: ConnectionLimits, interval: float = 1.0) -> None:
        self.limits = limits
        self.now = 0.0
        self._interval = interval
        self._is_running = False

    def __call__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> "Http1Protocol":
        protocol = Http1Protocol(self, config, server_state, app_state, _loop)
        if not self._is_running:
            self._is_running = True
            self._check(protocol.loop, server_state)
        return protocol

    def _check(self, loop: asyncio.AbstractEventLoop, server_state: ServerState) -> None:
        self.now = loop.time()
        for connection in tuple(server_state.connections):
            if isinstance(connection, Http1Protocol):
                connection.check_timeouts(self._interval)
        loop.call_later(self._interval, self._check, loop, server_state)


class Http1Protocol(HttpToolsProtocol):
    """The HTTP/1.1 protocol of one connection."""

    def __init__(
        self,
        connections: Http1Connections,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.headers = []
        self._clock = connections
        self._limits = connections.limits
        self._metrics: ConnectionMetrics = app_state.get("connection_metrics") or ConnectionMetrics()
        self._phase = HEAD
        self._phase_began = self._progressed = connections.now
        self._received = self._request_start = self._progress = self._body_bytes = self._framing_bytes = 0
        self._final_response = b""
        self._is_stopping = False

    # --- callbacks of the transport ---

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a connection, or reject it with 503 if there are too many."""
        self._buffered = BufferedTransport(transport, self.loop)
        super().connection_made(cast(asyncio.Transport, self._buffered))
        self._metrics.opened()
        if len(self.connections) > self._limits.connections:
            self._phase = DRAINING
            self._metrics.rejected(503)
            transport.write(error_response(HTTPStatus.SERVICE_UNAVAILABLE, "there are too many connections"))
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count the end of the connection."""
        super().connection_lost(exc)
        self._metrics.closed()

    def data_received(self, data: bytes) -> None:
        """Feed the parser. Ignore an Upgrade; reject what exceeds a limit or is not HTTP/1.1."""
        if self._phase >= DRAINING:
            return
        if self._phase == IDLE:
            self._enter(HEAD)
        self._received += len(data)
        self._unset_keepalive_if_required()
        start, self._body_bytes = self._request_start, 0
        upgrade_end = 0
        try:
            self.parser.feed_data(data)
            if self._phase == BODY:
                # The data may include the head of the request, if it started just now.
                self._check_framing(len(data) - (self._limits.head_bytes if self._request_start != start else 0))
            if self._phase == HEAD and self._received - self._request_start > self._limits.head_bytes:
                raise head_too_large(self._limits)
            if len(self.headers) > self._limits.headers:  # or trailers
                raise too_many_headers(self._limits)
        except httptools.HttpParserUpgrade as upgrade:
            upgrade_end = upgrade.args[0]
        except httptools.HttpParserError as error:
            self._reject(error_of(error))
        except HttpError as error:
            self._reject(error)
        if upgrade_end:  # outside the handler: the parser's errors have their cause as their context
            self._parse_without_upgrade(data[upgrade_end:])

    def eof_received(self) -> bool:  # type: ignore[override]
        """Half-close: keep the connection open while responses are pending. An unfinished body cancels them."""
        is_pending = self.cycle is not None and not self.cycle.response_complete
        if is_pending and self._phase in (IDLE, HEAD):
            self._phase = DRAINING
        self._buffered.flush()
        return is_pending and self._phase == DRAINING

    def shutdown(self) -> None:
        """Close the connection after its current request, or after `DRAIN_SECONDS` if it is idle."""
        self._is_stopping = True
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
        self.loop.call_later(DRAIN_SECONDS, self._close_idle)

    # --- callbacks of the parser ---

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header or trailer, without the white space around its value."""
        name, value = name.lower(), value.strip(WHITE_SPACE)
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Start the request, unless its head is rejected or is parsed again without its Upgrade."""
        if self.parser.should_upgrade():
            return
        limits, received = self._limits, self._received - self._request_start
        version = self.parser.get_http_version()
        check_head(version, self.url, self.headers, received, limits)
        if version == "1.0":
            self.expect_100_continue = False  # HTTP/1.0 has no interim responses (RFC 9110, 15.2)
        if len(self.pipeline) >= limits.pipelined:
            raise HttpError(HTTPStatus.SERVICE_UNAVAILABLE, f"at most {limits.pipelined} requests may wait in line")
        super().on_headers_complete()
        self.headers = []  # the parser adds trailers to it
        self._enter(BODY)
        if self._is_stopping:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Count the bytes of the body."""
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request, unless it is parsed again without its Upgrade."""
        if not self.parser.should_upgrade():
            super().on_message_complete()
            self._phase = IDLE

    def on_response_complete(self) -> None:
        """Start the next pipelined request; after the last pending response send the error response, if any."""
        if self._phase == DRAINING and not self.pipeline:
            self._finish(self._final_response)
        else:
            super().on_response_complete()

    # --- limits ---

    def check_timeouts(self, interval: float) -> None:
        """Reject or close a connection that is too slow. `interval` is the time since the last check.

        Time while reading is paused does not count against the client.
        """
        now, unsent = self._clock.now, self.transport.get_write_buffer_size()
        progress = -unsent or self._received
        if progress != self._progress or (self.flow.read_paused and not unsent):
            self._progress, self._progressed = progress, now
        if self.flow.read_paused:
            self._phase_began += interval
        waited, stalled = now - self._phase_began, now - self._progressed
        if unsent:
            if stalled > self._limits.body_seconds:
                self.transport.abort()
        elif self._phase == HEAD and waited > self._limits.head_seconds:
            self._reject(HttpError(HTTPStatus.REQUEST_TIMEOUT, "the headers took too long"))
        elif self._phase == BODY and (stalled > self._limits.body_seconds or self._is_too_slow(waited)):
            self._reject(HttpError(HTTPStatus.REQUEST_TIMEOUT, "the body took too long"))
        elif self._phase == LINGERING and waited > LINGER_SECONDS:
            self.transport.close()

    def _is_too_slow(self, waited: float) -> bool:
        """Whether a body is below the minimum rate, or continues after its response is complete."""
        if waited <= self._limits.body_seconds:
            return False
        return self.cycle.response_complete or self._received - self._request_start < self._limits.body_rate * waited

    def _check_framing(self, received: int) -> None:
        """Raise `HttpError` if chunk extensions or trailers are out of proportion to the body."""
        allowed = (1 + FRAMING_BYTES_PER_BYTE) * self._body_bytes
        self._framing_bytes = max(0, self._framing_bytes + received - allowed)
        if self._framing_bytes > self._limits.head_bytes:
            raise head_too_large(self._limits)

    def _enter(self, phase: int) -> None:
        self._phase, self._phase_began, self._request_start = phase, self._clock.now, self._received
        self._framing_bytes = 0

    # --- closing ---

    def _reject(self, error: HttpError) -> None:
        """Send an error response after the pending ones, and close the connection."""
        response = error_response(error.status, str(error)) if self._received else b""
        is_pending = self.cycle is not None and not self.cycle.response_complete
        if self._phase == BODY:
            # The newest request has no complete body. It leaves the pipeline, or runs and sees a disconnect.
            is_pending = bool(self.pipeline)
            if is_pending:
                self.pipeline.popleft()
            elif self.cycle.response_started:
                response = b""
        if response:
            self._metrics.rejected(error.status)
        if is_pending:
            self._phase, self._final_response = DRAINING, response
        else:
            self._finish(response)

    def _finish(self, response: bytes) -> None:
        self._enter(LINGERING)
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if response:
            self.transport.write(response)
            self.transport.write_eof()
        else:
            self.transport.close()

    def _close_idle(self) -> None:
        is_complete = self.cycle is None or self.cycle.response_complete
        if is_complete and (self._phase == IDLE or self._received == self._request_start):
            self.transport.close()

    # --- Upgrade ---

    def _parse_without_upgrade(self, rest: bytes) -> None:
        """Parse the head again without the headers of its Upgrade, followed by the rest of the data."""
        method = self.parser.get_method()
        if method == b"CONNECT":  # the parser treats the method as an Upgrade
            return self._reject(HttpError(HTTPStatus.NOT_IMPLEMENTED, "this is no proxy"))
        lines = [method + b" " + self.url + b" HTTP/" + self.parser.get_http_version().encode()]
        lines += [name + b": " + value for name, value in self.headers if name not in UPGRADE_HEADERS]
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"\r\n".join(lines) + b"\r\n\r\n" + rest)
        return None
