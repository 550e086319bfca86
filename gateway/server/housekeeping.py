"""Background duties of a process: pruning of what is kept for some days, and garbage collection."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from gateway.core.model import Position
from gateway.feed.retention import MAX_HOLD_DAYS, needed_positions
from gateway.service.erasures import prune_tombstones
from gateway.stores.errors import Unavailable, Unusable
from gateway.stores.protocol import Store

log = logging.getLogger("gateway")

PRUNE_INTERVAL_SECONDS = 60.0
PRUNE_PAUSE_SECONDS = 0.05
PRUNE_STEP = 500
"""Rows that one step removes."""

MAX_DEAD_LETTERS = 10_000
"""Dead letters of one subscriber. Beyond that the oldest are forgotten."""

TOMBSTONE_INTERVAL_SECONDS = 3600.0
"""Time between two searches for old tombstones, each of which reads all of them."""

MAX_HOLD = MAX_HOLD_DAYS * 24 * 60 * 60 * 1000
"""Milliseconds that a subscriber can keep an entry beyond its time."""

COLLECT_INTERVAL_SECONDS = 60.0
"""Time between two collections of all generations."""


@asynccontextmanager
async def housekeeping(
    store: Store, max_age: int, max_tombstone_age: int, max_refused_age: int, now: Callable[[], int]
) -> AsyncIterator[None]:
    """Run the duties in the background.

    The maximum ages of changes and jobs, of tombstones, and of refused requests are in milliseconds.
    """
    tasks = [
        asyncio.create_task(_prune_regularly(store, max_age, now)),
        asyncio.create_task(_prune_refused_regularly(store, max_refused_age, now)),
        asyncio.create_task(_prune_tombstones_regularly(store, max_tombstone_age, now)),
        asyncio.create_task(_collect_regularly()),
    ]
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
            before = now() - max_age
            await _prune(store, before, await needed_positions(store, before))
            await _prune(store, before - MAX_HOLD, {})
            await store.forget_deliveries(MAX_DEAD_LETTERS)
        except Unusable as reason:
            log.error("old changes are no longer pruned: %s", reason)
            return
        except Unavailable:
            log.warning("the store did not answer: old changes are pruned later")
        await asyncio.sleep(PRUNE_INTERVAL_SECONDS)


async def _prune(store: Store, before: int, keep_from: Mapping[int, Position]) -> None:
    """Remove the changes and jobs of before a time, but for what subscribers need."""
    while await store.prune(before, PRUNE_STEP, keep_from) >= PRUNE_STEP:
        await asyncio.sleep(PRUNE_PAUSE_SECONDS)


async def _prune_refused_regularly(store: Store, max_age: int, now: Callable[[], int]) -> None:
    while True:
        try:
            while await store.prune_refused(now() - max_age, PRUNE_STEP) >= PRUNE_STEP:
                await asyncio.sleep(PRUNE_PAUSE_SECONDS)
        except Unusable:
            return
        except Unavailable:
            log.warning("the store did not answer: old refused requests are pruned later")
        await asyncio.sleep(PRUNE_INTERVAL_SECONDS)


async def _prune_tombstones_regularly(store: Store, max_age: int, now: Callable[[], int]) -> None:
    while True:
        try:
            await prune_tombstones(store, now() - max_age)
        except Unusable:
            return
        except Unavailable:
            log.warning("the store did not answer: old tombstones are pruned later")
        await asyncio.sleep(TOMBSTONE_INTERVAL_SECONDS)


async def _collect_regularly() -> None:
    while True:
        await asyncio.sleep(COLLECT_INTERVAL_SECONDS)
        gc.collect()
