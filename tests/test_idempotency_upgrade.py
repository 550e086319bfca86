"""A retry across an upgrade: fingerprints that an older version stored are not compared with today's."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from gateway.server.app import create
from gateway.settings import Settings
from gateway.stores import open_store
from tests.cases import FIXTURES, Case, seed_store

HEADERS = {"authorization": "Bearer abcdefghijklmnqrstuvwxyz", "idempotency-key": "one"}
ANN = {"profile": {"given_name": "Ann"}}
EVE = {"profile": {"given_name": "Eve"}}


@pytest.mark.parametrize("fingerprint", ["0" * 64, "1:" + "0" * 64])
def test_a_fingerprint_of_another_version_replays_the_kept_answer(tmp_path: Path, fingerprint: str) -> None:
    file = tmp_path / "store.db"
    asyncio.run(_seed(file))
    [first] = asyncio.run(_post(file, ANN))
    with closing(sqlite3.connect(file)) as connection, connection:
        assert connection.execute("UPDATE once SET fingerprint = ?", [fingerprint]).rowcount == 1
    replies = asyncio.run(_post(file, ANN, EVE))
    assert [(reply.status_code, reply.content) for reply in replies] == [(200, first.content)] * 2


def test_a_fingerprint_of_this_version_is_compared(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    asyncio.run(_seed(file))
    first, again, other = asyncio.run(_post(file, ANN, ANN, EVE))
    assert (first.status_code, again.content, other.status_code) == (200, first.content, 409)


async def _seed(file: Path) -> None:
    store = await open_store(f"sqlite:///{file}", create=True)
    await seed_store(store, Case(FIXTURES, "json", {}))
    await store.close()


async def _post(file: Path, *bodies: object) -> list[httpx.Response]:
    app = create(Settings(store=f"sqlite:///{file}"))
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway")
    async with app.router.lifespan_context(app), client:
        return [await client.post("/profiles/ann", json=body, headers=HEADERS) for body in bodies]
