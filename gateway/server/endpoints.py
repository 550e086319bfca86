"""The endpoints of the dialects: ASGI in, a message to the pipeline, its response out."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from types import MappingProxyType
from typing import NoReturn
from urllib.parse import parse_qsl, unquote

from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from gateway.core.faults import Fault
from gateway.dialects.protocol import BATCHES, Call, Dialect
from gateway.server.bodies import BodyReader
from gateway.server.cors import cors_of
from gateway.server.errors import ClientDisconnected, RequestRefusal, overloaded
from gateway.server.public_address import DEFAULT_HOST, PublicAddress
from gateway.server.request_head import WHITE_SPACE
from gateway.server.request_ids import is_safe
from gateway.server.responses import ResponseLog, response_events
from gateway.service.http_messages import Message
from gateway.service.pipeline import Pipeline

BUSY_REQUESTS = 8
"""Requests that the pipeline works on in a busy process."""

NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(slots=True)
class EndpointContext:
    """What all endpoints share. The maximum sizes of bodies are in bytes."""

    max_body: int
    max_batch_body: int
    max_requests: int
    bodies: BodyReader
    responses: ResponseLog
    request_ids: Iterator[str]
    address: PublicAddress
    pipeline: Pipeline = field(init=False)
    """Set when the application starts."""
    running: int = 0
    """Requests that the pipeline works on, of at most `max_requests`."""

    def is_busy(self) -> bool:
        """Return whether background work should wait."""
        return self.running >= BUSY_REQUESTS

    def max_body_of(self, call: Call) -> int:
        """Return the maximum size of a call's body."""
        return call.max_body_bytes or (self.max_batch_body if call.operation in BATCHES else self.max_body)


class Endpoint:
    """One path of a dialect, for all of its methods."""

    def __init__(self, dialect: Dialect, route: str, calls: Mapping[str, Call], context: EndpointContext) -> None:
        self._dialect = dialect
        self._route = route
        calls = {**calls, "HEAD": calls["GET"]} if "GET" in calls else calls
        self._calls = {method: (call, context.max_body_of(call)) for method, call in calls.items()}
        self._context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started, context = perf_counter(), self._context
        try:
            call, max_body = self._calls.get(scope["method"]) or self._reject_method()
            message = message_of(scope, await context.bodies.read(scope["headers"], receive, max_body), context)
            if context.running >= context.max_requests:
                raise overloaded(f"{context.max_requests} requests are being worked on")
            context.running += 1
            try:
                response = await context.pipeline.respond(self._dialect, call, message)
            finally:
                context.running -= 1
        except RequestRefusal as refusal:
            message = message_of(scope, b"", context)
            response = context.pipeline.reject(self._dialect, message, refusal.faults[0], refusal.headers)
        except ClientDisconnected:
            return
        start, body = response_events(response, message)
        await send(start)
        await send(body)
        context.responses.add(self._dialect.name, self._route, message, response, started)

    def _reject_method(self) -> NoReturn:
        methods = ", ".join(self._calls)
        raise RequestRefusal("method_not_allowed", f"this call takes {methods}", {"allow": methods})


class NotFoundEndpoint:
    """All unknown paths. The dialect with the longest matching prefix renders the refusal."""

    def __init__(self, dialects: Sequence[Dialect], context: EndpointContext) -> None:
        prefixes = ((prefix, dialect) for dialect in dialects for prefix in dialect.prefixes)
        self._prefixes = sorted(prefixes, key=lambda row: len(row[0]), reverse=True)
        self._default = dialects[0]
        self._context = context

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        started, context = perf_counter(), self._context
        path: str = scope["path"]
        matching = (dialect for prefix, dialect in self._prefixes if f"{path}/".startswith(f"{prefix}/"))
        dialect = next(matching, self._default)
        message = message_of(scope, b"", context)
        response = context.pipeline.reject(dialect, message, Fault("unknown_call"), {})
        start, body = response_events(response, message)
        await send(start)
        await send(body)
        context.responses.add(dialect.name, "", message, response, started)


def routes_of(dialect: Dialect, context: EndpointContext) -> list[Route]:
    """Return a route for every path of a dialect, with and without a trailing slash: a POST is never redirected."""
    paths: dict[str, dict[str, Call]] = {}
    for call in dialect.calls:
        paths.setdefault(call.path, {})[call.method] = call
    return [
        Route(path + slash, Endpoint(dialect, path, calls, context), middleware=cors_of(calls.values()))
        for path, calls in paths.items()
        for slash in ("", "/")
    ]


def message_of(scope: Scope, body: bytes, context: EndpointContext) -> Message:
    """Return the message of an ASGI request with this body."""
    headers = _joined_headers(scope["headers"])
    target, query, path = scope["path"], NOTHING, scope.get("path_params") or NOTHING
    if scope["query_string"]:
        query_string = scope["query_string"].decode("latin-1")
        target, query = f"{target}?{query_string}", dict(parse_qsl(query_string, keep_blank_values=True))
    if "%" in target and path:
        path = {name: unquote(value) for name, value in path.items()}
    id = headers.get("x-request-id")
    if id is None or not is_safe(id):
        id = next(context.request_ids)
    address = context.address
    base = f"{scope['scheme']}://{headers.get('host') or DEFAULT_HOST}"
    if address.trusts_proxies:
        base = address.base_of(scope, headers)
    return Message(scope["method"], headers, body, query, path, target, id, base)


def _joined_headers(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return each header once. The values of a repeated one are joined (RFC 9110, 5.3); equal media types are one."""
    joined: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1"), raw_value.strip(WHITE_SPACE).decode("latin-1")
        if name not in joined:
            joined[name] = value
        elif name != "content-type" or _media_type_key(joined[name]) != _media_type_key(value):
            joined[name] += f", {value}"
    return joined


def _media_type_key(content_type: str) -> str:
    """Return what is equal for equal media types: neither case nor white space counts (RFC 9110, 8.3.1)."""
    return "".join(content_type.lower().split())
