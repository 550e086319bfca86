"""Content encodings (RFC 9110, 8.4.1): decompression in steps, within a limit. No I/O."""

import zlib
from collections.abc import Mapping

from gateway.server.errors import RequestRefusal

WINDOW_BITS = {b"gzip": 31, b"x-gzip": 31, b"deflate": 15}
"""The supported encodings, and zlib's window bits for each."""

GZIP_MARK = b"\x1f"
"""The first byte of each member of gzip (RFC 1952, 2.3.1). `deflate` has no members."""

MAX_MEMBERS = 1_000
"""Members of one body. Each new one copies the rest of a chunk, so that their number costs time."""


class ContentDecoder:
    """Decodes one body in steps (b"" is no encoding), and never produces more than `limit` bytes.

    `max_ratio` is the size of the body divided by its compressed size.
    """

    def __init__(self, encoding: bytes, limit: int, max_ratio: int) -> None:
        self._window_bits = WINDOW_BITS.get(encoding, 0)
        self._zlib = zlib.decompressobj(self._window_bits) if encoding else None
        self._limit, self._max_ratio = limit, max_ratio
        self._received = self._size = 0
        self._members = 1

    def decode(self, chunk: bytes) -> bytes:
        """Decode the next chunk. Raises `RequestRefusal`: body_too_large, malformed_body."""
        self._received += len(chunk)
        max_size = min(self._limit, self._max_ratio * self._received)
        piece = self._decompress(chunk, max_size - self._size + 1) if self._zlib else chunk
        self._size += len(piece)
        if max(self._size, self._received) > self._limit:
            raise body_too_large(self._limit)
        if self._size > max_size and self._zlib:
            detail = f"the body may be {self._max_ratio} times its compressed size at most"
            raise RequestRefusal("body_too_large", detail)
        return piece

    def finish(self) -> None:
        """Check that the compressed data is complete. Raises `RequestRefusal`: malformed_body."""
        if self._zlib and self._received and not self._zlib.eof:
            raise RequestRefusal("malformed_body", "the compressed body ends too early")

    def _decompress(self, chunk: bytes, max_length: int) -> bytes:
        """Decompress a chunk, which may contain several members, to at most `max_length` bytes."""
        assert self._zlib
        pieces = []
        while chunk and max_length:
            if self._zlib.eof:
                self._zlib = self._next_member(chunk)
            try:
                pieces.append(self._zlib.decompress(chunk, max_length))
            except zlib.error:
                raise RequestRefusal("malformed_body", "the body is not what its Content-Encoding says") from None
            max_length -= len(pieces[-1])
            chunk = self._zlib.unused_data
        return b"".join(pieces)

    def _next_member(self, chunk: bytes) -> "zlib._Decompress":
        self._members += 1
        if self._window_bits != WINDOW_BITS[b"gzip"] or not chunk.startswith(GZIP_MARK):
            raise RequestRefusal("malformed_body", "the compressed body has something behind its end")
        if self._members > MAX_MEMBERS:
            raise RequestRefusal("malformed_body", f"the compressed body may have at most {MAX_MEMBERS} members")
        return zlib.decompressobj(self._window_bits)


def body_too_large(limit: int, headers: Mapping[str, str] | None = None) -> RequestRefusal:
    """The refusal of a body over `limit` bytes."""
    return RequestRefusal("body_too_large", f"the body may have at most {limit} bytes", headers)
