"""HTTP in and out, and the composition root: settings to store to routes. The only place that knows Starlette.

It finds the call, has its body read, and hands everything else to the pipeline; what it answered is logged and counted.
"""

import asyncio
import gc
import logging
import os
import re
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache, partial
from hmac import compare_digest
from itertools import count
from time import perf_counter
from typing import Any
from urllib.parse import parse_qsl, unquote

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse
from starlette.responses import Response as StarletteResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.core.faults import Fault
from gateway.dialects import load_dialects
from gateway.dialects.protocol import BATCHES, Call, Dialect
from gateway.media import Bounds
from gateway.openapi import files
from gateway.server.access_log import AccessLog, to_stdout
from gateway.server.bodies import Bodies, Gone, Unreadable
from gateway.server.metrics import CONTENT_TYPE, Metrics
from gateway.service.catalog import Catalog
from gateway.service.geolocation import Geolocator
from gateway.service.operations import Operations
from gateway.service.pipeline import Message, Pipeline, Response
from gateway.service.rate_limits import RateLimits
from gateway.settings import Settings
from gateway.stores import open_store
from gateway.stores.errors import Unavailable
from gateway.stores.protocol import Store

log = logging.getLogger("gateway")

SWITCH_INTERVAL = 0.0002
"""Seconds that a thread may keep the others from the interpreter, as one that understands a large body would."""

PRUNING_PAUSE = 60.0
PRUNING_STEP = 500
COLLECTING_PAUSE = 60.0
"""Seconds between two looks of the garbage collector at everything."""

DAY = 24 * 60 * 60 * 1000


def from_environment() -> Starlette:
    """The application as the environment's settings describe it; what uvicorn's workers call."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    app = create(Settings.from_environment(os.environ))
    _collect_seldom()
    return app


def create(
    settings: Settings,
    speaking: Sequence[Dialect] | None = None,
    now: Callable[[], int] | None = None,
    new_id: Callable[[], str] | None = None,
    opened: Callable[[str], Awaitable[Store]] = open_store,
) -> Starlette:
    """The application. Tests may bring dialects, a clock (ms), ids and a store of their own."""
    spoken = load_dialects(_plain(settings)) if speaking is None else list(speaking)
    now, new_id = now or _now, new_id or _new_id

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
        store = await opened(settings.store)
        shape = settings.max_depth, settings.max_nodes
        bounds = Bounds(*shape, settings.max_name, settings.max_text, settings.max_items)
        locator = Geolocator(settings.geoip)
        app.state.store = store
        catalog, verbs = Catalog(store, spoken), Operations(store, locator, now, new_id)
        app.state.pipeline = Pipeline(catalog, verbs, rates, bounds, settings.max_batch, now)
        pruning = asyncio.create_task(_prune(store, settings.keep_changes_days * DAY, now))
        collecting = asyncio.create_task(_collect())
        yield {"counting": metrics}
        collecting.cancel()
        pruning.cancel()
        await store.close()
        sight.close()

    rates = RateLimits(settings.rate_limits, settings.token_rate)
    metrics = Metrics() if settings.metrics_token else None
    sight = _Sight(AccessLog(to_stdout) if settings.access_log else None, metrics)
    limits = _Limits(settings.max_body, settings.max_batch_body)
    bodies = Bodies(settings.max_compression, settings.max_held_bodies)
    house = _House(limits, bodies, _Work(settings.max_requests), sight)
    doors = [door for dialect in spoken for door in _doors(dialect, house)]
    if metrics and settings.metrics_token:
        doors.append(Route("/metrics", _exposition(metrics, settings.metrics_token)))
    routes = [Route("/healthz", _alive), Route("/readyz", _ready), *doors, *_published(spoken)]
    app = Starlette(routes=routes, lifespan=lifespan, middleware=[Middleware(_Hall, doors)])
    app.router.redirect_slashes = False
    app.router.default = _Nowhere(spoken, sight)
    return app


# --- doors ---


@dataclass(frozen=True, slots=True)
class _Limits:
    """The most bytes a body may have, for one profile and for a batch."""

    profile: int
    batch: int


class _Work:
    """The requests that are being worked on: a `with` takes one of so many places, or raises `Unreadable` at once."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0

    def __enter__(self) -> None:
        if self._taken >= self._most:
            raise Unreadable("overloaded", f"{self._most} requests are being worked on", {"retry-after": "1"})
        self._taken += 1

    def __exit__(self, *_: object) -> None:
        self._taken -= 1


