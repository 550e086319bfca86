"""Sends requests to an account of a vendor, within the vendor's rates."""

import ssl
from asyncio import sleep, timeout
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx

from gateway.core.faults import Refusal
from gateway.core.model import Tree
from gateway.dialects.outgoing import OutgoingRequest
from gateway.feed.addresses import UnusableUrl, parse_url, resolve
from gateway.feed.relay.replies import AccountReply
from gateway.feed.retries import parse_retry_after
from gateway.media import Bounds, Codec, codec_for
from gateway.service.rate_limits import RateLimitExceeded, RateLimits

TIMEOUT = httpx.Timeout(30.0, connect=5.0)
MAX_REPLY_BYTES = 1024 * 1024
MAX_PAUSE = 60_000
"""The longest wait of a request, in milliseconds, for the end of a window of the vendor's rates."""

PAUSING = (429, 503)
"""Statuses whose Retry-After concerns all requests of the same rates."""

BOUNDS = Bounds(32, 10_000, 1_000, 100_000, 10_000)
"""The bounds of a vendor's reply."""


class AccountClient:
    """The connections to an account.

    `share` of the vendor's rates is used. `now` returns milliseconds since 1970. `transport` replaces the network, in
    tests.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        codec: Codec,
        content_type: str,
        share: float,
        wait_for_clients: Callable[[], Awaitable[None]],
        now: Callable[[], int],
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._url = url.rstrip("/")
        self._codec = codec
        self._content_type = content_type
        self._rates = RateLimits(share)
        self._wait_for_clients = wait_for_clients
        self._now = now
        self._paused_until: dict[tuple[str, ...], int] = {}
        self._client = httpx.AsyncClient(
            headers={**headers, "accept": content_type},
            timeout=TIMEOUT,
            trust_env=False,
            verify=ssl.create_default_context(),
            transport=transport,
        )

    async def send(self, request: OutgoingRequest, key: str) -> AccountReply:
        """Send a request, with a key if its call has one. Never raises, except when it is cancelled."""
        await self._wait_for_clients()
        await self._wait_for_rates(request)
        headers = {"idempotency-key": key} if request.has_key else {}
        content = None
        if request.tree is not None:
            content = self._codec.encode(request.tree)
            headers["content-type"] = self._content_type
        try:
            async with timeout(30.0):
                return await self._exchange(request, headers, content)
        except (TimeoutError, httpx.TimeoutException):
            return AccountReply(None, reason="no response in 30 seconds")
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return AccountReply(None, reason=type(error).__name__)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _exchange(self, request: OutgoingRequest, headers: Any, content: bytes | None) -> AccountReply:
        url = self._url + request.path
        async with self._client.stream(request.method, url, headers=headers, content=content) as response:
            body = b""
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MAX_REPLY_BYTES:
                    return AccountReply(response.status_code)
        self._note_limits(tuple(request.rates), response)
        tree = _decode(response.headers.get("content-type"), body)
        return AccountReply(response.status_code, tree, retry_after=response.headers.get("retry-after"))

    async def _wait_for_rates(self, request: OutgoingRequest) -> None:
        while True:
            try:
                self._rates.spend(request.rates)
                break
            except RateLimitExceeded as limit:
                await sleep(limit.pause)
        pause = self._paused_until.get(tuple(request.rates), 0) - self._now()
        if pause > 0:
            await sleep(pause / 1000)

    def _note_limits(self, rates: tuple[str, ...], response: httpx.Response) -> None:
        """Pause the requests of some rates, where the vendor has none left or asks for a pause."""
        headers, now = response.headers, self._now()
        pause = 0
        if headers.get("ratelimit-remaining") == "0":
            pause = parse_retry_after(headers.get("ratelimit-reset"), now)
        if response.status_code in PAUSING:
            pause = max(pause, parse_retry_after(headers.get("retry-after"), now))
        if pause:
            self._paused_until[rates] = max(self._paused_until.get(rates, 0), now + min(pause, MAX_PAUSE))


class _PublicTransport(httpx.AsyncHTTPTransport):
    """Connects to an address that was checked, and not to the name, which could have another one a moment later."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request. Raises `ConnectError` where the host has a private address."""
        host = request.url.host
        try:
            address = await resolve(parse_url(str(request.url)), allow_private=False)
        except UnusableUrl as reason:
            raise httpx.ConnectError(str(reason)) from None
        request.url = request.url.copy_with(host=address)
        request.extensions = {**request.extensions, "sni_hostname": host}
        return await super().handle_async_request(request)


def public_transport() -> httpx.AsyncBaseTransport:
    """Return a network on which only public addresses are reached."""
    return _PublicTransport(trust_env=False, verify=ssl.create_default_context())


def _decode(content_type: str | None, body: bytes) -> Tree:
    """Return the tree of a reply; None if it has none that can be read."""
    if not body:
        return None
    try:
        codec, charset = codec_for(content_type)
        return codec.decode(body, charset, BOUNDS)
    except Refusal:
        return None
