"""kill -9 of the gateway and of a receiver of webhooks under load, on SQLite and on PostgreSQL.

Every acknowledged change must be read from the feed, once and in the order of the journal, and be delivered at least
once, in the order of each profile's versions. A transaction is held open meanwhile.
"""

import asyncio
import random
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic

import apsw
import httpx
import psycopg

from gateway.stores import open_store
from tests.durability import Outcome
from tests.durability.load import ClientLog, clients, compare
from tests.durability.receiver import Receiver
from tests.durability.service import TOKEN, Service, free_port
from tests.stores import postgresql

KILLS = 100
MAX_LIFE_SECONDS = 1.0
"""Time under load before a kill."""

HELD_SECONDS = 10.0
"""Time for which a transaction is held open."""

CATCH_UP_SECONDS = 300.0

PROCESSES = {"SQLite": 2, "PostgreSQL": 3}

Change = tuple[str, int]
"""A profile and a version."""

DATABASE = "/gateway/v1/databases/1"


def run(folder: Path) -> Outcome:
    outcomes = []
    for engine, count in PROCESSES.items():
        own = folder / engine
        own.mkdir()
        url = f"sqlite:///{own}/profiles.db" if engine == "SQLite" else postgresql.fresh()
        outcomes.append(_run_on(url, engine, count, own))
    postgresql.end()
    figures = {name: value for outcome in outcomes for name, value in outcome.figures.items()}
    return Outcome(figures, all(outcome.passes for outcome in outcomes))


def _run_on(url: str, engine: str, count: int, folder: Path) -> Outcome:
    command = (sys.executable, "-m", "gateway", "serve", "--workers", str(count))
    settings = {"GATEWAY_WEBHOOK_PRIVATE": "true", "GATEWAY_SECRET_FILE": str(folder / "secret")}
    receiver = Receiver(free_port(), folder / "received")
    with Service(url, folder / "log", command, settings) as service:
        service.start()
        receiver.start()
        try:
            return asyncio.run(_run_kills(service, receiver, url, engine))
        finally:
            receiver.kill()


async def _run_kills(service: Service, receiver: Receiver, url: str, engine: str) -> Outcome:
    reader = FeedReader(service.url)
    await reader.create_webhook(receiver.url)
    async with reader.reading():
        async with clients(service.url) as logs, _open_transaction(url):
            for number in range(KILLS):
                await asyncio.sleep(random.uniform(0, MAX_LIFE_SECONDS))
                await asyncio.to_thread(_restart, receiver if number % 2 else service)
        journal = await _journal(url)
        is_caught_up = await _catch_up(receiver, reader, journal)
    return await _outcome(url, engine, logs, journal, reader, receiver, is_caught_up)


def _restart(process: Service | Receiver) -> None:
    process.kill()
    process.start()


class FeedReader:
    """Reads the feed without a pause, by long polls, from the first event on. `ids` are those of the events."""

    def __init__(self, url: str) -> None:
        self.ids: list[str] = []
        self._http = httpx.AsyncClient(base_url=url, timeout=30, headers={"authorization": f"Bearer {TOKEN}"})

    async def create_webhook(self, url: str) -> None:
        reply = await self._http.post(f"{DATABASE}/webhooks", json={"url": url})
        assert reply.status_code == 201, reply.text

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._read())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self._http.aclose()

    async def _read(self) -> None:
        cursor = ""
        while True:
            try:
                reply = await self._http.get(f"{DATABASE}/changes", params={"after": cursor, "limit": 500, "wait": 1})
            except httpx.TransportError:
                await asyncio.sleep(0.02)
                continue
            if reply.status_code == 200:
                page = reply.json()
                self.ids += [event["id"] for event in page["events"]]
                cursor = page["cursor"]


@asynccontextmanager
async def _open_transaction(url: str) -> AsyncIterator[None]:
    """Hold a transaction open for a while: of PostgreSQL one that has an id, of SQLite one that reads."""
    end = await _begin(url)
    held = asyncio.create_task(asyncio.sleep(HELD_SECONDS))
    held.add_done_callback(lambda _: end())
    yield
    await held


async def _begin(url: str) -> Callable[[], object]:
    """Begin a transaction of a store's database. Return the function that ends it."""
    if url.startswith("postgresql:"):
        connection = await psycopg.AsyncConnection.connect(url)
        await connection.execute("SELECT pg_current_xact_id()")
        return lambda: asyncio.ensure_future(connection.close())
    reader = apsw.Connection(url.removeprefix("sqlite:///"))
    reader.execute("BEGIN; SELECT count(*) FROM journal")
    return reader.close


async def _journal(url: str) -> list[tuple[str, Change]]:
    """Return the id of the event, the profile and the version of each entry, in order. No transaction is open."""
    store, found, after = await open_store(url, create=False), list[tuple[str, Change]](), 0
    while entries := await store.journal(1, after, 1_000):
        found += [(f"{store.id}-{each.position}", (each.profile, each.version)) for each in entries]
        after = entries[-1].position
    await store.close()
    return found


async def _catch_up(receiver: Receiver, reader: FeedReader, journal: Sequence[tuple[str, Change]]) -> bool:
    """Wait until everything was read and delivered. Return whether it was, in time."""
    until, expected = monotonic() + CATCH_UP_SECONDS, {change for _, change in journal}
    while monotonic() < until:
        if len(reader.ids) >= len(journal) and set(receiver.accepted()) >= expected:
            return True
        await asyncio.sleep(0.5)
    return False


async def _outcome(
    url: str,
    engine: str,
    logs: Sequence[ClientLog],
    journal: Sequence[tuple[str, Change]],
    reader: FeedReader,
    receiver: Receiver,
    is_caught_up: bool,
) -> Outcome:
    store, accepted = await compare(url, logs), receiver.accepted()
    ids = [id for id, _ in journal]
    changes = [change for _, change in journal]
    out_of_order = _out_of_order(accepted) + _out_of_order(changes)
    figures = {
        "kills, half of the gateway and half of the receiver": KILLS,
        "acknowledged": store.acknowledged,
        "entries of the journal": len(journal),
        "lost or applied twice": store.lost + store.doubled,
        "skipped by the feed, or not in its order": len(set(ids) - set(reader.ids)) + (reader.ids != ids),
        "not delivered": len({*changes} - {*accepted}),
        "delivered again": len(accepted) - len({*accepted}),
        "out of order in a profile": out_of_order,
    }
    passes = store.is_equal and is_caught_up and reader.ids == ids and not out_of_order
    return Outcome({f"{engine}: {name}": value for name, value in figures.items()}, passes)


def _out_of_order(changes: Sequence[Change]) -> int:
    """Return how many profiles have a version whose first occurrence is not after that of the version before."""
    versions: dict[str, list[int]] = defaultdict(list)
    for profile, version in changes:
        versions[profile].append(version)
    return sum([*dict.fromkeys(found)] != list(range(1, max(found) + 1)) for found in versions.values())
