"""A gateway in this process over a store in memory, and a client of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from gateway.server.app import create
from gateway.service.bootstrap import bootstrap
from gateway.settings import Settings
from gateway.stores import open_store
from gateway.stores.protocol import Store


@asynccontextmanager
async def gateway_in_memory(token: str) -> AsyncIterator[tuple[httpx.AsyncClient, Store]]:
    """Yield the client and the store of a gateway whose first token is `token`."""
    store = await open_store("memory:", create=True)
    await bootstrap(store, Settings(bootstrap_token=token), 0)

    async def opened(_url: str) -> Store:
        return store

    app = create(Settings(access_log=False, rate_limits=0), open_store=opened)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway.example") as client,
    ):
        yield client, store
