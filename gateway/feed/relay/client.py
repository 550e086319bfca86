"""Sends requests to an account of a vendor, within the vendor's rates."""

from asyncio import sleep, timeout
from collections.abc import Awaitable, Callable, Mapping
from importlib.metadata import version
from typing import Protocol
from urllib.parse import urlsplit

from gateway.core.faults import Refusal
from gateway.core.model import Tree
from gateway.dialects.outgoing import OutgoingRequest
from gateway.feed.addresses import UnusableUrl
from gateway.feed.connection import ExchangeError, HttpResponse
from gateway.feed.relay.replies import AccountReply
from gateway.feed.retries import parse_retry_after
from gateway.media import Bounds, Codec, codec_for
from gateway.service.rate_limits import RateLimitExceeded, RateLimits

TIMEOUT_SECONDS = 30.0
"""Time for everything: resolution, connection, and the response."""

MAX_RESPONSE_BYTES = 1024 * 1024
MAX_PAUSE = 60_000
"""The longest wait of a request, in milliseconds, for the end of a window of the vendor's rates."""

PAUSING = (429, 503)
"""Statuses whose Retry-After concerns all requests of the same rates."""

BOUNDS = Bounds(32, 10_000, 1_000, 100_000, 10_000)
"""The bounds of a vendor's reply."""


class Connections(Protocol):
    """The connections to the host of the account."""

    async def exchange(self, request: bytes) -> HttpResponse:
        """Send a request. Raises `UnusableUrl` and `ExchangeError`."""
        ...

    def close(self) -> None:
        """Close the connections that are not used now."""
        ...


class AccountClient:
    """The requests to an account. `share` of the vendor's rates is used. `now` returns milliseconds since 1970."""

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        codec: Codec,
        content_type: str,
        share: float,
        wait_for_clients: Callable[[], Awaitable[None]],
        now: Callable[[], int],
        connections: Connections,
    ) -> None:
        parts = urlsplit(url)
        self._prefix = parts.path.rstrip("/")
        self._codec = codec
        self._content_type = content_type
        self._rates = RateLimits(share, least=1)
        self._wait_for_clients = wait_for_clients
        self._now = now
        self._paused_until: dict[tuple[str, ...], int] = {}
        self._connections = connections
        common = {
            "host": parts.netloc,
            "user-agent": f"profile-gateway/{version('profile-gateway')}",
            "accept": content_type,
            "accept-encoding": "identity",
            **headers,
        }
        self._common = "".join(f"{name}: {value}\r\n" for name, value in common.items())

    async def send(self, request: OutgoingRequest, key: str) -> AccountReply:
        """Send a request, with a key if its call has one. Never raises, except when it is cancelled."""
        await self._wait_for_clients()
        await self._wait_for_rates(request)
        try:
            async with timeout(TIMEOUT_SECONDS):
                response = await self._connections.exchange(self._encode(request, key))
        except TimeoutError:
            return AccountReply(None, reason=f"no response in {TIMEOUT_SECONDS:.0f} seconds")
        except (UnusableUrl, ExchangeError) as reason:
            return AccountReply(None, reason=str(reason))
        self._note_limits(tuple(request.rates), response)
        headers = response.headers
        tree = _decode(headers.get("content-type"), response.body)
        return AccountReply(response.status, tree, retry_after=headers.get("retry-after"))

    def close(self) -> None:
        """Close the connections that are not used now."""
        self._connections.close()

    def _encode(self, request: OutgoingRequest, key: str) -> bytes:
        head = f"{request.method} {self._prefix}{request.path} HTTP/1.1\r\n{self._common}"
        if request.has_key:
            head += f"idempotency-key: {key}\r\n"
        if request.tree is None:
            return f"{head}content-length: 0\r\n\r\n".encode()
        body = self._codec.encode(request.tree)
        return f"{head}content-type: {self._content_type}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body

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

    def _note_limits(self, rates: tuple[str, ...], response: HttpResponse) -> None:
        """Pause the requests of some rates, where the vendor has none left or asks for a pause."""
        headers, now = response.headers, self._now()
        pause = 0
        if headers.get("ratelimit-remaining") == "0":
            pause = parse_retry_after(headers.get("ratelimit-reset"), now)
        if response.status in PAUSING:
            pause = max(pause, parse_retry_after(headers.get("retry-after"), now))
        if pause:
            self._paused_until[rates] = max(self._paused_until.get(rates, 0), now + min(pause, MAX_PAUSE))


def _decode(content_type: str | None, body: bytes) -> Tree:
    """Return the tree of a reply; None if it has none that can be read."""
    if not body:
        return None
    try:
        codec, charset = codec_for(content_type)
        return codec.decode(body, charset, BOUNDS)
    except Refusal:
        return None
