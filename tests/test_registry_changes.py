"""The registry changes between two requests of a kept connection: the next one is answered by the new registry."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import xmltodict

from gateway.core.fingerprint import fingerprint
from gateway.core.model import Database, Token
from gateway.server.app import create
from gateway.service import pipeline
from gateway.service.command_validation import validate_commands
from gateway.settings import Settings
from gateway.stores import open_store
from gateway.stores.protocol import Store
from tests.stores import postgresql
from tests.test_command import Server

pytestmark = pytest.mark.anyio

SECRETS = ("first-secret-of-the-test", "second-secret-of-the-test")
VISITS = {"type": "object", "properties": {"visits": {"type": "integer"}}}
TIMEOUT_SECONDS = 20


def token(number: int) -> Token:
    return Token(f"t{number}", fingerprint(SECRETS[number]), 1, frozenset({"read", "write"}), 1)


async def prepare(url: str) -> Store:
    store = await open_store(url, create=True)
    await store.add_database(Database(1, "one"))
    await store.add_token(token(0))
    return store


async def send(client: httpx.AsyncClient, secret: str = SECRETS[0], media: str = "json", **data: Any) -> int:
    """Return the status of one update."""
    body = {"token": secret, "db_id": 1, "email": "ann@example.com", "data": {"email": "ann@example.com", **data}}
    content = json.dumps(body) if media == "json" else xmltodict.unparse({"xml": body})
    headers = {"content-type": f"application/{media}"}
    return (await client.post("/api/v1.1/profiles/import", content=content, headers=headers)).status_code


async def check_changes(client: httpx.AsyncClient, store: Store) -> None:
    """Change the registry between two updates of one connection, while others send updates all the time."""
    async with asyncio.timeout(TIMEOUT_SECONDS), busy_clients(client):
        for media in ("json", "xml"):
            assert await send(client, media=media) == 200
        assert await send(client, SECRETS[1]) == 403
        await store.add_token(token(1))
        assert await send(client, SECRETS[1]) == 200
        assert await send(client, visits="many") == 200
        await store.update_database(Database(1, "one", fields=VISITS))
        assert await send(client, visits="several") == 400
        assert await send(client, visits=7) == 200
        await store.update_database(Database(1, "one"))
        assert await send(client, visits="many again") == 200
        await store.revoke_token("t1")
        assert await send(client, SECRETS[1]) == 403
        assert await send(client) == 200


@asynccontextmanager
async def busy_clients(client: httpx.AsyncClient) -> AsyncIterator[None]:
    async def update(number: int) -> None:
        while True:
            assert await send(client, city=number) == 200

    tasks = [asyncio.create_task(update(number)) for number in range(4)]
    try:
        yield
        assert not any(task.done() for task in tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def serving(store: Store) -> AsyncIterator[httpx.AsyncClient]:
    """Serve a store in this process. Yield a client."""

    async def opened(_url: str) -> Store:
        return store

    app = create(Settings(), open_store=opened)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://gateway") as client,
    ):
        yield client


URLS: dict[str, Callable[[Path], str]] = {
    "memory": lambda _folder: "memory:",
    "sqlite": lambda folder: f"sqlite:///{folder}/one.db",
    "postgresql": lambda _folder: postgresql.fresh(),
}


@pytest.mark.parametrize("engine", URLS)
async def test_in_the_same_process(engine: str, tmp_path: Path) -> None:
    store = await prepare(URLS[engine](tmp_path))
    async with serving(store) as client:
        await check_changes(client, store)


async def test_while_a_thread_prepares_a_large_update(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = await prepare(URLS["sqlite"](tmp_path))
    await store.update_database(Database(1, "one", fields=VISITS))
    is_prepared, may_validate = threading.Event(), threading.Event()

    def validate(*arguments: Any) -> Any:
        if threading.current_thread() is not threading.main_thread() and not is_prepared.is_set():
            is_prepared.set()
            assert may_validate.wait(TIMEOUT_SECONDS)
        return validate_commands(*arguments)

    monkeypatch.setattr(pipeline, "validate_commands", validate)
    async with serving(store) as client:
        assert await send(client) == 200
        large = asyncio.create_task(send(client, visits="many", text="x" * pipeline.LARGE_BODY_BYTES))
        await asyncio.to_thread(is_prepared.wait, TIMEOUT_SECONDS)
        await store.update_database(Database(1, "one"))
        assert await send(client, visits="many") == 200  # it refreshes the catalog
        may_validate.set()
        assert await large == 200


async def test_in_another_process(tmp_path: Path) -> None:
    url = URLS["sqlite"](tmp_path)
    store = await prepare(url)
    server = Server(url, GATEWAY_ACCESS_LOG="false", GATEWAY_RATE_LIMITS="0")
    try:
        async with httpx.AsyncClient(base_url=server.address, timeout=TIMEOUT_SECONDS) as client:
            await check_changes(client, store)
    finally:
        server.stop()
        await store.close()
