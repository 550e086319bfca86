"""CORS: each response is that of Starlette's middleware."""

import asyncio
from typing import Any

import pytest
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.server.cors import CorsMiddleware

ORIGIN = (b"origin", b"https://shop.example")
PREFLIGHT = [ORIGIN, (b"access-control-request-method", b"POST"), (b"access-control-request-headers", b"revision")]


async def plain(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 202, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def response(app: ASGIApp, method: str, headers: list[tuple[bytes, bytes]]) -> list[Any]:
    events = []

    async def send(event: Any) -> None:
        events.append(event)

    async def run() -> None:
        await app({"type": "http", "method": method, "headers": headers}, None, send)  # type: ignore[arg-type]

    asyncio.run(run())
    return events


@pytest.mark.parametrize("method", ["POST", "GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("headers", [[], [ORIGIN], PREFLIGHT, PREFLIGHT[1:]])
def test_a_response_is_that_of_starlette(method: str, headers: list[tuple[bytes, bytes]]) -> None:
    expected = CORSMiddleware(plain, allow_origins=["*"], allow_methods=["POST"], allow_headers=["*"])
    assert response(CorsMiddleware(plain, ["POST"]), method, headers) == response(expected, method, headers)
