"""Gateway processes for tests, several on one store: `python -m tests.gateways URL COUNT [FAULT…]`.

They are real servers on ports of their own, forked from one process that imported everything once. The faults that they
may have are defined here, not in the product. Asserts nothing.
"""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import uvicorn
from msgspec.structs import replace as altered

from gateway.core.faults import Refusal
from gateway.core.model import Change, Edit, EditResult, Find, Identity, Profile
from gateway.server.app import create
from gateway.server.connection_limits import ConnectionLimits
from gateway.server.http1 import Http1Connections
from gateway.service.bootstrap import bootstrap
from gateway.settings import Settings
from gateway.stores import open_store
from gateway.stores.postgresql import locks
from gateway.stores.protocol import Store
from gateway.stores.sqlite import SqliteStore, connections, writer
from tests.stores import postgresql

TOKEN = "gateway-of-the-tests"
PAUSE, STALE = 0.02, 10.0
"""Seconds that a slow creation waits before its write, and that a stale read is repeated."""

PROCESSES = {"sqlite": 2, "postgresql": 3}
"""Number of gateways by engine."""


def url_of(engine: str, folder: Path) -> str:
    """Return the URL of an empty store."""
    return f"sqlite:///{folder}/profiles.db" if engine == "sqlite" else postgresql.fresh()


@contextmanager
def gateways(url: str, count: int, *faults: str) -> Iterator[list[str]]:
    """Start this number of gateways on a store; yield their addresses."""
    command = [sys.executable, "-m", "tests.gateways", url, str(count), *faults]
    process = Popen(command, stdin=PIPE, stdout=PIPE, text=True, cwd=Path(__file__).parents[1])
    assert process.stdout
    try:
        yield [f"http://127.0.0.1:{int(process.stdout.readline())}" for _ in range(count)]
    finally:
        process.communicate(timeout=30)


# --- what follows runs in the processes ---


def slow_creations(store: Store) -> None:
    """Creations pause between their read and their write."""
    change = store.change

    async def changed(changes: Sequence[Change]) -> list[EditResult | Refusal]:
        return await change([altered(each, edit=_pausing(each.edit)) for each in changes])

    store.change = changed  # type: ignore[method-assign]


def no_lock(store: Store) -> None:
    """Nothing is locked between read and write."""
    if isinstance(store, SqliteStore):
        store._connections[0].set_busy_handler(connections.retry_lock)
    writer.Writer._begin = lambda _writer: True  # type: ignore[method-assign]
    writer.Writer._commit = lambda _writer: None  # type: ignore[method-assign, assignment]
    locks.LOCK = locks.TRY_TO_LOCK = "SELECT number FROM unnest(%b::bigint[]) AS number WHERE false"


def stale_reads(store: Store) -> None:
    """A read is repeated for a while, whatever is written."""
    find, known = store.find, dict[tuple[int, tuple[Identity, ...]], tuple[float, list[Profile]]]()

    async def found(database: int, identities: Sequence[Identity]) -> list[Profile]:
        key, now = (database, tuple(identities)), time.monotonic()
        if key not in known or known[key][0] < now - STALE:
            known[key] = now, await find(database, identities)
        return known[key][1]

    store.find = found  # type: ignore[method-assign]


FAULTS: dict[str, Callable[[Store], None]] = {
    "slow-creations": slow_creations,
    "no-lock": no_lock,
    "stale-reads": stale_reads,
}


def _pausing(edit: Edit) -> Edit:
    def paused(find: Find) -> EditResult:
        edited = edit(find)
        if any(write.before is None for write in edited.writes):
            time.sleep(PAUSE)
        return edited

    return paused


def main(url: str, count: str, *faults: str) -> None:
    settings = Settings(store=url, bootstrap_token=TOKEN, rate_limits=0)
    asyncio.run(_bootstrap(settings))
    children = [_forked(settings, faults) for _ in range(int(count))]
    sys.stdin.read()
    for child in children:
        os.kill(child, signal.SIGTERM)
    for child in children:
        os.waitpid(child, 0)


async def _bootstrap(settings: Settings) -> None:
    store = await open_store(settings.store, create=True)
    await bootstrap(store, settings, now=0)
    await store.close()


def _forked(settings: Settings, faults: Sequence[str]) -> int:
    """Start a process that serves, and print its port."""
    listening = socket.create_server(("127.0.0.1", 0))
    child = os.fork()
    if child:
        print(listening.getsockname()[1], flush=True)
        listening.close()
        return child

    async def opened(url: str) -> Store:
        store = await open_store(url, create=True)
        for fault in faults:
            FAULTS[fault](store)
        return store

    app = create(settings, open_store=opened)
    protocols: Any = Http1Connections(ConnectionLimits())
    # A busy machine may let a client's connection rest for longer than the usual five seconds.
    config = uvicorn.Config(
        app, loop="uvloop", http=protocols, access_log=False, log_level="error", timeout_keep_alive=60
    )
    uvicorn.Server(config).run([listening])
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
