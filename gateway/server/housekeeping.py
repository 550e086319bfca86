"""Background duties of a process: pruning of the journal and jobs, and garbage collection."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from gateway.stores.errors import Unavailable, Unusable
from gateway.stores.protocol import Store

log = logging.getLogger("gateway")

PRUNE_INTERVAL_SECONDS = 60.0
PRUNE_PAUSE_SECONDS = 0.05
PRUNE_STEP = 500
"""Rows that one step removes."""

COLLECT_INTERVAL_SECONDS = 60.0
"""Time between two collections of all generations."""


@asynccontextmanager
async def housekeeping(store: Store, max_age: int, now: Callable[[], int]) -> AsyncIterator[None]:
    """Run the duties in the background. `max_age` of changes and jobs is in milliseconds."""
    tasks = [asyncio.create_task(_prune_regularly(store, max_age, now)), asyncio.create_task(_collect_regularly())]
    yield
    for task in tasks:
        task.cancel()


def configure_garbage_collection() -> None:
    """Exempt the objects of the program from garbage collection, and collect old generations by time.

    A request leaves almost no reference cycles. The young generation is collected as usual. The collector's own rule
    for the old one ran several times in each large batch, and blocked all requests for 50 to 100 ms.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 5, 1_000_000)


async def _prune_regularly(store: Store, max_age: int, now: Callable[[], int]) -> None:
    while True:
        try:
            while await store.prune(now() - max_age, PRUNE_STEP) >= PRUNE_STEP:
                await asyncio.sleep(PRUNE_PAUSE_SECONDS)
        except Unusable as reason:
            log.error("old changes are no longer pruned: %s", reason)
            return
        except Unavailable:
            log.warning("the store did not answer: old changes are pruned later")
        await asyncio.sleep(PRUNE_INTERVAL_SECONDS)


async def _collect_regularly() -> None:
    while True:
        await asyncio.sleep(COLLECT_INTERVAL_SECONDS)
        gc.collect()
