"""The composition root: from settings to an ASGI application. Defines nothing else."""

import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette

from gateway import stores
from gateway.api.context import Resources
from gateway.api.pipeline import ApiPipeline
from gateway.core.tombstones import Pseudonym
from gateway.dialects import load_dialects
from gateway.dialects.protocol import Dialect
from gateway.feed.observer import UNOBSERVED
from gateway.feed.relay.relays import RELAY, open_relay
from gateway.feed.runner import OpenSender, SubscriberRunner
from gateway.feed.watch import JournalWatch
from gateway.feed.webhooks.endpoints import WEBHOOK
from gateway.feed.webhooks.sender import open_webhook
from gateway.optional_dependencies import OTLP_EXPORTER, require_extra
from gateway.server.access_log import AccessLog, write_stdout
from gateway.server.api_endpoints import ApiContext, api_routes
from gateway.server.bodies import BodyReader
from gateway.server.dispatch import Dispatch
from gateway.server.endpoints import EndpointContext, NotFoundEndpoint, routes_of
from gateway.server.health import health_routes
from gateway.server.housekeeping import configure_garbage_collection, housekeeping
from gateway.server.public_address import PublicAddress, parse_networks
from gateway.server.published_files import description_routes
from gateway.server.reloading import reload_settings
from gateway.server.request_ids import request_ids
from gateway.server.responses import ResponseLog
from gateway.service.catalog import Catalog
from gateway.service.changes import ChangeBuilder
from gateway.service.clock import milliseconds
from gateway.service.geolocation import Geolocator
from gateway.service.operations import Operations
from gateway.service.pipeline import Pipeline
from gateway.service.plans import Plans, bounds_of
from gateway.service.profile_ids import new_profile_id
from gateway.service.pseudonyms import open_key, pseudonym_of
from gateway.service.rate_limits import RateLimits
from gateway.service.refused_recorder import RefusedRecorder
from gateway.service.reload_file import read_settings
from gateway.service.replays import Replays, refused_lifetime
from gateway.settings import Settings
from gateway.stores.errors import Unavailable
from gateway.stores.protocol import Store

if TYPE_CHECKING:
    from gateway.server.console_endpoints import ConsoleEndpoints
    from gateway.server.metrics import Metrics
    from gateway.server.tracing import Tracing

SWITCH_INTERVAL_SECONDS = 0.0002
"""Time that one thread may keep the interpreter, for example to parse a large body."""

DAY = 24 * 60 * 60 * 1000
"""Milliseconds."""


def from_environment() -> Starlette:
    """Create the application from the environment. uvicorn's workers call this."""
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    app = create(read_settings(os.environ), reload=lambda: read_settings(os.environ))
    configure_garbage_collection()
    return app