class _Sight:
    """Sends answers, and shows each to an operator: as a line of the log and in the metrics, where they are wanted."""

    def __init__(self, log: AccessLog | None, metrics: Metrics | None) -> None:
        self._log = log
        self._metrics = metrics
        self._ids = _request_ids()

    async def answer(
        self, send: Send, dialect: str, route: str, message: Message, response: Response, began: float
    ) -> None:
        """Sends the answer to a request that began at a time of `perf_counter`, and shows it."""
        id = self._id_for(message)
        await _send(send, response, message.method, id)
        self._saw(dialect, route, id, message, response, perf_counter() - began)

    def close(self) -> None:
        if self._log:
            self._log.close()
        if self._metrics:
            self._metrics.close()

    def _id_for(self, message: Message) -> str:
        """The request's own id, where it may be repeated, else a new one."""
        sent = message.headers.get("x-request-id")
        return sent if sent and _REPEATABLE(sent) else next(self._ids)

    def _saw(self, dialect: str, route: str, id: str, message: Message, response: Response, seconds: float) -> None:
        status, fault = response.status, response.fault
        if self._log:
            self._log.add(
                id=id,
                dialect=dialect,
                method=message.method,
                route=route,
                status=status,
                fault=fault,
                ms=round(seconds * 1000, 2),
                received=len(message.body),
                sent=len(response.body),
            )
        if self._metrics:
            self._metrics.answered(dialect, message.method, route, status, fault, seconds)


_REPEATABLE = re.compile(r"[A-Za-z0-9._:/=-]{1,128}").fullmatch
"""UUIDs, ULIDs, trace ids and the like are; what holds `@`, `+` or a blank might be personal, and would be logged."""


def _request_ids() -> Iterator[str]:
    """Ids that no other process makes either: a random beginning, then a number."""
    beginning = os.urandom(8).hex()
    return (f"{beginning}{number:08x}" for number in count(1))


@dataclass(frozen=True, slots=True)
class _House:
    """What all doors share."""

    limits: _Limits
    bodies: Bodies
    work: _Work
    sight: _Sight


class _Door:
    """One path of a dialect, for every method that it answers."""

    def __init__(self, dialect: Dialect, route: str, calls: Mapping[str, Call], house: _House) -> None:
        self._dialect = dialect
        self._route = route
        self._calls = calls
        self._house = house

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = perf_counter()
        try:
            message, response = await self._answered(scope, receive)
        except Gone:
            return
        await self._house.sight.answer(send, self._dialect.name, self._route, message, response, began)

    async def _answered(self, scope: Scope, receive: Receive) -> tuple[Message, Response]:
        pipeline: Pipeline = scope["app"].state.pipeline
        call = self._calls.get(scope["method"])
        try:
            if call is None:
                methods = ", ".join(self._calls)
                raise Unreadable("method_not_allowed", f"this call takes {methods}", {"allow": methods})
            body = await self._house.bodies.read(scope["headers"], receive, self._limit(call))
            message = _message(scope, body)
            with self._house.work:
                return message, await pipeline.respond(self._dialect, call, message)
        except Unreadable as unread:
            message = _message(scope, b"")
            return message, pipeline.refused(self._dialect, message, unread.faults[0], unread.headers)

    def _limit(self, call: Call) -> int:
        limits = self._house.limits
        return call.max_body_bytes or (limits.batch if call.operation in BATCHES else limits.profile)


class _Nowhere:
    """Answers for paths that no call has, in the words of the dialect whose prefix they begin with."""

    def __init__(self, spoken: Sequence[Dialect], sight: _Sight) -> None:
        prefixes = ((prefix, dialect) for dialect in spoken for prefix in dialect.prefixes)
        self._spoken = sorted(prefixes, key=lambda row: len(row[0]), reverse=True)
        self._default = spoken[0]
        self._sight = sight

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        began = perf_counter()
        path: str = scope["path"]
        dialect = next((dialect for prefix, dialect in self._spoken if path.startswith(prefix)), self._default)
        pipeline: Pipeline = scope["app"].state.pipeline
        message = _message(scope, b"")
        response = pipeline.refused(dialect, message, Fault("unknown_call"), {})
        await self._sight.answer(send, dialect.name, "", message, response, began)


def _doors(dialect: Dialect, house: _House) -> list[Route]:
    """Every path of a dialect, with and without a trailing slash: a POST is never redirected."""
    paths: dict[str, dict[str, Call]] = {}
    for call in dialect.calls:
        paths.setdefault(call.path, {})[call.method] = call
    return [
        Route(path + slash, _Door(dialect, path, calls, house), middleware=_open_to_pages(calls.values()))
        for path, calls in paths.items()
        for slash in ("", "/")
    ]


