"""Sends messages to one endpoint over HTTP."""

import asyncio
import ssl
from collections.abc import Mapping
from importlib.metadata import version
from time import monotonic

from gateway.feed.addresses import SCHEMES, UnusableUrl, parse_url, resolve
from gateway.feed.answers import Answer
from gateway.feed.webhooks.connection import EndpointConnection, ExchangeError

TIMEOUT_SECONDS = 20.0
"""Time for everything: resolution, connection, and the response."""

CONNECTION_SECONDS = 60.0
"""How long a connection is used. Then the name of the host is resolved again."""


class WebhookClient:
    """The connections to one endpoint. Each is to an address that was checked when it was opened."""

    def __init__(self, url: str, allow_private: bool) -> None:
        self._parts = parts = parse_url(url)
        self._allow_private = allow_private
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._idle: list[tuple[float, EndpointConnection]] = []
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._head = (
            f"POST {target} HTTP/1.1\r\nhost: {parts.netloc}\r\n"
            f"user-agent: profile-gateway/{version('profile-gateway')}\r\n"
            "content-type: application/cloudevents+json\r\naccept-encoding: identity\r\n"
        )

    async def send(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Post a body. Never raises, except when it is cancelled."""
        lines = [*(f"{name}: {value}" for name, value in headers.items()), f"content-length: {len(body)}", "", ""]
        request = (self._head + "\r\n".join(lines)).encode() + body
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                return await self._exchange(request)
        except TimeoutError:
            return Answer(None, f"no response in {TIMEOUT_SECONDS:.0f} seconds")
        except (UnusableUrl, ExchangeError) as reason:
            return Answer(None, str(reason))

    def close(self) -> None:
        """Close the connections that are not used now."""
        while self._idle:
            self._idle.pop()[1].close()

    async def _exchange(self, request: bytes) -> Answer:
        """Send a request on an idle connection, or on a new one where that was closed by the endpoint meanwhile."""
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

    async def _exchange_on(self, connection: EndpointConnection, until: float, request: bytes) -> Answer:
        answer = await connection.exchange(request)
        if connection.is_open:
            self._idle.append((until, connection))
        return answer

    async def _connect(self) -> EndpointConnection:
        parts = self._parts
        address = await resolve(parts, self._allow_private)
        return await EndpointConnection.open(address, parts.port or SCHEMES[parts.scheme], parts.hostname, self._tls)
