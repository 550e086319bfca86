"""The call budget of a gateway that is observed: with metrics, the console, and refused requests kept.

Counted within the application, and from the bytes of a connection to the bytes of its response, where many requests
come at once and are stored in groups.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.server.http1 import ConnectionLimits, Http1Connections
from gateway.stores.sqlite import writer
from tests.test_call_budget import SHAPES, WARM_UP, CallCounter, Shape, count, serving
from tests.test_request_cycle import Transport, opened

OBSERVED = {
    "GATEWAY_METRICS_TOKEN": "token-of-the-metrics",
    "GATEWAY_CONSOLE": "true",
    "GATEWAY_KEEP_REFUSED_DAYS": "3",
}
OBSERVED_CALLS = 3
"""Calls that metrics add to a request: its response, its stages, and the group that it was stored in."""

CONNECTIONS = 16
CHECK_SECONDS = 3_600
"""Time between two checks of the timeouts of connections: none falls into a round."""

ROUNDS = 10
"""Rounds of requests that are counted. The least counts: a timer of the server may fall into the others."""

SERVED_CALLS = {"JSON update": 103, "XML update": 122}
"""Calls of one of many requests that come at once, from bytes to bytes."""


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "observed").mkdir()
    return tmp_path, tmp_path / "observed"


@pytest.mark.parametrize("name", SHAPES)
def test_an_observed_request_has_three_calls_more(name: str, folders: tuple[Path, Path]) -> None:
    off = asyncio.run(count(SHAPES[name], folders[0]))
    on = asyncio.run(count(SHAPES[name], folders[1], **OBSERVED))
    added = on.functions - off.functions
    assert added.total() <= OBSERVED_CALLS, added
    assert on.functions.total() <= SHAPES[name].calls


def request_bytes(shape: Shape, number: int) -> bytes:
    body = shape.body.replace("{}", str(number)).encode()
    headers = {"host": "localhost", "content-type": shape.content_type, "content-length": str(len(body))}
    lines = [f"{shape.method} {shape.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode() + body


async def exchange(connections: list[tuple[Any, Transport]], shape: Shape, number: int) -> None:
    """Send a request on each connection at once, and wait for the responses."""
    for index, (protocol, transport) in enumerate(connections):
        transport.written.clear()
        protocol.data_received(request_bytes(shape, number * CONNECTIONS + index))
    while not all(transport.written for _, transport in connections):
        await asyncio.sleep(0)
    assert all(transport.written[0].startswith(b"HTTP/1.1 200") for _, transport in connections)


async def count_served(shape: Shape, folder: Path, environment: Mapping[str, str]) -> float:
    """Return the calls of one of many requests that come at once."""
    async with serving(folder, **environment) as (application, state):

        async def stated(scope: Any, receive: Any, send: Any) -> None:
            await application({**scope, "state": dict(state)}, receive, send)

        protocol_class = Http1Connections(ConnectionLimits(), CHECK_SECONDS)
        connections = [opened(stated, protocol_class) for _ in range(CONNECTIONS)]
        for number in range(WARM_UP):
            await exchange(connections, shape, number)
        counters = [CallCounter() for _ in range(ROUNDS)]
        for number, counter in enumerate(counters, WARM_UP):
            with counter:
                await exchange(connections, shape, number)
        for protocol, _ in connections:
            protocol.connection_lost(None)
    return min(each.functions.total() for each in counters) / CONNECTIONS


@pytest.mark.parametrize("name", SERVED_CALLS)
def test_a_server_under_load_stays_within_its_budget(
    name: str, folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "MAX_GROUP_SECONDS", 60)  # a busy machine would divide the group
    off = asyncio.run(count_served(SHAPES[name], folders[0], {}))
    on = asyncio.run(count_served(SHAPES[name], folders[1], OBSERVED))
    assert off <= SERVED_CALLS[name], off
    assert on - off <= OBSERVED_CALLS, (on, off)
