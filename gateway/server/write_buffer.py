"""A transport that joins small writes: the head and body of a response leave in one packet."""

import asyncio
from typing import Any


class BufferedTransport:
    """Collects the writes of one turn of the event loop and sends them together.

    Every other member is the transport's own.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._buffer: list[bytes] = []
        self._call_soon = loop.call_soon
        self.is_closing = transport.is_closing

    def write(self, data: bytes) -> None:
        if not self._buffer:
            self._call_soon(self.flush)
        self._buffer.append(data)

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def write_eof(self) -> None:
        self.flush()
        self._transport.write_eof()

    def flush(self) -> None:
        """Send what is buffered now, before something else closes the transport."""
        if self._buffer:
            self._transport.write(b"".join(self._buffer))
            self._buffer.clear()

    def get_write_buffer_size(self) -> int:
        """Return the number of bytes that the client has not received yet."""
        return self._transport.get_write_buffer_size()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
