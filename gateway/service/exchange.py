"""One request and its response in a dialect: decoding, and the media type of the response."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from urllib.parse import urlsplit

from msgspec import Struct

from gateway import media
from gateway.core.faults import Fault, Refusal, refuse
from gateway.core.model import Tree
from gateway.core.numbers import UnrepresentableNumber
from gateway.dialects.protocol import CONTENT_TYPES, Call, Dialect, Reply, Request
from gateway.media import Bounds, Codec
from gateway.media.form import decode_form, decode_query, is_form
from gateway.schema.pointer_mask import PointerMask
from gateway.service.catalog import Grant
from gateway.service.http_messages import Message, Response

PUBLIC_MASK = PointerMask()

NO_HEADERS: Mapping[str, str] = MappingProxyType({})

METHODS_WITHOUT_BODY = ("GET", "HEAD", "DELETE")
"""The methods whose request may have no body. Its tree is then an empty object."""


class Exchange(Struct):
    """Decodes a request and encodes its response.

    `codec` encodes the response. Before the body is decoded it is None, and the headers choose: a body may contain the
    vendor's own format parameter. `unrepresentable` has the numbers of the body that no command may contain. `grant` is
    set once the credential is verified. `stage_ends` are those of `Response`.
    """

    dialect: Dialect
    message: Message
    call: Call | None = None
    codec: Codec | None = None
    unrepresentable: list[UnrepresentableNumber] = []
    grant: Grant | None = None
    stage_ends: list[float] = []

    def decode(self, call: Call, bounds: Bounds, now: int) -> Request:
        """Return the request of a call as its dialect sees it. Raises `Refusal`."""
        message = self.message
        tree: Tree = {}
        codec, is_typed = None, True
        if call.accepts_forms:
            tree, codec, is_typed = self._decode_parameters(bounds)
        elif message.body or not (call.is_body_optional or message.method in METHODS_WITHOUT_BODY):
            codec, charset = media.codec_for(message.headers.get("content-type"))
            tree, is_typed = codec.decode(message.body, charset, bounds, self.unrepresentable), codec.is_typed
        request = Request(
            tree, message.query, message.headers, message.path, message.target, message.base, now, is_typed
        )
        if codec or call.accepts_forms:
            own_types = message.headers.get("content-type", ""), *self.dialect.content_types.values()
            accept = message.headers.get("accept")
            self.codec = media.reply_codec(self.dialect.media_type(request), accept, codec, own_types)
            if not isinstance(tree, call.body_types):
                raise refuse("not_an_object")
        return request

    def _decode_parameters(self, bounds: Bounds) -> tuple[Tree, Codec | None, bool]:
        """Return the parameters of the query and the body, the codec of the body, and whether all of them have types.

        A name in the body takes precedence.
        """
        message, content_type = self.message, self.message.headers.get("content-type")
        query = decode_query(urlsplit(message.target).query, bounds)
        if not message.body:
            return query, None, False
        if is_form(content_type):
            return {**query, **decode_form(message.body, content_type or "", bounds)}, None, False
        codec, charset = media.codec_for(content_type)
        tree = codec.decode(message.body, charset, bounds, self.unrepresentable)
        if not isinstance(tree, dict) or not query:
            return tree, codec, codec.is_typed
        return {**query, **tree}, codec, False

    def plain_reply(self, tree: Tree) -> Reply:
        """Return a reply of the gateway itself, with a general media type instead of the vendor's."""
        return Reply(200, tree, {"content-type": CONTENT_TYPES[self._chosen_codec().name]})

    def encode(self, reply: Reply, headers: Mapping[str, str] = NO_HEADERS, fault: Fault | None = None) -> Response:
        """Return the response of a reply, with further headers and the fault to log."""
        merged, body = {**reply.headers, **headers}, b""
        if reply.tree is not None:
            codec = self.codec or self._chosen_codec()
            merged = {"content-type": self.dialect.content_types[codec.name], **merged}
            body = codec.encode(reply.tree)
        grant = self.grant
        id, database = (grant.token.id, grant.database.id) if grant else ("", None)
        if fault is None:
            return Response(reply.status, merged, body, "", "", id, database, self.stage_ends)
        mask = grant.mask if grant else PUBLIC_MASK
        return Response(reply.status, merged, body, fault.code, mask.mask(fault.pointer), id, database, self.stage_ends)

    def reject(self, faults: Sequence[Fault], headers: Mapping[str, str] = NO_HEADERS) -> Response:
        """Return the vendor's response to a rejected request, with further headers."""
        render = (self.call and self.call.render_faults) or self.dialect.render_faults
        return self.encode(render(faults), headers, faults[0])

    def _chosen_codec(self) -> Codec:
        """Return the codec of the response: as the decoded request chose, else as the headers do."""
        if self.codec is None:
            self.codec = self._reply_codec(self.message.query.get("format"), request_codec(self.message))
        return self.codec

    def _reply_codec(self, format_parameter: str | None, request_codec: Codec | None) -> Codec:
        headers = self.message.headers
        own_types = (headers.get("content-type", ""), *self.dialect.content_types.values())
        return media.reply_codec(format_parameter, headers.get("accept"), request_codec, own_types)


def variant_of(dialect: Dialect, call: Call, message: Message, bounds: Bounds, now: int) -> Call:
    """Return the call that a request is one of by its body: the call itself where the body cannot be read."""
    if call.variant is None:
        return call
    with suppress(Refusal):
        request = Exchange(dialect, message, call).decode(call, bounds, now)
        return call.variant(request) or call
    return call


def request_codec(message: Message) -> Codec | None:
    """Return the codec of the body by its Content-Type, else by its first character; None without both.

    It is for the reply where the body is not decoded.
    """
    content_type = message.headers.get("content-type")
    if content_type is None and not message.body:
        return None
    try:
        return media.codec_for(content_type)[0]
    except Refusal:
        return media.guess_codec(message.body)
