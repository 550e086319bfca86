"""The composition root: from settings to an ASGI application. Defines nothing else."""

import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette

from gateway import stores
from gateway.dialects import load_dialects
from gateway.dialects.protocol import Dialect
from gateway.server.dispatch import Dispatch
from gateway.server.endpoints import NotFoundEndpoint
from gateway.server.health import health_routes
from gateway.server.housekeeping import configure_garbage_collection
from gateway.server.parts import create_parts
from gateway.server.published_files import description_routes
from gateway.server.services import running
from gateway.service.clock import milliseconds
from gateway.service.profile_ids import new_profile_id
from gateway.service.reload_file import read_settings
from gateway.settings import Settings
from gateway.stores.protocol import Store

SWITCH_INTERVAL_SECONDS = 0.0002
"""Time that one thread may keep the interpreter, for example to parse a large body."""


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
    parts = create_parts(settings, dialects)
    routes = parts.routes()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
        app.state.store = store = await open_store(settings.store)
        async with running(parts, store, now or milliseconds, new_id or new_profile_id, reload) as state:
            yield state
        await store.close()
        parts.responses.close()

    app = Starlette(routes=[*health_routes(), *routes, *description_routes(dialects)], lifespan=lifespan)
    app.router.redirect_slashes = False
    app.router.default = NotFoundEndpoint(dialects, parts.context)
    slash_merging_prefixes = [each.slash_merging_prefix for each in dialects if each.slash_merging_prefix]
    app.middleware_stack = Dispatch(app.build_middleware_stack(), routes, slash_merging_prefixes)
    return app
