"""The endpoints of the gateway's own API: ASGI in, a message to its pipeline, a response or a stream out."""

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, NoReturn, TypeVar

from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from gateway.api.calls import CALLS, ApiCall
from gateway.api.context import NAME
from gateway.api.event_stream import EventStream
from gateway.api.pipeline import ApiPipeline
from gateway.core.faults import refuse
from gateway.server.endpoints import EndpointContext, message_of
from gateway.server.errors import ClientDisconnected, RequestRefusal, overloaded
from gateway.server.responses import response_events, stream_start
from gateway.service.http_messages import Message, Response

PREFIX = "/gateway"

T = TypeVar("T")


@dataclass(slots=True)
class ApiContext:
    """What the endpoints of the API share, besides what all endpoints do."""

    common: EndpointContext
    pipeline: ApiPipeline = field(init=False)
    """Set when the application starts."""
    running: int = 0
    """Requests that the pipeline works on. They are counted by themselves: those that wait keep no other one out."""


class ApiEndpoint:
    """One path of the API, for all of its methods."""

    def __init__(self, route: str, calls: Mapping[str, ApiCall], context: ApiContext) -> None:
        self._route = route
        self._calls = {**calls, "HEAD": calls["GET"]} if "GET" in calls else calls
        self._context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started, context, common = perf_counter(), self._context, self._context.common
        try:
            call = self._calls.get(scope["method"]) or self._reject_method()
            message = message_of(scope, await common.bodies.read(scope["headers"], receive, common.max_body), common)
            if context.running >= common.max_requests:
                raise overloaded(f"{common.max_requests} requests are being worked on")
            context.running += 1
            try:
                work = self._respond(call, message, send, started)
                await (_run_while_connected(work, receive) if call.streams else work)
            finally:
                context.running -= 1
        except RequestRefusal as refusal:
            message = message_of(scope, b"", common)
            await self._send(context.pipeline.reject(message, refusal, refusal.headers), message, send, started)
        except ClientDisconnected:
            return

    async def _respond(self, call: ApiCall, message: Message, send: Send, started: float) -> None:
        response = await self._context.pipeline.respond(call, message)
        if isinstance(response, EventStream):
            await self._stream(response, message, send, started)
        else:
            await self._send(response, message, send, started)

    async def _send(self, response: Response, message: Message, send: Send, started: float) -> None:
        start, body = response_events(response, message)
        await send(start)
        await send(body)
        self._context.common.responses.add(NAME, self._route, message, response, started)

    async def _stream(self, stream: EventStream, message: Message, send: Send, started: float) -> None:
        """Send a stream, and record it when it ends, however that is."""
        sent = 0
        try:
            await send(stream_start(stream.head, message))
            async for chunk in stream.chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                sent += len(chunk)
            await send({"type": "http.response.body", "body": b""})
        finally:
            self._context.common.responses.add(NAME, self._route, message, stream.head, started, sent)

    def _reject_method(self) -> NoReturn:
        methods = ", ".join(self._calls)
        raise RequestRefusal("method_not_allowed", f"this call takes {methods}", {"allow": methods})


class UnknownApiPath:
    """All other paths below the prefix of the API."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        started, common = perf_counter(), self._context.common
        message = message_of(scope, b"", common)
        response = self._context.pipeline.reject(message, refuse("unknown_call"))
        start, body = response_events(response, message)
        await send(start)
        await send(body)
        common.responses.add(NAME, "", message, response, started)


def api_routes(context: ApiContext) -> list[Route]:
    """Return a route for every path of the API, with and without a trailing slash, and those of all other paths."""
    paths: dict[str, dict[str, ApiCall]] = {}
    for call in CALLS:
        paths.setdefault(call.path, {})[call.method] = call
    routes = [
        Route(path + slash, ApiEndpoint(path, calls, context)) for path, calls in paths.items() for slash in ("", "/")
    ]
    unknown = UnknownApiPath(context)
    return [*routes, Route(PREFIX, unknown), Route(f"{PREFIX}/{{rest:path}}", unknown)]


async def _run_while_connected(work: Coroutine[Any, Any, T], receive: Receive) -> T:
    """Return the result of the work. Once the client disconnects, cancel it and raise `ClientDisconnected`."""
    running, disconnect = asyncio.create_task(work), asyncio.create_task(_disconnect(receive))
    try:
        await asyncio.wait((running, disconnect), return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            raise ClientDisconnected
        return running.result()
    finally:
        for task in (running, disconnect):
            task.cancel()
        await asyncio.gather(running, disconnect, return_exceptions=True)


async def _disconnect(receive: Receive) -> None:
    """Return when the client disconnects. The body was read before."""
    while (await receive())["type"] != "http.disconnect":
        pass