def _open_to_pages(calls: Iterable[Call]) -> list[Middleware]:
    """What answers a browser's questions (Fetch's CORS protocol), where pages of any site may call."""
    methods = [call.method for call in calls if call.is_public]
    return (
        [Middleware(CORSMiddleware, allow_origins=["*"], allow_methods=methods, allow_headers=["*"])] if methods else []
    )


class _Hall:
    """Leads to the doors, by the path as it came: an encoded slash is part of a name, and not a step of the path.

    A path without names in it is looked up here: Starlette's router tries one route after another.
    """

    def __init__(self, app: ASGIApp, doors: Sequence[Route]) -> None:
        self._app = app
        self._doors = {door.path: door.app for door in doors if "{" not in door.path}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if scope["type"] == "http" and scope.get("raw_path"):
            scope["path"] = path = scope["raw_path"].decode("latin-1").partition("?")[0]
            app = self._doors.get(path, app)
        await app(scope, receive, send)


def _message(scope: Scope, body: bytes) -> Message:
    headers: dict[str, str] = {}
    for name, value in ((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]):
        headers[name] = f"{headers[name]}, {value}" if name in headers else value  # RFC 9110, 5.3
    asked = scope["query_string"].decode("latin-1")
    query = dict(parse_qsl(asked, keep_blank_values=True)) if asked else {}
    path = {name: unquote(value) for name, value in scope.get("path_params", {}).items()}
    target = f"{scope['path']}?{asked}" if asked else scope["path"]
    return Message(scope["method"], headers, body, query, path, target)


async def _send(send: Send, response: Response, method: str, id: str) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers.items()]
    headers.append((b"content-length", str(len(response.body)).encode()))
    headers.append((b"x-request-id", id.encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else response.body})


# --- contracts ---


def _published(spoken: Sequence[Dialect]) -> list[Route]:
    """The contracts and the page that shows them, all made when one of them is first asked for."""
    made = cache(partial(files.site, spoken))

    async def answer(request: Request) -> StarletteResponse:
        path = request.scope["path"].strip("/")
        if path in files.MOVED:
            return RedirectResponse(f"/{files.MOVED[path]}", 308)
        body = (await asyncio.to_thread(made)).get(path)
        if body is None:
            return JSONResponse({"status": "there is no such file"}, 404)
        return StarletteResponse(body, headers=files.headers(path))

    return [Route(f"/{path}", answer) for path in files.PATHS]


# --- health and metrics ---


async def _alive(_request: Request) -> JSONResponse:
    return JSONResponse({"status": "ok"})


async def _ready(request: Request) -> JSONResponse:
    store: Store = request.app.state.store
    try:
        await store.ready()
    except Unavailable:
        return JSONResponse({"status": "the store does not answer"}, 503)
    return JSONResponse({"status": "ok"})


def _exposition(metrics: Metrics, token: str) -> Callable[[Request], Awaitable[PlainTextResponse]]:
    """The page that a collector of metrics asks for, with the token that it must bring."""
    expected = f"Bearer {token}".encode()

    async def exposition(request: Request) -> PlainTextResponse:
        if not compare_digest(request.headers.get("authorization", "").encode("latin-1"), expected):
            return PlainTextResponse("a token is needed\n", 401, {"www-authenticate": "Bearer"})
        return PlainTextResponse(metrics.exposition(), media_type=CONTENT_TYPE)

    return exposition


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


def _collect_seldom() -> None:
    """Spares the garbage collector what stays as long as the process does, and what lives as long as one request.

    A request leaves next to no cycles behind: nearly all of its objects are freed as soon as nobody needs them. The
    young are looked at as they come, few at a time. All are looked at once in `COLLECTING_PAUSE`: the collector's own
    rule did so several times in each large batch, and held up everybody for 50 to 100 ms.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 5, 1_000_000)


async def _collect() -> None:
    while True:
        await asyncio.sleep(COLLECTING_PAUSE)
        gc.collect()


def _now() -> int:
    return time.time_ns() // 1_000_000


def _new_id() -> str:
    """24 hexadecimal digits, the first eight of them the time: new profiles lie beside each other in the store."""
    return f"{int(time.time()) & 0xFFFFFFFF:08x}{os.urandom(8).hex()}"


def _plain(settings: Settings) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in settings.__struct_fields__}
