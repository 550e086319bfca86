"""Sends one message to one endpoint over HTTP."""

import asyncio
import ssl
from collections.abc import Mapping
from importlib.metadata import version

import httpx

from gateway.feed.webhooks.addresses import SCHEMES, UnusableUrl, parse_url, resolve
from gateway.feed.webhooks.answers import Answer

TIMEOUT_SECONDS = 20.0
"""Time for everything: resolution, connection, and the response."""

MAX_RESPONSE_BYTES = 64 * 1024
"""Of a response, only the status and Retry-After count. The connection of a longer one is closed."""

HEADERS = {
    "content-type": "application/cloudevents+json",
    "user-agent": f"profile-gateway/{version('profile-gateway')}",
    "accept-encoding": "identity",
}


class WebhookClient:
    """Connections to one endpoint.

    Each endpoint has its own: a connection is to an address, and two names at one address may have two owners.
    """

    def __init__(self, url: str, allow_private: bool) -> None:
        self._parts = parse_url(url)
        self._allow_private = allow_private
        self._client = httpx.AsyncClient(
            follow_redirects=False, trust_env=False, timeout=TIMEOUT_SECONDS, verify=_tls()
        )

    async def send(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Post a body. Never raises, except when it is cancelled."""
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                return await self._send(body, headers)
        except TimeoutError:
            return Answer(None, f"no response in {TIMEOUT_SECONDS:.0f} seconds")
        except UnusableUrl as error:
            return Answer(None, str(error))
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError) as error:
            return Answer(None, _FAILURES.get(type(error), type(error).__name__))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _send(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        parts = self._parts
        address = await resolve(parts, self._allow_private)
        host = f"[{address}]" if ":" in address else address
        url = parts._replace(netloc=f"{host}:{parts.port or SCHEMES[parts.scheme]}").geturl()
        request = self._client.build_request(
            "POST",
            url,
            content=body,
            headers={**HEADERS, **headers, "host": parts.netloc},
            extensions={"sni_hostname": parts.hostname},
        )
        response = await self._client.send(request, stream=True)
        try:
            await _read(response)
        finally:
            await response.aclose()
        return Answer(response.status_code, f"HTTP {response.status_code}", response.headers.get("retry-after"))


async def _read(response: httpx.Response) -> None:
    """Read a response to its end, so that its connection can be used again, unless it is too long."""
    size = 0
    async for chunk in response.aiter_raw():
        size += len(chunk)
        if size > MAX_RESPONSE_BYTES:
            return


def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


_FAILURES: Mapping[type[Exception], str] = {
    httpx.ConnectError: "no connection",
    httpx.RemoteProtocolError: "the response is not HTTP",
    httpx.ReadError: "the connection was lost",
    httpx.WriteError: "the connection was lost",
}
