"""HTTP in and out, and the composition root: settings to store to routes. The only place that knows Starlette.

It reads bodies within their limit, finds the call, and hands everything else to the pipeline.
"""

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import Any
from urllib.parse import parse_qsl, unquote

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.responses import Response as StarletteResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway import published
from gateway.catalog import Catalog
from gateway.core.faults import Fault, Refusal, refuse
from gateway.dialects import BATCHES, Call, Dialect, dialects
from gateway.geo import Locator
from gateway.media import Bounds
from gateway.pipeline import Message, Pipeline, Response
from gateway.rates import Rates
from gateway.settings import Settings
from gateway.stores import Store, Unavailable, open_store
from gateway.verbs import Verbs

log = logging.getLogger("gateway")

PRUNING_PAUSE = 60.0
PRUNING_STEP = 500
DAY = 24 * 60 * 60 * 1000


def from_environment() -> Starlette:
    """The application as the environment's settings describe it; what uvicorn's workers call."""
    return create(Settings.from_environment(os.environ))


def create(
    settings: Settings,
    speaking: Sequence[Dialect] | None = None,
    now: Callable[[], int] | None = None,
    new_id: Callable[[], str] | None = None,
    opened: Callable[[str], Awaitable[Store]] = open_store,
) -> Starlette:
    """The application. Tests may bring dialects, a clock (ms), ids and a store of their own."""
    spoken = dialects(_plain(settings)) if speaking is None else list(speaking)
    now, new_id = now or _now, new_id or _new_id

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        store = await opened(settings.store)
        bounds = Bounds(settings.max_depth, settings.max_nodes)
        locator = Locator(settings.geoip)
        app.state.store = store
        catalog, verbs = Catalog(store, spoken), Verbs(store, locator, now, new_id)
        app.state.pipeline = Pipeline(catalog, verbs, rates, bounds, settings.max_batch, now)
        pruning = asyncio.create_task(_prune(store, settings.keep_changes_days * DAY, now))
        yield
        pruning.cancel()
        await store.close()

    rates = Rates(settings.rate_limits)
    limits = _Limits(settings.max_body, settings.max_batch_body)
    doors = [door for dialect in spoken for door in _doors(dialect, limits)]
    routes = [Route("/healthz", _alive), Route("/readyz", _ready), *doors, *_published(spoken)]
    app = Starlette(routes=routes, lifespan=lifespan, middleware=[Middleware(_RawPaths)])
    app.router.redirect_slashes = False
    app.router.default = _Nowhere(spoken)
    return app


# --- doors ---


@dataclass(frozen=True, slots=True)
class _Limits:
    """The most bytes a body may have, for one profile and for a batch."""

    profile: int
    batch: int


class _Door:
    """One path of a dialect, for every method that it answers."""

    def __init__(self, dialect: Dialect, calls: Mapping[str, Call], limits: _Limits) -> None:
        self._dialect = dialect
        self._calls = calls
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        pipeline: Pipeline = scope["app"].state.pipeline
        call = self._calls.get(scope["method"])
        try:
            if call is None:
                raise refuse("method_not_allowed", f"this call takes {', '.join(self._calls)}")
            limit = call.limit or (self._limits.batch if call.verb in BATCHES else self._limits.profile)
            message = _message(scope, await _body(scope, receive, limit))
        except ClientDisconnect:
            return
        except Refusal as refusal:
            headers = {"allow": ", ".join(self._calls)} if call is None else {"connection": "close"}
            response = pipeline.refused(self._dialect, _message(scope, b""), refusal.faults[0], headers)
        else:
            response = await pipeline.respond(self._dialect, call, message)
        await _answer(send, response, scope["method"])


class _Nowhere:
    """Answers for paths that no call has, in the words of the dialect whose prefix they begin with."""

    def __init__(self, spoken: Sequence[Dialect]) -> None:
        prefixes = ((prefix, dialect) for dialect in spoken for prefix in dialect.prefixes)
        self._spoken = sorted(prefixes, key=lambda row: len(row[0]), reverse=True)
        self._default = spoken[0]

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        dialect = next((dialect for prefix, dialect in self._spoken if path.startswith(prefix)), self._default)
        pipeline: Pipeline = scope["app"].state.pipeline
        response = pipeline.refused(dialect, _message(scope, b""), Fault("unknown_call"), {})
        await _answer(send, response, scope["method"])


