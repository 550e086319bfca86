"""What an application does once its store is open: it answers requests, delivers changes, and runs housekeeping."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

from gateway.api.context import Resources
from gateway.api.pipeline import ApiPipeline
from gateway.core.tombstones import Pseudonym
from gateway.dialects.protocol import Dialect
from gateway.feed.observer import UNOBSERVED
from gateway.feed.relay.relays import RELAY, open_relay
from gateway.feed.runner import OpenSender, SubscriberRunner
from gateway.feed.watch import JournalWatch
from gateway.feed.webhooks.endpoints import WEBHOOK
from gateway.feed.webhooks.sender import open_webhook
from gateway.server.housekeeping import housekeeping
from gateway.server.parts import Parts
from gateway.server.reloading import reload_settings
from gateway.service.catalog import Catalog
from gateway.service.changes import ChangeBuilder
from gateway.service.geolocation import Geolocator
from gateway.service.operations import Operations
from gateway.service.pipeline import Pipeline
from gateway.service.plans import Plans, bounds_of
from gateway.service.pseudonyms import open_key, pseudonym_of
from gateway.service.rate_limits import RateLimits
from gateway.service.refused_recorder import RefusedRecorder
from gateway.service.replays import Replays, refused_lifetime
from gateway.settings import Settings
from gateway.stores.errors import Unavailable
from gateway.stores.protocol import Store

DAY = 24 * 60 * 60 * 1000
"""Milliseconds."""


@dataclass(frozen=True, slots=True)
class Services:
    """What works on the open store. `key` is that of `GATEWAY_SECRET_FILE`; `now` returns milliseconds since 1970."""

    store: Store
    catalog: Catalog
    watch: JournalWatch
    key: bytes | None
    pseudonym: Pseudonym | None
    refused: RefusedRecorder | None
    operations: Operations
    now: Callable[[], int]


@asynccontextmanager
async def running(
    parts: Parts, store: Store, now: Callable[[], int], new_id: Callable[[], str], reload: Callable[[], Settings] | None
) -> AsyncIterator[dict[str, Any]]:
    """Serve from an open store. Yield what each request's scope has of it. `reload` returns the present settings."""
    settings = parts.settings
    services = await _open_services(parts, store, now, new_id)
    if parts.console:
        _start_console(parts, services)
    apply = partial(_apply, parts, services)
    apply(settings)
    ages = settings.keep_changes_days * DAY, settings.tombstone_days * DAY, settings.keep_refused_days * DAY
    refused = services.refused
    async with (
        housekeeping(store, *ages, now),
        refused.running() if refused else nullcontext(),
        _subscribers(parts, services).running(),
    ):
        yield {
            "connection_metrics": parts.metrics,
            "stop_waiting": services.watch.stop,
            "reload": reload and partial(reload_settings, reload, apply),
        }


async def _open_services(parts: Parts, store: Store, now: Callable[[], int], new_id: Callable[[], str]) -> Services:
    settings = parts.settings
    if parts.metrics:
        store.observe(parts.metrics)
    catalog = Catalog(store, parts.dialects)
    key = await open_key(store, settings.secret_file)
    pseudonym = None if key is None else pseudonym_of(key)
    changes = ChangeBuilder(Geolocator(settings.geoip), now, new_id, pseudonym, settings.erase_on_delete)
    operations = Operations(store, changes, now, new_id, pseudonym)
    refused = _refused_recorder(settings, store, catalog, pseudonym, now)
    return Services(store, catalog, JournalWatch(store), key, pseudonym, refused, operations, now)


def _refused_recorder(
    settings: Settings, store: Store, catalog: Catalog, pseudonym: Pseudonym | None, now: Callable[[], int]
) -> RefusedRecorder | None:
    """Return what keeps refused requests, None if they are not kept. Raises `Unavailable` if there is no key."""
    if not settings.keep_refused_days:
        return None
    if pseudonym is None:
        raise Unavailable("GATEWAY_SECRET_FILE is not set: kept refused requests need it")
    return RefusedRecorder(store, catalog, pseudonym, settings.keep_refused_bytes, now)


def _start_console(parts: Parts, services: Services) -> None:
    assert parts.console
    keeps_refused = services.refused is not None
    parts.console.start(
        services.store, services.catalog, parts.dialects, services.key, services.pseudonym, services.now, keeps_refused
    )


def _apply(parts: Parts, services: Services, current: Settings) -> None:
    """Answer requests by these settings from now on."""
    now, catalog, bounds = services.now, services.catalog, bounds_of(current)
    rates = RateLimits(current.rate_limits, current.token_rate)
    parts.context.max_requests = current.max_requests
    parts.context.pipeline = pipeline = Pipeline(
        catalog, services.operations, rates, bounds, current.max_batch, now, services.refused
    )
    parts.api.pipeline = ApiPipeline(_resources(parts, services), catalog, rates, bounds)
    if parts.console:
        plans, lifetime = Plans(bounds, current.max_batch), refused_lifetime(parts.settings)
        replays = Replays(services.store, catalog, parts.dialects, plans, lifetime, now)
        parts.console.use(pipeline, bounds, replays)


def _resources(parts: Parts, services: Services) -> Resources:
    """Return what the calls of the own API share."""
    patches = {each.name: each.resolve_patch for each in parts.dialects}
    allow_private = parts.settings.webhook_private
    return Resources(
        services.store, services.watch, services.now, services.key, allow_private, patches, _by_name(parts)
    )


def _subscribers(parts: Parts, services: Services) -> SubscriberRunner:
    kinds: dict[str, OpenSender] = {
        WEBHOOK: partial(open_webhook, allow_private=parts.settings.webhook_private),
        RELAY: partial(open_relay, dialects=_by_name(parts), pseudonym=services.pseudonym),
    }
    observer = parts.metrics or UNOBSERVED
    return SubscriberRunner(
        services.store, services.watch, services.key, kinds, parts.context.is_busy, services.now, observer
    )


def _by_name(parts: Parts) -> Mapping[str, Dialect]:
    return {each.name: each for each in parts.dialects}
