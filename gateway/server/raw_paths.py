"""Routing by the raw path: an encoded slash stays inside a name."""

import re
from collections.abc import Sequence

from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

UNRESERVED = re.compile(r"(?<!%)(?<!%[0-9a-f])%(?:2[de]|3\d|[46][1-9a-f]|[57][\da]|5f|7e)", re.IGNORECASE)
"""An encoded character that equals itself (RFC 3986, 6.2.2.2). What follows a malformed triplet stays as it is."""

SLASHES = re.compile("/{2,}")


class RawPathMiddleware:
    """Replaces the decoded path by the normalized raw one.

    Repeated slashes count as one under each of `slash_merging_prefixes`. A path without names is looked up here,
    because Starlette's router tries one route after another.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[Route], slash_merging_prefixes: Sequence[str] = ()) -> None:
        self._app = app
        self._endpoints = {route.path: route.app for route in routes if "{" not in route.path}
        self._slash_merging_prefixes = slash_merging_prefixes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if scope["type"] == "http" and scope.get("raw_path"):
            scope["path"] = path = self._normalize(scope["raw_path"].decode("latin-1").partition("?")[0])
            app = self._endpoints.get(path, app)
        await app(scope, receive, send)

    def _normalize(self, path: str) -> str:
        if "%" in path:
            path = UNRESERVED.sub(lambda triplet: chr(int(triplet[0][1:], 16)), path)
        if "//" in path:
            prefix = next((prefix for prefix in self._slash_merging_prefixes if path.startswith(f"{prefix}/")), path)
            path = prefix + SLASHES.sub("/", path.removeprefix(prefix))
        return path
