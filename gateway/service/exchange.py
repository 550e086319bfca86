"""One request and its response in a dialect: decoding, and the media type of the response."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from gateway import media
from gateway.core.faults import Fault, Refusal, refuse
from gateway.core.model import Token, Tree
from gateway.core.numbers import UnrepresentableNumber
from gateway.dialects.protocol import CONTENT_TYPES, Dialect, Reply, Request
from gateway.media import Bounds, Codec
from gateway.schema.pointer_mask import PointerMask
from gateway.service.http_messages import Message, Response

PUBLIC_MASK = PointerMask()

NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Exchange:
    """Decodes a request and encodes its response.

    The codec of the response is chosen from the headers first, and again once the body is decoded: a body may contain
    the vendor's own format parameter. `unrepresentable` has the numbers of the body that no command may contain.
    """

    def __init__(self, dialect: Dialect, message: Message) -> None:
        self.dialect = dialect
        self.message = message
        self.unrepresentable: list[UnrepresentableNumber] = []
        self._token: Token | None = None
        self._mask = PUBLIC_MASK
        self._own_types = (message.headers.get("content-type", ""), *dialect.content_types.values())
        format_parameter, accept = message.query.get("format"), message.headers.get("accept")
        self._codec = media.reply_codec(format_parameter, accept, _request_codec(message), self._own_types)

    def decode(self, body_types: tuple[type, ...], bounds: Bounds, now: int) -> Request:
        """Return the request as a dialect sees it. Raises `Refusal`."""
        message = self.message
        if not message.body and message.method in ("GET", "HEAD", "DELETE"):
            return self._request({}, now, True)
        codec, charset = media.codec_for(message.headers.get("content-type"))
        tree = codec.decode(message.body, charset, bounds, self.unrepresentable)
        request = self._request(tree, now, codec.is_typed)
        format_parameter, accept = self.dialect.media_type(request), message.headers.get("accept")
        self._codec = media.reply_codec(format_parameter, accept, codec, self._own_types)
        if not isinstance(tree, body_types):
            raise refuse("not_an_object")
        return request

    def authorize(self, token: Token, mask: PointerMask) -> None:
        """Note for the access log whose request it is, and how to mask the pointers of its faults."""
        self._token, self._mask = token, mask

    def plain_reply(self, tree: Tree) -> Reply:
        """Return a reply of the gateway itself, with a general media type instead of the vendor's."""
        return Reply(200, tree, {"content-type": CONTENT_TYPES[self._codec.name]})

    def encode(self, reply: Reply, headers: Mapping[str, str] = NO_HEADERS, fault: Fault | None = None) -> Response:
        """Return the response of a reply, with further headers and the fault to log."""
        merged, body = {**reply.headers, **headers}, b""
        if reply.tree is not None:
            merged = {"content-type": self.dialect.content_types[self._codec.name], **merged}
            body = self._codec.encode(reply.tree)
        code, pointer = (fault.code, self._mask.mask(fault.pointer)) if fault else ("", "")
        id, database = (self._token.id, self._token.database) if self._token else ("", None)
        return Response(reply.status, merged, body, code, pointer, id, database)

    def reject(self, faults: Sequence[Fault], headers: Mapping[str, str] = NO_HEADERS) -> Response:
        """Return the vendor's response to a rejected request, with further headers."""
        return self.encode(self.dialect.render_faults(faults), headers, faults[0])

    def _request(self, tree: Tree, now: int, is_typed: bool) -> Request:
        message = self.message
        return Request(tree, message.query, message.headers, message.path, message.target, message.base, now, is_typed)


def _request_codec(message: Message) -> Codec | None:
    """Return the codec of the body by its Content-Type, else by its first character, for the reply that rejects it."""
    try:
        return media.codec_for(message.headers.get("content-type"))[0]
    except Refusal:
        return media.guess_codec(message.body)
