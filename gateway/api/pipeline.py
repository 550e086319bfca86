"""The path of one request of the gateway's own API: authorize, decode, parse, run, render."""

from collections.abc import AsyncIterator, Mapping
from functools import partial

from gateway import media
from gateway.api.calls import ApiCall
from gateway.api.context import CallContext, Resources
from gateway.api.errors import CONTENT_TYPES as PROBLEM_TYPES
from gateway.api.errors import encode_problem, render_problem
from gateway.api.event_stream import EVENT_STREAM, EventStream, encode_page
from gateway.api.operations import stream_feed
from gateway.core.faults import Refusal, refuse
from gateway.core.model import Token, Tree
from gateway.dialects.protocol import CONTENT_TYPES, Reply, Request
from gateway.feed.pages import Page
from gateway.media import Bounds, Codec
from gateway.service.catalog import Catalog, require_right
from gateway.service.exchange import METHODS_WITHOUT_BODY, NO_HEADERS, request_codec
from gateway.service.failures import OutageLog, log_unexpected
from gateway.service.http_messages import Message, Response
from gateway.service.rate_limits import RateLimits
from gateway.stores.errors import Unavailable


class ApiPipeline:
    """Carries out requests. None of them enters the fair queue: a call that waits would keep its place."""

    def __init__(self, resources: Resources, catalog: Catalog, rates: RateLimits, bounds: Bounds) -> None:
        self._resources = resources
        self._catalog = catalog
        self._rates = rates
        self._bounds = bounds
        self._outages = OutageLog()

    async def respond(self, call: ApiCall, message: Message) -> Response | EventStream:
        """Return the response to a request. Every failure is a response too."""
        token: Token | None = None
        try:
            token = await self._authorize(call, message)
            self._rates.admit(token.id)
            response = await self._carry_out(call, message, token)
        except Exception as error:
            return self._reject(message, token, error)
        if self._outages.is_out:
            self._outages.end()
        return response

    def reject(self, message: Message, refusal: Refusal, headers: Mapping[str, str] = NO_HEADERS) -> Response:
        """Return the response to a request that the server rejects, with further headers."""
        return self._rejection(message, None, refusal, headers)

    async def _carry_out(self, call: ApiCall, message: Message, token: Token) -> Response | EventStream:
        parameters = call.parse(self._decode(call, message))
        authorize, tables = partial(self._authorize, call, message), self._catalog.tables(token.database)
        context = CallContext(self._resources, token.database, token.id, authorize, tables, message.id)
        if call.streams and _wants_stream(message):
            return await self._stream(token, stream_feed(context, parameters))
        reply = call.render(await call.run(context, parameters))
        return _encode(reply, _reply_codec(message), token)

    async def _stream(self, token: Token, pages: AsyncIterator[Page]) -> EventStream:
        """Return the stream of pages. The first one is read here, so that a refusal is a response of its own."""
        first = await anext(pages)
        headers = {"content-type": EVENT_STREAM, "cache-control": "no-store"}
        return EventStream(
            Response(200, headers, b"", token=token.id, database=token.database), self._chunks(first, pages)
        )

    async def _chunks(self, first: Page, pages: AsyncIterator[Page]) -> AsyncIterator[bytes]:
        """Yield the encoded pages. A refusal or an outage ends the stream: the client connects again."""
        yield encode_page(self._resources.store.id, first)
        try:
            async for page in pages:
                yield encode_page(self._resources.store.id, page)
        except (Refusal, Unavailable):
            return

    async def _authorize(self, call: ApiCall, message: Message) -> Token:
        """Return the token of a request. Raises `Refusal`: no_token, unknown_token, missing_right, unknown_database."""
        await self._catalog.refresh()
        scheme, _, secret = message.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            raise refuse("no_token")
        token = self._catalog.token(secret.strip())
        for right in call.rights:
            require_right(token, right)
        if message.path["database"] != str(token.database):
            raise refuse("unknown_database")
        return token

    def _decode(self, call: ApiCall, message: Message) -> Request:
        tree: Tree = {}
        is_typed = True
        if message.body or (call.has_body and message.method not in METHODS_WITHOUT_BODY):
            codec, charset = media.codec_for(message.headers.get("content-type"))
            tree, is_typed = codec.decode(message.body, charset, self._bounds), codec.is_typed
            if not isinstance(tree, dict):
                raise refuse("not_an_object")
        return Request(tree, message.query, message.headers, message.path, message.target, is_typed=is_typed)

    def _reject(self, message: Message, token: Token | None, error: Exception) -> Response:
        """Return the response to a request that failed."""
        match error:
            case Refusal():
                return self._rejection(message, token, error)
            case Unavailable():
                self._outages.begin(error, message.id)
                return self._rejection(message, token, refuse("store_unavailable"))
        log_unexpected(error, message.id)
        return self._rejection(message, token, refuse("internal_error"))

    def _rejection(
        self, message: Message, token: Token | None, refusal: Refusal, headers: Mapping[str, str] = NO_HEADERS
    ) -> Response:
        reply, codec, fault = render_problem(refusal), _reply_codec(message), refusal.faults[0]
        merged = {"content-type": PROBLEM_TYPES[codec.name], **reply.headers, **headers}
        body = encode_problem(reply.tree, codec)
        id, database = (token.id, token.database) if token else ("", None)
        return Response(reply.status, merged, body, fault.code, fault.pointer, id, database)


def _encode(reply: Reply, codec: Codec, token: Token) -> Response:
    headers, body = reply.headers, b""
    if reply.tree is not None:
        headers, body = {"content-type": CONTENT_TYPES[codec.name], **headers}, codec.encode(reply.tree)
    return Response(reply.status, headers, body, token=token.id, database=token.database)


def _reply_codec(message: Message) -> Codec:
    accept, own_types = message.headers.get("accept"), tuple(PROBLEM_TYPES.values())
    return media.reply_codec(None, accept, request_codec(message), own_types)


def _wants_stream(message: Message) -> bool:
    """Return whether Accept prefers a stream of events. HEAD has the headers of a page."""
    offers = (*CONTENT_TYPES.values(), EVENT_STREAM)
    return message.method == "GET" and media.negotiate(message.headers.get("accept"), offers, offers[0]) == EVENT_STREAM
