"""Waits for the journal to grow: one read of the store for all who wait in a process."""

import asyncio
from contextlib import suppress

from gateway.core.model import Position
from gateway.stores.errors import Unavailable
from gateway.stores.protocol import Store

POLL_SECONDS = 0.1
"""Time between two reads while somebody waits. It delays an event, and is the same for every engine."""


class JournalWatch:
    """Wakes those who wait when an entry is added by any process, and when this one stops."""

    def __init__(self, store: Store) -> None:
        self.is_stopping = False
        self._store = store
        self._waiting: dict[asyncio.Future[None], tuple[int, Position]] = {}
        self._task: asyncio.Task[None] | None = None

    async def wait(self, database: int, after: Position, seconds: float) -> None:
        """Return once the database has an entry after a position, or after this time, or when the process stops."""
        if self.is_stopping:
            return
        change = asyncio.get_running_loop().create_future()
        self._waiting[change] = database, after
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._poll())
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await change
        finally:
            del self._waiting[change]

    def stop(self) -> None:
        """End all waits, now and later."""
        self.is_stopping = True
        for change in self._waiting:
            if not change.done():
                change.set_result(None)

    async def _poll(self) -> None:
        while self._waiting:
            with suppress(Unavailable):  # those who wait see it on their own next read
                await self._wake()
            await asyncio.sleep(POLL_SECONDS)

    async def _wake(self) -> None:
        newest = {each: (await self._store.journal_range(each)).newest for each in self._databases()}
        for change, (database, after) in self._waiting.items():
            if newest.get(database, 0) > after and not change.done():
                change.set_result(None)

    def _databases(self) -> set[int]:
        return {database for database, _ in self._waiting.values()}
