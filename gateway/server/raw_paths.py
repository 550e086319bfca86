"""Routing by the raw path: an encoded slash stays inside a name."""

from collections.abc import Sequence

from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send


class RawPathMiddleware:
    """Replaces the decoded path by the raw one.

    A path without names is looked up here, because Starlette's router tries one route after another.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[Route]) -> None:
        self._app = app
        self._endpoints = {route.path: route.app for route in routes if "{" not in route.path}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if scope["type"] == "http" and scope.get("raw_path"):
            scope["path"] = path = scope["raw_path"].decode("latin-1").partition("?")[0]
            app = self._endpoints.get(path, app)
        await app(scope, receive, send)
