"""The endpoints of the console: ASGI in, a message to its pages, their response out."""

from collections.abc import Callable, Sequence
from time import perf_counter

from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from gateway.console.pages import ConsoleContext
from gateway.console.recorder import NAME, TrafficRecorder
from gateway.console.site import HOME, PAGES, ROOT, SIGN_IN, SIGN_OUT, Console, static_response
from gateway.core.tombstones import Pseudonym
from gateway.dialects.protocol import Dialect
from gateway.media import Bounds
from gateway.server.endpoints import EndpointContext, message_of
from gateway.server.errors import ClientDisconnected, RequestRefusal
from gateway.server.responses import response_events
from gateway.service.catalog import Catalog
from gateway.service.http_messages import Message, Response
from gateway.service.pipeline import Pipeline
from gateway.service.replays import Replays
from gateway.stores.protocol import Store

STATIC = f"{ROOT}/static"


class ConsoleEndpoints:
    """The endpoints of all pages, and what they record for the page of the traffic."""

    def __init__(self) -> None:
        self.recorder = TrafficRecorder()
        self.console: Console

    def routes(self, common: EndpointContext) -> list[Route]:
        """Return a route for every page, for the files beside them, and for all other paths below the root."""
        names = sorted({name for _, name in PAGES} | {SIGN_IN, SIGN_OUT})
        paths = [f"{ROOT}/{name}" for name in names]
        templates = [*paths, f"{STATIC}/{{file}}", ROOT, f"{ROOT}/", f"{ROOT}/{{rest:path}}"]
        return [Route(path, ConsoleEndpoint(path, self, common)) for path in templates]

    def start(
        self,
        store: Store,
        catalog: Catalog,
        dialects: Sequence[Dialect],
        key: bytes | None,
        pseudonym: Pseudonym | None,
        now: Callable[[], int],
        keeps_refused: bool,
    ) -> None:
        """Create the console when the application starts. `now` returns milliseconds since 1970."""
        context = ConsoleContext(store, catalog, dialects, pseudonym, self.recorder, now, key, keeps_refused)
        self.console = Console(context)

    def use(self, pipeline: Pipeline, bounds: Bounds, replays: Replays) -> None:
        """Run requests with these from now on."""
        context = self.console.context
        context.pipeline, context.bounds, context.replays = pipeline, bounds, replays


class ConsoleEndpoint:
    """One page, for all methods."""

    def __init__(self, route: str, endpoints: ConsoleEndpoints, common: EndpointContext) -> None:
        self._route = route
        self._endpoints = endpoints
        self._common = common

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started, common = perf_counter(), self._common
        try:
            body = await common.bodies.read(scope["headers"], receive, common.max_body)
            message = message_of(scope, body, common)
            response = await self._respond(message, scope)
        except RequestRefusal as refusal:
            message = message_of(scope, b"", common)
            fault = refusal.faults[0]
            response = Response(fault.status, {"content-type": "text/plain"}, f"{fault.text}\n".encode())
        except ClientDisconnected:
            return
        start, end = response_events(response, message)
        await send(start)
        await send(end)
        common.responses.add(NAME, self._route, message, response, started)

    async def _respond(self, message: Message, scope: Scope) -> Response:
        if self._route.startswith(f"{STATIC}/"):
            return static_response(message.path.get("file", ""))
        if self._route.rstrip("/") == ROOT:
            return Response(303, {"location": HOME if self._route.endswith("/") else f"console/{HOME}"}, b"")
        client = scope.get("client") or ("",)
        name = self._route.removeprefix(f"{ROOT}/")
        return await self._endpoints.console.respond(name, message, client[0])
