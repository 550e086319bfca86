"""One request of a connection and its response, as ASGI: scope, receive and send.

Made for the usual request, whose body has arrived when the application asks for it, and whose response is one piece:
head and body leave in one write, and nothing waits.
"""

import asyncio
from collections.abc import Awaitable, MutableMapping
from typing import Any, Protocol, TypeAlias

from starlette.types import ASGIApp
from uvicorn.server import ServerState

from gateway.server.response_head import response_head
from gateway.service.failures import log_unexpected

Event: TypeAlias = MutableMapping[str, Any]

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"

FAILURE = b"Internal Server Error"
FAILURE_HEADERS = [
    (b"content-type", b"text/plain; charset=utf-8"),
    (b"content-length", b"%d" % len(FAILURE)),
    (b"connection", b"close"),
]


class Connection(Protocol):
    """What a request needs of its connection."""

    transport: asyncio.Transport
    server_state: ServerState
    sent: "asyncio.Future[None]"
    """A future that is done."""
    is_reading: bool
    writable: asyncio.Event | None
    """Set when the client has read enough; None while there is no need to wait."""

    def resume_reading(self) -> None:
        """Read on, if reading was paused."""

    def response_completed(self) -> None:
        """Go on with the next request."""


class RequestCycle:
    """A request: the parser adds the body, and the application takes it and sends the response."""

    __slots__ = (
        "_body", "_connection", "_event", "_has_more", "_head", "_is_disconnected", "_is_head", "_is_ready", "_length",
        "_scope", "expects_continue", "keep_alive", "response_complete", "response_started", "task",
    )  # fmt: skip

    task: "asyncio.Task[None]"
    """The task of `run`."""

    def __init__(self, connection: Connection, scope: Event, keep_alive: bool, expects_continue: bool) -> None:
        self._connection = connection
        self._scope = scope
        self._event: asyncio.Event | None = None
        self._is_ready = False
        self._body: bytes | bytearray = b""
        self._is_head = scope["method"] == "HEAD"
        self._head = b""
        self._length: int | None = 0
        self.keep_alive = keep_alive
        self.expects_continue = expects_continue
        self._has_more = True
        self._is_disconnected = False
        self.response_started = self.response_complete = False

    # --- from the connection ---

    def add_body(self, piece: bytes) -> int:
        """Add a piece of the body, and return the size of what waits for the application."""
        if not self._body:
            self._body = piece
        elif isinstance(self._body, bytes):
            self._body = bytearray(self._body) + piece
        else:
            self._body += piece
        self._is_ready = True
        if self._event:
            self._wake()
        return len(self._body)

    def finish_body(self) -> None:
        """Note that the body is complete."""
        self._has_more, self._is_ready = False, True
        if self._event:
            self._wake()

    def disconnect(self) -> None:
        """End the request: what the application still sends is discarded."""
        self._is_disconnected = True
        if self._event:
            self._wake()

    async def run(self, app: ASGIApp) -> None:
        """Run the application. A failure of it is a response with the status 500, if none has begun."""
        try:
            await app(self._scope, self.receive, self.send)
            if not self.response_complete and not self._is_disconnected:
                raise RuntimeError("the application has not completed its response")
        except BaseException as error:  # a cancellation too: the server cancels what outlasts its stop
            log_unexpected(error, "")
            if self.response_started:
                self._connection.transport.close()
            else:
                await self.send({"type": "http.response.start", "status": 500, "headers": FAILURE_HEADERS})
                await self.send({"type": "http.response.body", "body": FAILURE})
        finally:
            self._connection.server_state.tasks.discard(self.task)

    # --- from the application, as ASGI ---

    async def receive(self) -> Event:
        """ASGI: return the next piece of the body, or that the client is gone or has its response."""
        connection = self._connection
        if self.expects_continue and not connection.transport.is_closing():
            self.expects_continue = False
            connection.transport.write(CONTINUE)
        if not connection.is_reading:
            connection.resume_reading()
        if not (self._is_ready or self._is_disconnected or self.response_complete):
            event = self._event = self._event or asyncio.Event()
            await event.wait()
        if self._is_disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        self._is_ready = False
        body, self._body = bytes(self._body), b""
        return {"type": "http.request", "body": body, "more_body": self._has_more}

    def send(self, event: Event) -> Awaitable[None]:
        """ASGI: send the start or a piece of the response. The start is kept until the first piece."""
        connection = self._connection
        if self._is_disconnected:
            return connection.sent
        if connection.writable:
            return self._send_when_writable(event, connection.writable)
        if event["type"] == "http.response.body" and self.response_started and not self.response_complete:
            self._send_body(event.get("body", b""), event.get("more_body", False))
        elif event["type"] == "http.response.start" and not self.response_started:
            head = response_head(
                event["status"],
                connection.server_state.default_headers,
                event.get("headers", ()),
                self.keep_alive,
                self._is_head,
            )
            self._head, self._length, self.keep_alive = head
            self.response_started, self.expects_continue = True, False
        else:
            raise RuntimeError(f"the application has sent {event['type']} out of order")
        return connection.sent

    async def _send_when_writable(self, event: Event, writable: asyncio.Event) -> None:
        await writable.wait()
        await self.send(event)

    def _send_body(self, body: bytes, has_more: bool) -> None:
        head, self._head = self._head, b""
        if self._is_head:
            body = b""
        elif self._length is None:
            body = _chunk(body) if has_more else _chunk(body) + LAST_CHUNK
        else:
            self._length -= len(body)
            if self._length < 0 or (self._length and not has_more):
                raise RuntimeError("the body of the response is not as long as its Content-Length")
        if head or body:
            self._connection.transport.write(head + body)
        if not has_more:
            self.response_complete = True
            if self._event:
                self._wake()
            if not self.keep_alive:
                self._connection.transport.close()
            self._connection.response_completed()

    def _wake(self) -> None:
        """Let each `receive` that waits return."""
        assert self._event
        self._event.set()
        self._event = None


def _chunk(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b""