def create(
    settings: Settings,
    dialects: Sequence[Dialect] | None = None,
    now: Callable[[], int] | None = None,
    new_id: Callable[[], str] | None = None,
    open_store: Callable[[str], Awaitable[Store]] = stores.open_store,
    reload: Callable[[], Settings] | None = None,
) -> Starlette:
    """Create the application. Tests pass their own dialects, clock (ms), ids and store.

    `reload` returns the settings as they are now. Of these, `RELOADED_SETTINGS` apply.
    """
    dialects = load_dialects(settings.as_dict()) if dialects is None else list(dialects)
    metrics = _metrics() if settings.metrics_token else None
    tracing = _tracing() if settings.tracing else None
    console = _console() if settings.console else None
    recorder = console.recorder if console else None
    responses = ResponseLog(AccessLog(write_stdout) if settings.access_log else None, metrics, recorder, tracing)
    context = _context(settings, responses)
    slash_merging_prefixes = [each.slash_merging_prefix for each in dialects if each.slash_merging_prefix]
    routes = [route for dialect in dialects for route in routes_of(dialect, context)]
    api = ApiContext(context)
    routes += api_routes(api)
    if metrics and settings.metrics_token:
        routes.append(metrics.route(settings.metrics_token))
    if console:
        routes += console.routes(context)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
        app.state.store = store = await open_store(settings.store)
        if metrics:
            store.observe(metrics)
        catalog, watch = Catalog(store, dialects), JournalWatch(store)
        key = await open_key(store, settings.secret_file)
        pseudonym = None if key is None else pseudonym_of(key)
        locator = Geolocator(settings.geoip)
        changes = ChangeBuilder(
            locator, now or milliseconds, new_id or new_profile_id, pseudonym, settings.erase_on_delete
        )
        operations = Operations(store, changes, now or milliseconds, new_id or new_profile_id, pseudonym)
        by_name = {each.name: each for each in dialects}
        patches = {each.name: each.resolve_patch for each in dialects}
        resources = Resources(store, watch, now or milliseconds, key, settings.webhook_private, patches, by_name)
        refused = _refused_recorder(settings, store, catalog, pseudonym, now or milliseconds)
        if console:
            console.start(store, catalog, dialects, key, pseudonym, now or milliseconds, refused is not None)

        def apply(current: Settings) -> None:
            rates = RateLimits(current.rate_limits, current.token_rate)
            context.max_requests = current.max_requests
            context.pipeline = Pipeline(
                catalog, operations, rates, bounds_of(current), current.max_batch, now or milliseconds, refused
            )
            api.pipeline = ApiPipeline(resources, catalog, rates, bounds_of(current))
            if console:
                plans, lifetime = Plans(bounds_of(current), current.max_batch), refused_lifetime(settings)
                replays = Replays(store, catalog, dialects, plans, lifetime, now or milliseconds)
                console.use(context.pipeline, bounds_of(current), replays)

        apply(settings)
        kinds: dict[str, OpenSender] = {
            WEBHOOK: partial(open_webhook, allow_private=settings.webhook_private),
            RELAY: partial(open_relay, dialects=by_name, pseudonym=pseudonym),
        }
        subscribers = SubscriberRunner(
            store, watch, key, kinds, context.is_busy, now or milliseconds, metrics or UNOBSERVED
        )
        ages = settings.keep_changes_days * DAY, settings.tombstone_days * DAY, settings.keep_refused_days * DAY
        async with (
            housekeeping(store, *ages, now or milliseconds),
            refused.running() if refused else nullcontext(),
            subscribers.running(),
        ):
            yield {
                "connection_metrics": metrics,
                "stop_waiting": watch.stop,
                "reload": reload and partial(reload_settings, reload, apply),
            }
        await store.close()
        responses.close()

    app = Starlette(routes=[*health_routes(), *routes, *description_routes(dialects)], lifespan=lifespan)
    app.router.redirect_slashes = False
    app.router.default = NotFoundEndpoint(dialects, context)
    app.middleware_stack = Dispatch(app.build_middleware_stack(), routes, slash_merging_prefixes)
    return app


def _metrics() -> "Metrics":
    """Return the metrics. Raises `MissingExtra` if their library is not installed."""
    require_extra("prometheus_client", "metrics")
    from gateway.server.metrics import Metrics

    return Metrics()


def _tracing() -> "Tracing":
    """Return the traces. Raises `MissingExtra` if their libraries are not installed."""
    require_extra(OTLP_EXPORTER, "tracing")
    from gateway.server.tracing import Tracing

    return Tracing()


def _console() -> "ConsoleEndpoints":
    """Return the endpoints of the console. Raises `MissingExtra` if its library is not installed."""
    require_extra("jinja2", "console")
    from gateway.server.console_endpoints import ConsoleEndpoints

    return ConsoleEndpoints()


def _refused_recorder(
    settings: Settings, store: Store, catalog: Catalog, pseudonym: Pseudonym | None, now: Callable[[], int]
) -> RefusedRecorder | None:
    """Return what keeps refused requests, None if they are not kept. Raises `Unavailable` if there is no key."""
    if not settings.keep_refused_days:
        return None
    if pseudonym is None:
        raise Unavailable("GATEWAY_SECRET_FILE is not set: kept refused requests need it")
    return RefusedRecorder(store, catalog, pseudonym, settings.keep_refused_bytes, now)


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