def _doors(dialect: Dialect, limits: _Limits) -> list[Route]:
    """Every path of a dialect, with and without a trailing slash: a POST is never redirected."""
    paths: dict[str, dict[str, Call]] = {}
    for call in dialect.calls:
        paths.setdefault(call.path, {})[call.method] = call
    return [
        Route(path + slash, _Door(dialect, calls, limits), middleware=_open_to_pages(calls.values()))
        for path, calls in paths.items()
        for slash in ("", "/")
    ]


def _open_to_pages(calls: Iterable[Call]) -> list[Middleware]:
    """What answers a browser's questions (Fetch's CORS protocol), where pages of any site may call."""
    methods = [call.method for call in calls if call.open]
    return (
        [Middleware(CORSMiddleware, allow_origins=["*"], allow_methods=methods, allow_headers=["*"])] if methods else []
    )


class _RawPaths:
    """Routes by the path as it came: an encoded slash is part of a name, and not a step of the path."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope.get("raw_path"):
            scope["path"] = scope["raw_path"].decode("latin-1").partition("?")[0]
        await self._app(scope, receive, send)


def _message(scope: Scope, body: bytes) -> Message:
    headers: dict[str, str] = {}
    for name, value in ((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]):
        headers[name] = f"{headers[name]}, {value}" if name in headers else value  # RFC 9110, 5.3
    asked = scope["query_string"].decode("latin-1")
    query = dict(parse_qsl(asked, keep_blank_values=True)) if asked else {}
    path = {name: unquote(value) for name, value in scope.get("path_params", {}).items()}
    target = f"{scope['path']}?{asked}" if asked else scope["path"]
    return Message(scope["method"], headers, body, query, path, target)


async def _body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The whole body. Raises `Refusal`: body_too_large, before more than the limit is held; unsupported_media_type."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > limit:
            raise _too_large(limit)
        if name == b"content-encoding" and value.lower() not in (b"", b"identity"):
            raise refuse("unsupported_media_type", "a content encoding is not supported")
    chunks: list[bytes] = []
    size = 0
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = event.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        chunks.append(chunk)
        if not event.get("more_body"):
            return chunk if len(chunks) == 1 else b"".join(chunks)


def _too_large(limit: int) -> Refusal:
    return refuse("body_too_large", f"the body may have at most {limit} bytes")


async def _answer(send: Send, response: Response, method: str) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers.items()]
    headers.append((b"content-length", str(len(response.body)).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else response.body})


# --- contracts ---


def _published(spoken: Sequence[Dialect]) -> list[Route]:
    """The contracts and the page that shows them, all made when one of them is first asked for."""
    made = cache(partial(published.site, spoken))

    async def answer(request: Request) -> StarletteResponse:
        path = request.scope["path"].strip("/")
        body = (await asyncio.to_thread(made)).get(path)
        if body is None:
            return JSONResponse({"status": "there is no such file"}, 404)
        return StarletteResponse(body, headers=published.headers(path))

    return [Route(f"/{path}", answer) for path in published.PATHS]


# --- health ---


async def _alive(_request: Request) -> JSONResponse:
    return JSONResponse({"status": "ok"})


async def _ready(request: Request) -> JSONResponse:
    store: Store = request.app.state.store
    try:
        await store.ready()
    except Unavailable:
        return JSONResponse({"status": "the store does not answer"}, 503)
    return JSONResponse({"status": "ok"})


# --- the outer world, injected ---


async def _prune(store: Store, age: int, now: Callable[[], int]) -> None:
    """Forgets recorded changes and jobs that are old enough, in small steps beside the load."""
    while True:
        try:
            while await store.prune(now() - age, PRUNING_STEP) >= PRUNING_STEP:
                await asyncio.sleep(0.05)
        except Unavailable:
            log.warning("the store did not answer: old changes are pruned later")
        await asyncio.sleep(PRUNING_PAUSE)


def _now() -> int:
    return time.time_ns() // 1_000_000


def _new_id() -> str:
    """24 hexadecimal digits, the first eight of them the time: new profiles lie beside each other in the store."""
    return f"{int(time.time()) & 0xFFFFFFFF:08x}{os.urandom(8).hex()}"


def _plain(settings: Settings) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in settings.__struct_fields__}
