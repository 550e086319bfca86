"""The parts of an application that exist before its store is open."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.routing import Route

from gateway.dialects.protocol import Dialect
from gateway.optional_dependencies import OTLP_EXPORTER, require_extra
from gateway.server.access_log import AccessLog, write_stdout
from gateway.server.api_endpoints import ApiContext, api_routes
from gateway.server.bodies import BodyReader
from gateway.server.endpoints import EndpointContext, routes_of
from gateway.server.public_address import PublicAddress, parse_networks
from gateway.server.request_ids import request_ids
from gateway.server.responses import ResponseLog
from gateway.settings import Settings

if TYPE_CHECKING:
    from gateway.server.console_endpoints import ConsoleEndpoints
    from gateway.server.metrics import Metrics
    from gateway.server.tracing import Tracing


@dataclass(frozen=True, slots=True)
class Parts:
    """What all requests share, and what the settings switch on. The contexts get their pipelines at the start."""

    settings: Settings
    dialects: Sequence[Dialect]
    metrics: "Metrics | None"
    console: "ConsoleEndpoints | None"
    responses: ResponseLog
    context: EndpointContext
    api: ApiContext

    def routes(self) -> list[Route]:
        """Return the routes of the dialects, the own API, the metrics and the console."""
        routes = [route for dialect in self.dialects for route in routes_of(dialect, self.context)]
        routes += api_routes(self.api)
        if self.metrics and self.settings.metrics_token:
            routes.append(self.metrics.route(self.settings.metrics_token))
        if self.console:
            routes += self.console.routes(self.context)
        return routes


def create_parts(settings: Settings, dialects: Sequence[Dialect]) -> Parts:
    """Create the parts. Raises `MissingExtra` if the library of one that is on is not installed."""
    metrics = _metrics() if settings.metrics_token else None
    tracing = _tracing() if settings.tracing else None
    console = _console() if settings.console else None
    access_log = AccessLog(write_stdout) if settings.access_log else None
    responses = ResponseLog(access_log, metrics, console.recorder if console else None, tracing)
    context = _context(settings, responses)
    return Parts(settings, dialects, metrics, console, responses, context, ApiContext(context))


def _metrics() -> "Metrics":
    require_extra("prometheus_client", "metrics")
    from gateway.server.metrics import Metrics

    return Metrics()


def _tracing() -> "Tracing":
    require_extra(OTLP_EXPORTER, "tracing")
    from gateway.server.tracing import Tracing

    return Tracing()


def _console() -> "ConsoleEndpoints":
    require_extra("jinja2", "console")
    from gateway.server.console_endpoints import ConsoleEndpoints

    return ConsoleEndpoints()


def _context(settings: Settings, responses: ResponseLog) -> EndpointContext:
    return EndpointContext(
        settings.max_body,
        settings.max_batch_body,
        settings.max_requests,
        BodyReader(settings.max_compression, settings.max_held_bodies),
        responses,
        request_ids(),
        PublicAddress(parse_networks(settings.trusted_proxies)),
    )
