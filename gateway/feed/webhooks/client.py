"""Sends messages to one endpoint over HTTP."""

import asyncio
from collections.abc import Mapping
from importlib.metadata import version

from gateway.feed.addresses import UnusableUrl, parse_url
from gateway.feed.answers import Answer
from gateway.feed.connection import ExchangeError, HostConnections

TIMEOUT_SECONDS = 20.0
"""Time for everything: resolution, connection, and the response."""

MAX_RESPONSE_BYTES = 64 * 1024


class WebhookClient:
    """The connections to one endpoint."""

    def __init__(self, url: str, allow_private: bool) -> None:
        parts = parse_url(url)
        self._connections = HostConnections(parts, allow_private, MAX_RESPONSE_BYTES)
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
                response = await self._connections.exchange(request)
        except TimeoutError:
            return Answer(None, f"no response in {TIMEOUT_SECONDS:.0f} seconds")
        except (UnusableUrl, ExchangeError) as reason:
            return Answer(None, str(reason))
        return Answer(response.status, f"HTTP {response.status}", response.headers.get("retry-after"))

    def close(self) -> None:
        """Close the connections that are not used now."""
        self._connections.close()
