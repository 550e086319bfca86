"""The endpoints of the dialects: ASGI in, a message to the pipeline, its response out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from urllib.parse import parse_qsl, unquote

from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from gateway.core.faults import Fault
from gateway.dialects.protocol import BATCHES, Call, Dialect
from gateway.server.bodies import BodyReader
from gateway.server.concurrency import ConcurrencyLimit
from gateway.server.cors import cors_of
from gateway.server.errors import ClientDisconnected, RequestRefusal
from gateway.server.public_address import PublicAddress
from gateway.server.request_head import WHITE_SPACE
from gateway.server.request_ids import RequestIds
from gateway.server.responses import Responder
from gateway.service.http_messages import Message, Response
from gateway.service.pipeline import Pipeline


@dataclass(frozen=True, slots=True)
class EndpointContext:
    """What all endpoints share. The maximum sizes of bodies are in bytes."""

    max_body: int
    max_batch_body: int
    bodies: BodyReader
    concurrency: ConcurrencyLimit
    responder: Responder
    request_ids: RequestIds
    address: PublicAddress

    def max_body_of(self, call: Call) -> int:
        """Return the maximum size of a call's body."""
        return call.max_body_bytes or (self.max_batch_body if call.operation in BATCHES else self.max_body)


class Endpoint:
    """One path of a dialect, for all of its methods."""

    def __init__(self, dialect: Dialect, route: str, calls: Mapping[str, Call], context: EndpointContext) -> None:
        self._dialect = dialect
        self._route = route
        self._calls = {**calls, "HEAD": calls["GET"]} if "GET" in calls else calls
        self._context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = perf_counter()
        try:
            message, response = await self._respond(scope, receive)
        except ClientDisconnected:
            return
        await self._context.responder.respond(send, self._dialect.name, self._route, message, response, started)

    async def _respond(self, scope: Scope, receive: Receive) -> tuple[Message, Response]:
        pipeline: Pipeline = scope["app"].state.pipeline
        call = self._calls.get(scope["method"])
        try:
            if call is None:
                methods = ", ".join(self._calls)
                raise RequestRefusal("method_not_allowed", f"this call takes {methods}", {"allow": methods})
            body = await self._context.bodies.read(scope["headers"], receive, self._context.max_body_of(call))
            message = message_of(scope, body, self._context)
            with self._context.concurrency:
                return message, await pipeline.respond(self._dialect, call, message)
        except RequestRefusal as refusal:
            message = message_of(scope, b"", self._context)
            return message, pipeline.reject(self._dialect, message, refusal.faults[0], refusal.headers)


class NotFoundEndpoint:
    """All unknown paths. The dialect with the longest matching prefix renders the refusal."""

    def __init__(self, dialects: Sequence[Dialect], context: EndpointContext) -> None:
        prefixes = ((prefix, dialect) for dialect in dialects for prefix in dialect.prefixes)
        self._prefixes = sorted(prefixes, key=lambda row: len(row[0]), reverse=True)
        self._default = dialects[0]
        self._context = context

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        started = perf_counter()
        path: str = scope["path"]
        matching = (dialect for prefix, dialect in self._prefixes if f"{path}/".startswith(f"{prefix}/"))
        dialect = next(matching, self._default)
        pipeline: Pipeline = scope["app"].state.pipeline
        message = message_of(scope, b"", self._context)
        response = pipeline.reject(dialect, message, Fault("unknown_call"), {})
        await self._context.responder.respond(send, dialect.name, "", message, response, started)


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
    query_string = scope["query_string"].decode("latin-1")
    query = dict(parse_qsl(query_string, keep_blank_values=True)) if query_string else {}
    path = {name: unquote(value) for name, value in scope.get("path_params", {}).items()}
    target = f"{scope['path']}?{query_string}" if query_string else scope["path"]
    base, id = context.address.base_of(scope, headers), context.request_ids.id_of(headers)
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
