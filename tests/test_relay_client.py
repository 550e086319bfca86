"""What a relay sends over the network, and when it waits."""

import asyncio
from collections.abc import Iterator

import httpx
import pytest

from gateway.dialects.outgoing import OutgoingRequest
from gateway.feed.relay.client import AccountClient
from gateway.media import CODECS
from tests.relay_pair import TestConnections

LISTS, PROFILES = OutgoingRequest("GET", "/lists", None, ("20/minute",)), OutgoingRequest("GET", "/profiles")
[JSON] = [each for each in CODECS if each.name == "json"]


def pauses(
    monkeypatch: pytest.MonkeyPatch, replies: Iterator[httpx.Response], *requests: OutgoingRequest
) -> list[float]:
    """Send requests one after another, with a clock that stands still. Return the pauses."""
    found: list[float] = []

    async def sleep(seconds: float) -> None:
        found.append(seconds)

    async def work() -> None:
        async def wait_for_clients() -> None:
            return None

        connections = TestConnections(httpx.MockTransport(lambda _request: next(replies)))
        url, type = "http://127.0.0.1:1", "application/json"
        client = AccountClient(url, {}, JSON, type, 1.0, wait_for_clients, lambda: 1_000, connections)
        for each in requests:
            await client.send(each, "key")
        client.close()

    monkeypatch.setattr("gateway.feed.relay.client.sleep", sleep)
    asyncio.run(work())
    return found


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (200, {"ratelimit-remaining": "0", "ratelimit-reset": "7"}, [7.0]),
        (200, {"ratelimit-remaining": "1", "ratelimit-reset": "7"}, []),
        (200, {"ratelimit-remaining": "0"}, []),
        (429, {"retry-after": "9"}, [9.0]),
        (429, {"retry-after": "9000"}, [60.0]),
        (503, {"retry-after": "soon"}, []),
        (400, {"retry-after": "9"}, []),
    ],
)
def test_requests_of_the_same_rates_wait_by_retry_after(
    monkeypatch: pytest.MonkeyPatch, status: int, headers: dict[str, str], expected: list[float]
) -> None:
    replies = iter([httpx.Response(status, headers=headers), httpx.Response(200), httpx.Response(200)])
    assert pauses(monkeypatch, replies, LISTS, PROFILES, LISTS) == expected
