"""HTTP/1.1 connections to one host: requests one after another, and of each response what a subscriber's answer needs.

The general libraries take several milliseconds of a processor for a request, which a gateway under load does not have.
"""

import asyncio
import ssl
from collections.abc import Mapping
from time import monotonic
from typing import Any
from urllib.parse import SplitResult

import httptools
from msgspec import Struct

from gateway.feed.addresses import SCHEMES, resolve

CONNECTION_SECONDS = 60.0
"""How long a connection is used. Then the name of the host is resolved again."""

READ_BYTES = 16 * 1024


class ExchangeError(Exception):
    """There is no response, or it is not HTTP. The message is the reason."""


class HttpResponse(Struct, frozen=True):
    """A response. The names of `headers` are in lower case. `body` is empty if it is longer than was to be read."""

    status: int
    headers: Mapping[str, str] = {}
    body: bytes = b""


class HostConnections:
    """The connections to the host of a URL. Each is to an address that was checked when it was opened.

    `max_bytes` of a response are read, its headers included. The connection of a longer one is closed.
    """

    def __init__(self, parts: SplitResult, allow_private: bool, max_bytes: int) -> None:
        self._parts = parts
        self._allow_private = allow_private
        self._max_bytes = max_bytes
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._idle: list[tuple[float, _HostConnection]] = []

    async def exchange(self, request: bytes) -> HttpResponse:
        """Send a request on an idle connection, or on a new one where that was closed by the host meanwhile.

        Raises `UnusableUrl` and `ExchangeError`.
        """
        while self._idle:
            until, connection = self._idle.pop()
            if until < monotonic():
                connection.close()
                continue
            try:
                return await self._exchange_on(connection, until, request)
            except ExchangeError:
                continue
        connection = await self._connect()
        return await self._exchange_on(connection, monotonic() + CONNECTION_SECONDS, request)

    def close(self) -> None:
        """Close the connections that are not used now."""
        while self._idle:
            self._idle.pop()[1].close()

    async def _exchange_on(self, connection: "_HostConnection", until: float, request: bytes) -> HttpResponse:
        response = await connection.exchange(request, self._max_bytes)
        if connection.is_open:
            self._idle.append((until, connection))
        return response

    async def _connect(self) -> "_HostConnection":
        parts = self._parts
        address = await resolve(parts, self._allow_private)
        return await _HostConnection.open(address, parts.port or SCHEMES[parts.scheme], parts.hostname, self._tls)


class _HostConnection:
    """An open connection. `is_open` is false once no further request can follow."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.is_open = True
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, address: str, port: int, host: str | None, tls: ssl.SSLContext | None) -> "_HostConnection":
        """Connect to an address; with `tls`, to the host that its certificate names. Raises `ExchangeError`."""
        try:
            streams = await asyncio.open_connection(address, port, ssl=tls, server_hostname=host if tls else None)
        except ssl.SSLError as error:
            raise ExchangeError(f"no TLS connection: {error.reason or type(error).__name__}") from None
        except OSError:
            raise ExchangeError("no connection") from None
        return cls(*streams)

    async def exchange(self, request: bytes, max_bytes: int) -> HttpResponse:
        """Send a request, and return the response. Raises `ExchangeError`; the connection is then closed."""
        response = _ResponseReader()
        try:
            self._writer.write(request)
            await self._writer.drain()
            await self._read(response, max_bytes)
        except OSError:
            self.close()
            raise ExchangeError("the connection was lost") from None
        except BaseException:
            self.close()
            raise
        if not response.can_continue:
            self.close()
        return HttpResponse(response.status, response.headers, response.body if response.is_complete else b"")

    def close(self) -> None:
        """Close the connection at once."""
        self.is_open = False
        self._writer.transport.abort()

    async def _read(self, response: "_ResponseReader", max_bytes: int) -> None:
        """Read a response to its end, or up to the limit."""
        size = 0
        while not response.is_complete and size < max_bytes:
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
        self.headers: dict[str, str] = {}
        self.body = b""
        self.has_status = self.is_complete = self.can_continue = False
        self._parser: Any = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """Parse the next bytes. Raises `ExchangeError`."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            raise ExchangeError("the response is not HTTP") from None

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self.has_status = self.status >= 200

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        """End the response, unless it is an interim one (RFC 9110, 15.2)."""
        if self.has_status:
            self.is_complete, self.can_continue = True, self._parser.should_keep_alive()
