"""HTTP/1.1 on a connection of uvicorn's server, with limits on slow and greedy clients.

- An Upgrade is ignored (RFC 9110, 7.8). Java's HttpClient sends one first on each connection.
- Every wait has a limit. One timer per second checks all connections: a timer for each request costs more than the
  rest of the protocol.
- An error response follows the responses to earlier requests. The connection is first closed in one direction, because
  a reset could discard the response (RFC 9112, 9.6).
- Trailers are not headers (RFC 9110, 6.5.1). `request_head` has the other checks.
- When the server stops, requests that have arrived by then get a response.

Takes the place of uvicorn's own protocols, which do more for each request. Independent of the application.
"""

import asyncio
import math
from collections import deque
from http import HTTPStatus
from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.server import ServerState

from gateway.server.connection_limits import ConnectionLimits
from gateway.server.connection_metrics import ConnectionMetrics
from gateway.server.flow_control import FlowControl
from gateway.server.http_errors import HttpError, error_of, error_response, head_too_large, too_many_headers
from gateway.server.request_cycle import RequestCycle
from gateway.server.request_head import WHITE_SPACE, check_head, without_upgrade
from gateway.server.request_scope import connection_scope, request_scope

FRAMING_BYTES_PER_BYTE = 8
"""Bytes of framing allowed for each byte of a body, as chunks of one byte need them."""

MAX_WAITING_BYTES = 65_536
"""Bytes of a body that wait for the application. With more, no more is read until it takes them."""

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


