"""The writer: each group of steps is one transaction, and is acknowledged once its commit is on the disk.

A group runs on the event loop. Only the commit, which waits for the disk, runs on a thread. A thread for the whole
group would share the interpreter with the loop: each statement would switch to the other one and wait for it.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import monotonic, perf_counter
from typing import Any

import apsw

from gateway.stores.errors import Unavailable
from gateway.stores.observer import StoreObserver
from gateway.stores.sqlite.checkpoints import Checkpoints
from gateway.stores.sqlite.connections import ENGINE_FAILURES, LOCK_RETRY_SECONDS, LOCK_TIMEOUT_SECONDS
from gateway.stores.sqlite.file import FileCheck
from gateway.stores.sqlite.group import SqliteGroup, Step

MAX_GROUP_SECONDS = 0.01
"""Time after which a group runs no further step and is committed: other tasks wait for the event loop."""


class Writer:
    """Runs groups of steps, each step all or nothing. Several processes may have a writer each on one file.

    The file is locked while a group runs on the event loop, and during its commit. A writer that finds it locked pauses
    without blocking the loop.
    """

    def __init__(self, connection: apsw.Connection, checkpoints: Checkpoints, file_check: FileCheck) -> None:
        self.observer: StoreObserver | None = None
        self.has_failed = False
        """Whether the engine failed since the last commit that wrote something."""
        self._has_emptied_log = False
        self._connection = connection
        self._checkpoints = checkpoints
        self._file_check = file_check
        self._thread = ThreadPoolExecutor(1, "store-commits")
        connection.set_busy_handler(None)

    async def run(self, steps: Sequence[Step]) -> list[Any]:
        """Run the first of the steps in one transaction, as many as time allows. Return their results, one at least."""
        try:
            if self._file_check.reason:
                self._file_check.require()
            if self._checkpoints.is_overdue:
                await self._in_thread(self._checkpoints.run)
            if not self._begin():
                await self._wait_for_lock()
            rows_before = self._connection.total_changes()
            group, results = SqliteGroup(self._connection, steps), []
            until = monotonic() + MAX_GROUP_SECONDS
            for step in steps:
                results.append(group.run(step))
                if monotonic() > until:
                    break
            group.flush()
            await asyncio.get_running_loop().run_in_executor(self._thread, self._commit)
        except Exception as error:
            return await self._run_again(steps, error)
        if self._connection.total_changes() != rows_before:
            self.has_failed = False
        return results

    def close(self) -> None:
        """Wait for the commit that runs."""
        self._thread.shutdown()

    async def _run_again(self, steps: Sequence[Step], error: Exception) -> list[Any]:
        """Return the results of the steps after their transaction failed, or the failure for each."""
        # A failed disk may have ended the transaction already.
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        if isinstance(error, apsw.FullError) and not self._has_emptied_log:
            return await self._run_with_empty_log(steps)
        if isinstance(error, ENGINE_FAILURES):
            self.has_failed = True
            return [_unavailable(error) for _ in steps]
        if isinstance(error, Unavailable) or len(steps) == 1:
            return [error for _ in steps]
        # One step failed, and the rollback undid the other steps too. Nothing is stored, and steps may run again: so
        # each gets a transaction of its own. Such a failure is a fault in our own code and rare; savepoints would avoid
        # the second run, but slow down every step that succeeds.
        return [result for step in steps for result in await self.run([step])]

    async def _run_with_empty_log(self, steps: Sequence[Step]) -> list[Any]:
        """Run the steps again on a full disk: the log may be what fills it."""
        self._has_emptied_log = True
        try:
            await self._in_thread(self._checkpoints.empty_log)
            return await self.run(steps)
        finally:
            self._has_emptied_log = False

    def _begin(self) -> bool:
        """Begin with the write lock: a read lock cannot always become one. Return whether no other process has it."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except apsw.BusyError:
            return False
        return True

    async def _wait_for_lock(self) -> None:
        """Begin once no other process has the lock. Raises `apsw.BusyError`."""
        until = monotonic() + LOCK_TIMEOUT_SECONDS
        while monotonic() < until:
            await asyncio.sleep(LOCK_RETRY_SECONDS)
            if self._begin():
                return
        raise apsw.BusyError("database is locked")

    def _commit(self) -> None:
        began = perf_counter()
        self._connection.execute("COMMIT")
        if self.observer:
            self.observer.committed(perf_counter() - began)
        # After the sync: what is acknowledged was in its place when it was durable.
        self._file_check.check()

    def _in_thread(self, work: Callable[[], None]) -> "asyncio.Future[None]":
        return asyncio.get_running_loop().run_in_executor(self._thread, work)


def _unavailable(error: Exception) -> Unavailable:
    failure = Unavailable(str(error))
    failure.__cause__ = error
    return failure
