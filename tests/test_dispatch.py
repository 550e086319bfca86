"""The law of dispatch: it finds what Starlette's router finds, whatever the path, for every call and other routes."""

import asyncio
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from starlette.routing import Match, Route, Router
from starlette.types import Receive, Scope, Send

from gateway.dialects import load_dialects
from gateway.server.dispatch import Dispatch

CALL_PATHS = sorted(
    {call.path + slash for dialect in load_dialects({}) for call in dialect.calls for slash in ("", "/")}
)
SEGMENTS = sorted({segment for path in CALL_PATHS for segment in path.split("/")} | {"{}", "%2F", "a b", "profiles%2F"})


class App:
    """The app of a route, or of no route. Puts itself into the scope."""

    async def __call__(self, scope: Scope, _receive: Receive, _send: Send) -> None:
        scope["found"] = self


REST = App()


def dispatched(routes: list[Route], path: str) -> tuple[App, Any]:
    scope: dict[str, Any] = {"type": "http", "method": "POST", "raw_path": path.encode(), "path": "another"}

    async def run() -> None:
        await Dispatch(REST, routes)(scope, None, None)  # type: ignore[arg-type]

    asyncio.run(run())
    assert scope["path"] == path
    return scope["found"], scope.get("path_params", {})


def routed(routes: list[Route], path: str) -> tuple[App, Any]:
    """Return what the router finds if the paths without names come first."""
    scope = {"type": "http", "method": "POST", "path": path}
    for route in Router(sorted(routes, key=lambda route: "{" in route.path)).routes:
        match, found = route.matches(scope)
        if match == Match.FULL:
            return found["endpoint"], found["path_params"]
    return REST, {}


def paths_like(template: str) -> st.SearchStrategy[str]:
    """Paths with any values for the names of a template, and one segment more, less or different."""
    segments = template.split("/")
    values = [st.sampled_from(SEGMENTS) if "{" in each else st.just(each) for each in segments]
    filled = st.tuples(*values).map(list)
    changed = st.tuples(filled, st.integers(1, len(segments)), st.lists(st.sampled_from(SEGMENTS), max_size=2)).map(
        lambda row: [*row[0][: row[1]], *row[2], *row[0][row[1] + 1 :]]
    )
    return (filled | changed).map("/".join).filter(lambda path: path.startswith("/"))


@given(st.sampled_from(CALL_PATHS).flatmap(paths_like))
def test_every_call_is_found_as_the_router_finds_it(path: str) -> None:
    routes = [Route(each, App()) for each in CALL_PATHS]
    assert dispatched(routes, path) == routed(routes, path)


SHORT = st.lists(st.sampled_from(["a", "b", "", "{x}", "{y}"]), min_size=1, max_size=4).filter(
    lambda segments: segments.count("{x}") < 2 and segments.count("{y}") < 2
)


@example([["a", "{x}"], ["{x}", "b"]], ["a", "b"])
@example([["{x}", "b"], ["a", "{x}"], ["a", "{y}"]], ["a", "b"])
@given(st.lists(SHORT, min_size=1, max_size=8), st.lists(st.sampled_from(["a", "b", "", "{}", "c"]), min_size=1))
def test_of_routes_that_overlap_the_first_is_found(templates: list[list[str]], segments: list[str]) -> None:
    routes = [Route("/" + "/".join(each), App()) for each in templates]
    path = "/" + "/".join(segments)
    assert dispatched(routes, path) == routed(routes, path)


def test_other_scopes_go_on_unchanged() -> None:
    route = Route("/a", App())
    for scope in ({"type": "websocket", "raw_path": b"/a", "path": "/a"}, {"type": "http", "path": "/a"}):

        async def run(scope: Scope = scope) -> None:
            await Dispatch(REST, [route])(scope, None, None)  # type: ignore[arg-type]

        asyncio.run(run())
        assert scope["found"] is REST