class Http1Protocol(FlowControl):
    """The HTTP/1.1 protocol of one connection."""

    def __init__(
        self,
        connections: Http1Connections,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.loop = _loop or asyncio.get_running_loop()
        self.server_state = server_state
        self.sent = self.loop.create_future()
        self.sent.set_result(None)
        self._config = config
        self._app_state = app_state
        self._clock = connections
        self._limits = connections.limits
        self._metrics: ConnectionMetrics = app_state.get("connection_metrics") or ConnectionMetrics()
        self._parser = httptools.HttpRequestParser(self)
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)  # so that a last request gets its response
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._running: RequestCycle | None = None
        self._cycle: RequestCycle | None = None  # the newest
        self._pipeline: deque[RequestCycle] = deque()
        self._phase = HEAD
        self._phase_began = self._progressed = connections.now
        self._received = self._request_start = self._progress = self._body_bytes = self._framing_bytes = 0
        self._final_response, self._is_stopping = b"", False

    # --- callbacks of the transport ---

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a connection, or reject it with 503 if there are too many."""
        self.transport = transport
        self.server_state.connections.add(self)  # type: ignore[arg-type]  # uvicorn's own protocols, by name
        self._scope = connection_scope(self._config, transport)
        self._metrics.opened()
        if len(self.server_state.connections) > self._limits.connections:
            self._phase = DRAINING
            self._metrics.rejected(503)
            transport.write(error_response(HTTPStatus.SERVICE_UNAVAILABLE, "there are too many connections"))
            transport.close()

    def connection_lost(self, _exc: Exception | None) -> None:
        """Count the end of the connection, and let its request see it."""
        self.server_state.connections.discard(self)
        for cycle in (self._running, self._cycle):
            if cycle:
                cycle.disconnect()
        self.resume_writing()
        self._pipeline.clear()
        self._running = self._cycle = None
        del self._parser  # it refers to this connection, as a request does
        self._metrics.closed()

    def data_received(self, data: bytes) -> None:
        """Feed the parser. Ignore an Upgrade; reject what exceeds a limit or is not HTTP/1.1."""
        if self._phase >= DRAINING:
            return
        if self._phase == IDLE:
            self._enter(HEAD)
        self._received += len(data)
        start, self._body_bytes = self._request_start, 0
        upgrade_end = 0
        try:
            self._parser.feed_data(data)
            if self._phase == BODY:
                # The data may include the head of the request, if it started just now.
                self._check_framing(len(data) - (self._limits.head_bytes if self._request_start != start else 0))
            if self._phase == HEAD and self._received - self._request_start > self._limits.head_bytes:
                raise head_too_large(self._limits)
            if len(self._headers) > self._limits.headers:  # or trailers
                raise too_many_headers(self._limits)
        except httptools.HttpParserUpgrade as upgrade:
            upgrade_end = upgrade.args[0]
        except httptools.HttpParserError as error:
            self._reject(error_of(error))
        except HttpError as error:
            self._reject(error)
        if upgrade_end:  # outside the handler: the parser's errors have their cause as their context
            self._parse_without_upgrade(data[upgrade_end:])

    def eof_received(self) -> bool:
        """Half-close: keep the connection open while responses are pending. An unfinished body cancels them."""
        if self._is_pending() and self._phase in (IDLE, HEAD):
            self._phase = DRAINING
        return self._is_pending() and self._phase == DRAINING

    def shutdown(self) -> None:
        """Close the connection after its current request, or after `DRAIN_SECONDS` if it is idle."""
        self._is_stopping = True
        if self._cycle:
            self._cycle.keep_alive = False
        self.loop.call_later(DRAIN_SECONDS, self._close_idle)

    # --- callbacks of the parser ---

    def on_url(self, url: bytes) -> None:
        """Add a piece of the target. The first one starts a request."""
        if not self._url:
            self._headers = []
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header or trailer, without the white space around its value."""
        self._headers.append((name.lower(), value.strip(WHITE_SPACE)))

    def on_headers_complete(self) -> None:
        """Start the request, unless its head is rejected or is parsed again without its Upgrade."""
        parser, limits = self._parser, self._limits
        if parser.should_upgrade():
            return
        version = parser.get_http_version()
        values = check_head(version, self._url, self._headers, self._received - self._request_start, limits)
        if len(self._pipeline) >= limits.pipelined:
            raise HttpError(HTTPStatus.SERVICE_UNAVAILABLE, f"at most {limits.pipelined} requests may wait in line")
        is_current = version == "1.1"  # HTTP/1.0 has no interim responses (RFC 9110, 15.2)
        keep_alive = is_current and not self._is_stopping and parser.should_keep_alive()
        expects_continue = is_current and values.get(b"expect", b"").lower() == b"100-continue"
        scope = request_scope(self._scope, version, parser.get_method(), self._url, self._headers)
        scope["state"] = self._app_state.copy()
        cycle = RequestCycle(self, scope, keep_alive, expects_continue)
        self._url, self._headers = b"", []  # the parser adds trailers to them
        if self._is_pending():
            self.pause_reading()
            self._pipeline.append(cycle)
        else:
            self._start(cycle)
        self._cycle = cycle
        self._enter(BODY)

    def on_body(self, body: bytes) -> None:
        """Count the bytes of the body, and pass them on while the response is not complete."""
        self._body_bytes += len(body)
        if self._cycle and not self._cycle.response_complete and self._cycle.add_body(body) > MAX_WAITING_BYTES:
            self.pause_reading()

    def on_message_complete(self) -> None:
        """End the request, unless it is parsed again without its Upgrade."""
        if self._cycle and not self._parser.should_upgrade():
            self._cycle.finish_body()
            self._phase, self._phase_began = IDLE, self._clock.now

    # --- callbacks of the request ---

    def response_completed(self) -> None:
        """Start the next pipelined request; after the last pending response send the error response, if any."""
        self.server_state.total_requests += 1
        if self._phase == DRAINING and not self._pipeline:
            self._finish(self._final_response)
        elif not self.transport.is_closing():
            if self._phase == IDLE:
                self._phase_began = self._clock.now
            if not self.is_reading:
                self.resume_reading()
            if self._pipeline:
                self._start(self._pipeline.popleft())

    # --- limits ---

    def check_timeouts(self, interval: float) -> None:
        """Reject or close a connection that is too slow. `interval` is the time since the last check.

        Time while reading is paused does not count against the client.
        """
        now, unsent = self._clock.now, self.transport.get_write_buffer_size()
        progress = -unsent or self._received
        if progress != self._progress or (not self.is_reading and not unsent):
            self._progress, self._progressed = progress, now
        if not self.is_reading:
            self._phase_began += interval
        waited, stalled = now - self._phase_began, now - self._progressed
        if unsent:
            if stalled > self._limits.body_seconds:
                self.transport.abort()
        elif self._phase == HEAD and waited > self._limits.head_seconds:
            self._reject(HttpError(HTTPStatus.REQUEST_TIMEOUT, "the headers took too long"))
        elif self._phase == BODY and (stalled > self._limits.body_seconds or self._is_too_slow(waited)):
            self._reject(HttpError(HTTPStatus.REQUEST_TIMEOUT, "the body took too long"))
        elif waited > self._max_idle_seconds(interval):
            self.transport.close()

    def _max_idle_seconds(self, interval: float) -> float:
        """Return how long a connection may stay open in its phase, if nothing happens."""
        if self._phase == LINGERING:
            return LINGER_SECONDS
        is_idle = self._phase == IDLE and not self._is_pending()
        return self._config.timeout_keep_alive + interval if is_idle else math.inf

    def _is_too_slow(self, waited: float) -> bool:
        """Whether a body is below the minimum rate, or continues after its response is complete."""
        if waited <= self._limits.body_seconds:
            return False
        return not self._is_pending() or self._received - self._request_start < self._limits.body_rate * waited

    def _check_framing(self, received: int) -> None:
        """Raise `HttpError` if chunk extensions or trailers are out of proportion to the body."""
        allowed = (1 + FRAMING_BYTES_PER_BYTE) * self._body_bytes
        self._framing_bytes = max(0, self._framing_bytes + received - allowed)
        if self._framing_bytes > self._limits.head_bytes:
            raise head_too_large(self._limits)

    def _enter(self, phase: int) -> None:
        self._phase, self._phase_began, self._request_start = phase, self._clock.now, self._received
        self._framing_bytes = 0

    # --- requests ---

    def _start(self, cycle: RequestCycle) -> None:
        self._running = cycle
        cycle.task = self.loop.create_task(cycle.run(self._config.loaded_app))
        self.server_state.tasks.add(cycle.task)

    def _is_pending(self) -> bool:
        """Whether a request has no complete response yet."""
        return self._cycle is not None and not self._cycle.response_complete

    # --- closing ---

    def _reject(self, error: HttpError) -> None:
        """Send an error response after the pending ones, and close the connection."""
        response = error_response(error.status, str(error)) if self._received else b""
        is_pending = self._is_pending()
        if self._phase == BODY:
            # The newest request has no complete body. It leaves the pipeline, or runs and sees a disconnect.
            is_pending = bool(self._pipeline)
            if is_pending:
                self._pipeline.pop()
            elif self._cycle and self._cycle.response_started:
                response = b""
        if response:
            self._metrics.rejected(error.status)
        if is_pending:
            self._phase, self._final_response = DRAINING, response
        else:
            self._finish(response)

    def _finish(self, response: bytes) -> None:
        self._enter(LINGERING)
        if self._cycle and not self._cycle.response_complete:
            self._cycle.disconnect()
        if self.transport.is_closing():
            return
        self.resume_reading()
        if response:
            self.transport.write(response)
            self.transport.write_eof()
        else:
            self.transport.close()

    def _close_idle(self) -> None:
        if not self._is_pending() and (self._phase == IDLE or self._received == self._request_start):
            self.transport.close()

    def _parse_without_upgrade(self, rest: bytes) -> None:
        """Parse the head again without the headers of its Upgrade, followed by the rest of the data."""
        method = self._parser.get_method()
        if method == b"CONNECT":  # the parser treats the method as an Upgrade
            return self._reject(HttpError(HTTPStatus.NOT_IMPLEMENTED, "this is no proxy"))
        head = without_upgrade(method, self._parser.get_http_version(), self._url, self._headers)
        self._parser, self._url = httptools.HttpRequestParser(self), b""
        self.data_received(head + rest)
        return None
