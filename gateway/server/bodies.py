"""The bodies of requests: read within limits, and decoded from their Content-Encoding (RFC 9110, 8.4).

A body over its limit is rejected before it is in memory. Independent of media types and dialects.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias

from gateway.core.excerpt import excerpt
from gateway.server.content_encoding import WINDOW_BITS, ContentDecoder, body_too_large
from gateway.server.errors import ClientDisconnected, RequestRefusal, overloaded
from gateway.server.request_head import WHITE_SPACE

Event: TypeAlias = Mapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Event]]
"""ASGI: returns the next event of a request."""

ACCEPT_ENCODING = {"accept-encoding": "gzip, deflate"}
"""Goes with the refusal of a content encoding (RFC 9110, 12.5.3)."""


class BodyReader:
    """Reads bodies.

    `max_ratio` limits the size of a body divided by its compressed size. `max_incomplete_bytes` limits all incomplete
    bodies together: otherwise thousands of clients that stop in the middle of a large body fill the memory.
    """

    def __init__(self, max_ratio: int, max_incomplete_bytes: int) -> None:
        self._max_ratio = max_ratio
        self._max_incomplete_bytes = max_incomplete_bytes
        self._incomplete_bytes = 0

    async def read(self, headers: Sequence[tuple[bytes, bytes]], receive: Receive, limit: int) -> bytes:
        """Return the complete body, decoded, of at most `limit` bytes.

        Raises `RequestRefusal` (body_too_large, unsupported_media_type, malformed_body, overloaded) and
        `ClientDisconnected`.
        """
        values, encoding = dict(headers), b""
        length = values.get(b"content-length", b"0")
        if b"content-encoding" in values or (length.isdigit() and int(length) > limit):
            encoding = _content_encoding(headers, limit)
        event = await receive()
        if encoding or event.get("more_body") or event["type"] == "http.disconnect":
            return await self._read_chunks(ContentDecoder(encoding, limit, self._max_ratio), event, receive)
        body: bytes = event.get("body", b"")
        if len(body) > limit:
            raise body_too_large(limit)
        return body

    async def _read_chunks(self, decoder: ContentDecoder, event: Event, receive: Receive) -> bytes:
        chunks, size = [], 0
        try:
            while True:
                if event["type"] == "http.disconnect":
                    raise ClientDisconnected
                chunk = decoder.decode(event.get("body", b""))
                size += len(chunk)
                self._count(len(chunk))
                chunks.append(chunk)
                if not event.get("more_body"):
                    decoder.finish()
                    return b"".join(chunks)
                event = await receive()
        finally:
            self._incomplete_bytes -= size

    def _count(self, size: int) -> None:
        self._incomplete_bytes += size
        if self._incomplete_bytes > self._max_incomplete_bytes:
            raise overloaded("too many large bodies are on their way")


def _content_encoding(headers: Sequence[tuple[bytes, bytes]], limit: int) -> bytes:
    """Return the content encoding of a body, b"" for none.

    Raises `RequestRefusal` if it is not supported, or if Content-Length exceeds `limit`.
    """
    encodings = []
    for name, value in headers:
        if name == b"content-length" and value.isdigit() and int(value) > limit:
            # After Expect the client may send another request instead of the body (RFC 9110, 10.1.1).
            expects = any(name == b"expect" for name, _ in headers)
            raise body_too_large(limit, {"connection": "close"} if expects else {})
        if name == b"content-encoding" and (encoding := value.strip(WHITE_SPACE).lower()) not in (b"", b"identity"):
            encodings.append(encoding)
    if len(encodings) > 1 or not WINDOW_BITS.keys() >= set(encodings):
        names = excerpt(b", ".join(encodings).decode("latin-1"))
        raise RequestRefusal(
            "unsupported_media_type", f"the content encoding {names} is not supported", ACCEPT_ENCODING
        )
    return encodings[0] if encodings else b""
