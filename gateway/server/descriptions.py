"""The published descriptions over HTTP: OpenAPI, XML Schemas, JSON Schemas and the page /docs."""

import asyncio
from collections.abc import Sequence
from functools import cache, partial

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse
from starlette.responses import Response as StarletteResponse
from starlette.routing import Route

from gateway.dialects.protocol import Dialect
from gateway.openapi import files


def description_routes(dialects: Sequence[Dialect]) -> list[Route]:
    """Return the routes of all files. The first request for one of them generates all."""
    generate = cache(partial(files.site, dialects))

    async def endpoint(request: Request) -> StarletteResponse:
        path = request.scope["path"].strip("/")
        if path in files.MOVED:
            return RedirectResponse(f"/{files.MOVED[path]}", 308)
        body = (await asyncio.to_thread(generate)).get(path)
        if body is None:
            return JSONResponse({"status": "there is no such file"}, 404)
        return StarletteResponse(body, headers=files.headers(path))

    return [Route(f"/{path}", endpoint) for path in files.PATHS]
