"""One HTTP/1.1 connection to an endpoint: requests one after another, and of each response what webhooks need.

The general libraries take several milliseconds of a processor for a request, which a gateway under load does not have.
"""

import asyncio
import ssl
from typing import Any

import httptools

from gateway.feed.answers import Answer

MAX_RESPONSE_BYTES = 64 * 1024
"""Bytes of a response, its headers included. The connection of a longer one is closed."""

READ_BYTES = 16 * 1024


class ExchangeError(Exception):
    """There is no response, or it is not HTTP. The message is the reason."""


class EndpointConnection:
    """An open connection. `is_open` is false once no further request can follow."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.is_open = True
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, address: str, port: int, host: str | None, tls: ssl.SSLContext | None) -> "EndpointConnection":
        """Connect to an address; with `tls`, to the host that its certificate names. Raises `ExchangeError`."""
        try:
            streams = await asyncio.open_connection(address, port, ssl=tls, server_hostname=host if tls else None)
        except ssl.SSLError as error:
            raise ExchangeError(f"no TLS connection: {error.reason or type(error).__name__}") from None
        except OSError:
            raise ExchangeError("no connection") from None
        return cls(*streams)

    async def exchange(self, request: bytes) -> Answer:
        """Send a request, and return the answer. Raises `ExchangeError`; the connection is then closed."""
        response = _ResponseReader()
        try:
            self._writer.write(request)
            await self._writer.drain()
            await self._read(response)
        except OSError:
            self.close()
            raise ExchangeError("the connection was lost") from None
        except BaseException:
            self.close()
            raise
        if not response.can_continue:
            self.close()
        return Answer(response.status, f"HTTP {response.status}", response.retry_after)

    def close(self) -> None:
        """Close the connection at once."""
        self.is_open = False
        self._writer.transport.abort()

    async def _read(self, response: "_ResponseReader") -> None:
        """Read a response to its end, or up to the limit."""
        size = 0
        while not response.is_complete and size < MAX_RESPONSE_BYTES:
            data = await self._reader.read(READ_BYTES)
            size += len(data)
            if not data and not response.has_status:
                raise ExchangeError("the connection was lost" if not size else "the response is not HTTP")
            if not data:
                return
            response.feed(data)
        if not response.has_status:
            raise ExchangeError("the response is not HTTP")


class _ResponseReader:
    """What is known of a response so far. The methods `on_…` are called by the parser."""

    def __init__(self) -> None:
        self.status = 0
        self.retry_after: str | None = None
        self.has_status = self.is_complete = self.can_continue = False
        self._parser: Any = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """Parse the next bytes. Raises `ExchangeError`."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            raise ExchangeError("the response is not HTTP") from None

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"retry-after":
            self.retry_after = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self.has_status = self.status >= 200

    def on_message_complete(self) -> None:
        """End the response, unless it is an interim one (RFC 9110, 15.2)."""
        if self.has_status:
            self.is_complete, self.can_continue = True, self._parser.should_keep_alive()
