"""Dispatch of calls by their raw path: an encoded slash stays inside a name.

A path is looked up in tables, because Starlette's router tries one route after another. The router gets what is in no
table: health checks, published files, unknown paths.
"""

import re
from collections.abc import Awaitable, Sequence
from typing import TypeAlias, cast

from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

UNRESERVED = re.compile(r"(?<!%)(?<!%[0-9a-f])%(?:2[de]|3\d|[46][1-9a-f]|[57][\da]|5f|7e)", re.IGNORECASE)
"""An encoded character that equals itself (RFC 3986, 6.2.2.2). What follows a malformed triplet stays as it is."""

SLASHES = re.compile("/{2,}")

NAME = re.compile(r"\{(\w+)\}")
"""A name in the path of a route, which stands for one segment that is not empty."""

Names: TypeAlias = dict[int, str]
"""The names of a template, by the number of their segment."""


class Dispatch:
    """ASGI: passes each request to the app of its route, or else to `app`.

    Sets the path of a request to its normalized raw path, and `path_params`. Repeated slashes count as one under each
    of `slash_merging_prefixes`. A path without names comes before one with names; else the first route that matches.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[Route], slash_merging_prefixes: Sequence[str] = ()) -> None:
        self._app = app
        self._slash_merging_prefixes = slash_merging_prefixes
        self._by_path: dict[str, ASGIApp] = {}
        self._by_raw_path: dict[bytes, tuple[str, ASGIApp]] = {}
        self._templates: dict[str, tuple[int, Names, ASGIApp]] = {}
        self._places: dict[int, list[tuple[int, ...]]] = {}
        self._count = len(routes)
        for number, route in enumerate(routes):
            self._add(number, route)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        raw_path = scope.get("raw_path")
        if scope["type"] != "http" or not raw_path:
            app = self._app
        elif found := self._by_raw_path.get(raw_path):
            scope["path"], app = found
        else:
            scope["path"] = path = self._normalize(raw_path.decode("latin-1").partition("?")[0])
            app = self._by_path.get(path) or self._by_template(path, scope) or self._app
        return app(scope, receive, send)

    def _add(self, number: int, route: Route) -> None:
        """Add a route to the tables. A bound method is called faster than an object."""
        path, app = route.path, cast(ASGIApp, route.app.__call__)  # type: ignore[operator]  # mypy: of a function
        if "{" not in path:
            self._by_path.setdefault(path, app)
            self._by_raw_path.setdefault(path.encode(), (path, app))
            return
        segments = path.split("/")
        names = {place: match[1] for place, each in enumerate(segments) if (match := NAME.fullmatch(each))}
        self._templates.setdefault(NAME.sub("{}", path), (number, names, app))
        places = self._places.setdefault(len(segments), [])
        if tuple(names) not in places:
            places.append(tuple(names))

    def _by_template(self, path: str, scope: Scope) -> ASGIApp | None:
        """Return the app of the first template that a path matches, and set `path_params`; None if there is none."""
        segments = path.split("/")
        first, app = self._count, None
        for places in self._places.get(len(segments), ()):
            template = segments.copy()
            for place in places:
                template[place] = "{}" if segments[place] else ""
            found = self._templates.get("/".join(template))
            if found and found[0] < first:
                first, names, app = found
                scope["path_params"] = params = {}
                for place, name in names.items():
                    params[name] = segments[place]
        return app

    def _normalize(self, path: str) -> str:
        if "%" in path:
            path = UNRESERVED.sub(lambda triplet: chr(int(triplet[0][1:], 16)), path)
        if "//" in path:
            prefix = next((prefix for prefix in self._slash_merging_prefixes if path.startswith(f"{prefix}/")), path)
            path = prefix + SLASHES.sub("/", path.removeprefix(prefix))
        return path
