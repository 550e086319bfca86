"""The requests of a connection as ASGI: the bytes are those of uvicorn's own protocol; what the application sees."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from gateway.server.connection_limits import ConnectionLimits
from gateway.server.http1 import Http1Connections, Http1Protocol

GET = b"GET /length HTTP/1.1\r\nHost: gateway\r\n\r\n"
START: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
END: dict[str, Any] = {"type": "http.response.body", "body": b"ok"}


class Transport(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = self.paused = False

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"sockname": ("127.0.0.1", 80), "peername": ("127.0.0.1", 1)}.get(name, default)


def opened(app: ASGIApp, protocol_class: Any = None) -> tuple[Any, Transport]:
    """Return a connection that serves an application, and its transport."""
    protocol_class = protocol_class or Http1Connections(ConnectionLimits(), 0.1)
    config = Config(app, interface="asgi3", proxy_headers=False, access_log=False, log_config=None)
    config.load()
    state = ServerState()
    state.default_headers = [(b"date", b"today")]
    protocol = protocol_class(config, state, {}, asyncio.get_running_loop())
    protocol.connection_made(transport := Transport())
    return protocol, transport


async def rest() -> None:
    """Let everything run that can."""
    for _ in range(12):
        await asyncio.sleep(0)


# --- the same bytes as from uvicorn ---


async def many_forms(scope: Scope, receive: Receive, send: Send) -> None:
    """Respond in the form that the path names."""
    form, body, more = scope["path"], b"", scope["path"] != "/early"
    while more:
        event = await receive()
        body, more = body + event["body"], event["more_body"]
    about = sorted((name, value) for name, value in scope.items() if name != "state")
    reply = repr((about, body)).encode()
    if form == "/fails":
        raise LookupError
    headers = [] if form in ("/chunks", "/empty") else [(b"Content-Length", b"%d" % len(reply))]
    headers += [(b"connection", b"Close")] if form == "/closes" else []
    await send({"type": "http.response.start", "status": 204 if form == "/empty" else 200, "headers": headers})
    if form == "/chunks":
        await send({"type": "http.response.body", "body": reply[:9], "more_body": True})
        reply = reply[9:]
    await send({"type": "http.response.body", "body": b"" if form == "/empty" else reply})


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    form = draw(st.sampled_from(["length", "length", "chunks", "empty", "early", "closes", "fails", "a%20b?x=%2F#y"]))
    version = draw(st.sampled_from(["1.1", "1.1", "1.1", "1.0"]))
    lines = [
        f"{draw(st.sampled_from(['GET', 'HEAD', 'POST']))} /{form} HTTP/{version}",
        "Host: gateway",
        "X-Name:value",
    ]
    # uvicorn sends an interim response to HTTP/1.0 too, which has none.
    more = ["X-Twice: 1", "X-Twice: 2", *(["Expect: 100-Continue"] if version == "1.1" else [])]
    lines += draw(st.lists(st.sampled_from(more), max_size=2))
    lines += draw(st.sampled_from([[], [], ["Connection: close"], ["Connection: keep-alive"]]))
    body = draw(st.binary(max_size=9))
    framing = draw(st.sampled_from(["none", "length", "chunked"] if version == "1.1" else ["none", "length"]))
    if framing == "none":
        return "\r\n".join([*lines, "", ""]).encode()
    if framing == "length":
        return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body
    chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    return "\r\n".join([*lines, "Transfer-Encoding: chunked", "", ""]).encode() + chunk + b"0\r\n\r\n"


async def received(protocol_class: Any, pieces: list[bytes]) -> tuple[bytes, bool]:
    """Return what a client gets that sends these pieces, and whether the connection is closed."""
    protocol, transport = opened(many_forms, protocol_class)
    for piece in pieces:
        while transport.paused and not transport.closed:
            await rest()
        if not transport.closed:
            protocol.data_received(piece)
        await rest()
    await asyncio.sleep(0.001)
    result = b"".join(transport.written), transport.closed
    protocol.connection_lost(ConnectionResetError())
    return result


@given(st.lists(requests(), min_size=1, max_size=4), st.lists(st.integers(1, 300), max_size=6))
def test_the_bytes_are_those_of_uvicorn(sent: list[bytes], cuts: list[int]) -> None:
    data = b"".join(sent)
    places = [0, *sorted({cut for cut in cuts if cut < len(data)}), len(data)]
    pieces = [data[start:end] for start, end in pairwise(places)]

    async def run() -> None:
        logging.disable(logging.ERROR)
        try:
            ours = await received(None, pieces)
            expected = await received(HttpToolsProtocol, pieces)
        finally:
            logging.disable(logging.NOTSET)
        assert ours == expected

    asyncio.run(run())


# --- what the application sees ---


def seen(app: ASGIApp, during: Callable[[Http1Protocol, Transport], Awaitable[None]], sent: bytes = GET) -> Transport:
    """Return the transport after the application has served these bytes, with something happening meanwhile."""

    async def run() -> Transport:
        protocol, transport = opened(app)
        protocol.data_received(sent)
        await rest()
        await during(protocol, transport)
        await rest()
        assert protocol.server_state.tasks == set()
        return transport

    return asyncio.run(run())


async def nothing(_protocol: Http1Protocol, _transport: Transport) -> None:
    """Nothing happens meanwhile."""


@pytest.mark.parametrize("sent", [GET, GET + GET], ids=["one request", "pipelined requests"])
def test_a_request_sees_that_its_client_has_disconnected(sent: bytes) -> None:
    events = []

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        events.extend([(await receive())["type"], (await receive())["type"]])
        await send(START)
        await send(END)

    async def disconnects(protocol: Http1Protocol, _transport: Transport) -> None:
        protocol.connection_lost(ConnectionResetError())

    assert seen(app, disconnects, sent).written == []
    assert events == ["http.request", "http.disconnect"]


def test_a_request_sees_the_end_of_its_own_response() -> None:
    events = []

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        waiting = [asyncio.create_task(receive()) for _ in range(2)]  # type: ignore[arg-type]  # a coroutine
        await asyncio.sleep(0)
        await send(START)
        await send(END)
        events.extend([(await each)["type"] for each in waiting])

    seen(app, nothing)
    assert events == ["http.disconnect", "http.disconnect"]


def test_head_and_body_leave_together() -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(START)
        await send(END)

    [written] = seen(app, nothing).written
    assert written == b"HTTP/1.1 200 OK\r\ndate: today\r\ncontent-length: 2\r\n\r\nok"


def test_sending_waits_for_a_client_that_does_not_read() -> None:
    steps = []

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await asyncio.sleep(0.01)
        await send(START)
        steps.append("started")
        await send(END)

    async def reads_later(protocol: Http1Protocol, transport: Transport) -> None:
        protocol.pause_writing()
        await asyncio.sleep(0.02)
        assert (steps, transport.written) == ([], [])
        protocol.resume_writing()

    assert len(seen(app, reads_later).written) == 1
    assert steps == ["started"]


def test_a_large_body_waits_for_the_application() -> None:
    body, sizes = b"x" * 100_000, []

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.01)
        more = True
        while more:
            event = await receive()
            sizes.append(len(event["body"]))
            more = event["more_body"]
        await send(START)
        await send(END)

    async def sends_the_rest(protocol: Http1Protocol, transport: Transport) -> None:
        assert transport.paused
        await asyncio.sleep(0.02)
        assert not transport.paused
        protocol.data_received(body[:30_000])

    head = b"POST / HTTP/1.1\r\nHost: gateway\r\nContent-Length: 130000\r\n\r\n"
    seen(app, sends_the_rest, head + body)
    assert sizes == [100_000, 30_000]


@pytest.mark.parametrize(
    ("events", "status"),
    [
        ([], b"500"),
        ([END], b"500"),
        ([{**START, "headers": [(b"a", b"b\r\nc: d")]}], b"500"),
        ([{**START, "headers": [(b"a", b"\x00")]}], b"500"),
        ([{**START, "headers": [(b"a b", b"c")]}], b"500"),
        ([START], b""),
        ([START, START], b""),
        ([START, {**END, "body": b"long"}], b""),
        ([START, {**END, "body": b"x"}], b""),
        ([START, END, END], b"200"),
    ],
)
def test_a_failure_of_the_application_closes_the_connection(events: list[dict[str, Any]], status: bytes) -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        for event in events:
            await send(event)

    transport = seen(app, nothing)
    assert b"".join(transport.written)[9:12] == status
    assert transport.closed


@pytest.mark.parametrize(("idle", "closed"), [(5.05, False), (5.2, True)])
def test_an_idle_connection_is_closed(idle: float, closed: bool) -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(START)
        await send(END)

    async def waits(protocol: Http1Protocol, _transport: Transport) -> None:
        protocol._clock.now += idle
        protocol.check_timeouts(0.1)

    assert seen(app, waits).closed is closed


def test_a_connection_with_a_pending_request_is_not_idle() -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.01)
        await send(START)
        await send(END)

    async def waits(protocol: Http1Protocol, _transport: Transport) -> None:
        protocol._clock.now += 1_000
        protocol.check_timeouts(0.1)
        await asyncio.sleep(0.02)
        protocol.check_timeouts(0.1)

    transport = seen(app, waits)
    assert not transport.closed
    assert len(transport.written) == 1
