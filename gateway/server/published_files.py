"""The published descriptions over HTTP: OpenAPI, XML Schemas, JSON Schemas and the page /docs."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse
from starlette.responses import Response as StarletteResponse
from starlette.routing import Route

from gateway.dialects.protocol import Dialect
from gateway.openapi import files

DOCS = "/docs"
SCHEMAS = "schemas/"

Generate: TypeAlias = Callable[[], Mapping[str, bytes]]


def description_routes(dialects: Sequence[Dialect]) -> list[Route]:
    """Return the routes of all files, of their list, and of `/`. The first request for a file generates all."""
    generate = cache(partial(files.site, dialects))
    file, schema_list = _file_endpoint(generate), _list_endpoint(generate)
    return [
        *(Route(f"/{path}", file) for path in files.PATHS),
        *(Route(path, schema_list) for path in ("/schemas", "/schemas/")),
        *(Route(path, _redirect_to_docs) for path in ("/", f"{DOCS}/")),
    ]


def _file_endpoint(generate: Generate) -> Callable[[Request], object]:
    async def endpoint(request: Request) -> StarletteResponse:
        path = request.scope["path"].strip("/")
        if path in files.MOVED:
            return _redirect(request, files.MOVED[path], 308)
        body = (await asyncio.to_thread(generate)).get(path)
        if body is None:
            return JSONResponse({"status": "there is no such file"}, 404)
        return StarletteResponse(body, headers=files.headers(path))

    return endpoint


def _list_endpoint(generate: Generate) -> Callable[[Request], object]:
    async def endpoint(_request: Request) -> JSONResponse:
        paths = await asyncio.to_thread(generate)
        return JSONResponse({"schemas": sorted(f"/{path}" for path in paths if path.startswith(SCHEMAS))})

    return endpoint


async def _redirect_to_docs(request: Request) -> RedirectResponse:
    return _redirect(request, DOCS.strip("/"))


def _redirect(request: Request, path: str, status: int = 307) -> RedirectResponse:
    """Redirect by a relative reference, so that a proxy may add a prefix to all paths."""
    depth = request.scope["path"].count("/") - 1
    return RedirectResponse("../" * depth + path, status)
