"""Bodies of requests, read as they come: within their bounds, and decoded from their Content-Encoding (RFC 9110, 8.4).

Whatever is too large is refused before it is held. Knows no media type and no dialect.
"""

import zlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias

from gateway.core.excerpt import excerpt
from gateway.core.faults import Fault, Refusal

Event: TypeAlias = Mapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Event]]
"""ASGI's: the next event of a request."""

CODINGS = {b"gzip": 31, b"x-gzip": 31, b"deflate": 15}
"""Content codings, and what zlib calls them."""

ACCEPTED = {"accept-encoding": "gzip, deflate"}
"""Goes with the refusal of a coding (RFC 9110, 12.5.3)."""


class Unreadable(Refusal):
    """The refusal of a body, with the headers that go with it."""

    def __init__(self, code: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__([Fault(code, detail)])
        self.headers = headers or {}


class Gone(Exception):
    """The client left before its body was whole."""


class Bodies:
    """Reads bodies. `ratio` is how many times its compressed size a body may have.

    `held` is how many bytes all bodies together may have that are not whole yet: thousands of clients that each send
    most of a large body, and then wait, would else fill the memory.
    """

    def __init__(self, ratio: int, held: int) -> None:
        self._ratio = ratio
        self._most_held = held
        self._held = 0

    async def read(self, headers: Sequence[tuple[bytes, bytes]], receive: Receive, limit: int) -> bytes:
        """The whole body, decoded, of at most `limit` bytes.

        Raises `Unreadable` (body_too_large, unsupported_media_type, malformed_body, overloaded) and `Gone`.
        """
        coding = _coding(headers, limit)
        event = await _next(receive)
        if coding or event.get("more_body"):
            return await self._gathered(_Decoder(coding, limit, self._ratio), event, receive)
        body: bytes = event.get("body", b"")
        if len(body) > limit:
            raise _too_large(limit)
        return body

    async def _gathered(self, decoder: "_Decoder", event: Event, receive: Receive) -> bytes:
        pieces, held = [], 0
        try:
            while True:
                piece = decoder.decoded(event.get("body", b""))
                held += len(piece)
                self._hold(len(piece))
                pieces.append(piece)
                if not event.get("more_body"):
                    decoder.end()
                    return b"".join(pieces)
                event = await _next(receive)
        finally:
            self._held -= held

    def _hold(self, size: int) -> None:
        self._held += size
        if self._held > self._most_held:
            raise Unreadable("overloaded", "too many large bodies are on their way", {"retry-after": "1"})


class _Decoder:
    """Undoes a content coding (b"": none) piece by piece, and never makes more of it than may be."""

    def __init__(self, coding: bytes, limit: int, ratio: int) -> None:
        self._zlib = zlib.decompressobj(CODINGS[coding]) if coding else None
        self._limit, self._ratio = limit, ratio
        self._received = self._size = 0

    def decoded(self, chunk: bytes) -> bytes:
        self._received += len(chunk)
        most = min(self._limit, self._ratio * self._received)
        piece = self._decompressed(chunk, most - self._size + 1) if self._zlib else chunk
        self._size += len(piece)
        if self._size > self._limit:
            raise _too_large(self._limit)
        if self._size > most and self._zlib:
            raise Unreadable("body_too_large", f"the body may be {self._ratio} times its compressed size at most")
        return piece

    def end(self) -> None:
        if self._zlib and self._received and not self._zlib.eof:
            raise Unreadable("malformed_body", "the compressed body ends too early")

    def _decompressed(self, chunk: bytes, most: int) -> bytes:
        assert self._zlib
        try:
            piece = self._zlib.decompress(chunk, most)
        except zlib.error:
            raise Unreadable("malformed_body", "the body is not what its Content-Encoding says") from None
        if self._zlib.unused_data:
            raise Unreadable("malformed_body", "the compressed body has something behind its end")
        return piece


async def _next(receive: Receive) -> Event:
    event = await receive()
    if event["type"] == "http.disconnect":
        raise Gone
    return event


def _coding(headers: Sequence[tuple[bytes, bytes]], limit: int) -> bytes:
    """The one content coding of a body, b"" for none. Raises `Unreadable`, also where the length alone is too much."""
    codings = []
    for name, value in headers:
        if name == b"content-length" and value.isdigit() and int(value) > limit:
            # Who asks first whether to send it might go on with something else (RFC 9110, 10.1.1).
            asks = any(name == b"expect" for name, _ in headers)
            raise _too_large(limit, {"connection": "close"} if asks else {})
        if name == b"content-encoding" and value.lower() not in (b"", b"identity"):
            codings.append(value.lower())
    if len(codings) > 1 or not CODINGS.keys() >= set(codings):
        named = b", ".join(codings).decode("latin-1")
        raise Unreadable("unsupported_media_type", f"the content encoding {excerpt(named)} is not supported", ACCEPTED)
    return codings[0] if codings else b""


def _too_large(limit: int, headers: Mapping[str, str] | None = None) -> Unreadable:
    return Unreadable("body_too_large", f"the body may have at most {limit} bytes", headers)
