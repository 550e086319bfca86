"""PostgreSQL crashes under load, or ends its backends, repeatedly. Nothing may be lost or repeated."""

import asyncio
import os
import random
from pathlib import Path

import psycopg

from tests.durability import Outcome
from tests.durability.load import clients, compare
from tests.durability.service import Service
from tests.stores import postgresql

CRASHES, ENDINGS = 20, 3
"""How often the server crashes, and how often all of its backends are ended before each crash."""
MAX_PAUSE_SECONDS = 1.0
END_BACKENDS = """SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE application_name = current_schema() AND pid <> pg_backend_pid()"""


def run(folder: Path) -> Outcome:
    os.environ.pop("GATEWAY_TEST_POSTGRESQL", None)
    server = postgresql.Server()
    try:
        url = postgresql.fresh(server.url)
        with Service(url, folder / "log") as service:
            return asyncio.run(_run_crashes(service, server, url))
    finally:
        server.remove()


async def _run_crashes(service: Service, server: postgresql.Server, url: str) -> Outcome:
    await asyncio.to_thread(service.start)
    ended = 0
    async with clients(service.url) as logs:
        for _ in range(CRASHES):
            for _ in range(ENDINGS):
                await asyncio.sleep(random.uniform(0.1, MAX_PAUSE_SECONDS))
                ended += await asyncio.to_thread(_end_backends, url)
            await asyncio.sleep(random.uniform(0.1, MAX_PAUSE_SECONDS))
            await asyncio.to_thread(server.stop)
            await asyncio.to_thread(server.start)
    service.kill()
    result = await compare(url, logs)
    figures = {
        "immediate stops of the server": CRASHES,
        "backends ended besides": ended,
        "acknowledged": result.acknowledged,
        "lost": result.lost,
        "doubled": result.doubled,
        "answered with 503, and sent again with the same key": sum(log.refused for log in logs),
    }
    return Outcome(figures, result.is_equal)


def _end_backends(url: str) -> int:
    with psycopg.connect(url, autocommit=True) as connection:
        [[count]] = connection.execute(END_BACKENDS).fetchall()
    return int(count)
