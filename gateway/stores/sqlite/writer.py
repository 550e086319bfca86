"""Writes groups of changes: each is one transaction, and is answered once its commit is on the disk. It knows no table.

A group is run on the event loop, and only the commit, which waits for the disk, has a thread of its own. A second
thread for all of it would share the interpreter with the loop: each statement lets the other one in, and waits for it.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Event, Thread
from time import monotonic
from typing import Any

import apsw

from gateway.stores.errors import Unavailable
from gateway.stores.sqlite.group import Group, Step
from gateway.stores.sqlite.layout import NAP, OUT_OF_ORDER, PATIENCE

LONGEST_TURN = 0.01
"""Seconds from which on a group takes no further step, but is committed: others wait for the event loop."""

LARGE_LOG, HUGE_LOG = 4_000, 16_000
"""Pages in the log from which on it is moved into the file by a thread beside the load, or else between two groups.

A log that starts over writes on blocks it has: a commit then takes half the time of one that makes the log longer.
"""


class Writer:
    """Runs groups of steps, each step all or nothing; several processes may have a writer each on one file.

    The lock of the file is taken for the time that a group needs the event loop, and its commit. Who finds it taken
    naps, and lets the loop go on.
    """

    def __init__(self, connection: apsw.Connection, checkpoints: "Checkpoints") -> None:
        self._connection = connection
        self._checkpoints = checkpoints
        self._thread = ThreadPoolExecutor(1, "store-commits")
        connection.set_busy_handler(None)

    async def run(self, steps: Sequence[Step]) -> list[Any]:
        """Runs the steps, together as far as there is time, and answers what each came to."""
        answers: list[Any] = []
        while len(answers) < len(steps):
            answers += await self._first(steps[len(answers) :])
        return answers

    async def _first(self, steps: Sequence[Step]) -> list[Any]:
        """Runs the first of the steps together, else each alone."""
        try:
            return await self._together(steps)
        except OUT_OF_ORDER as error:
            return [_unavailable(error) for _ in steps]
        except Exception as error:
            # One step failed and took its neighbours' work back with it. Nothing was kept, and steps may be rerun: so
            # each gets a transaction of its own, where it can hurt itself alone. Such a failure is a fault in our own
            # code and rare; savepoints would spare the second run, but burden every step that goes well.
            return [error] if len(steps) == 1 else [answer for step in steps for answer in await self._first([step])]

    def close(self) -> None:
        """Waits for the commit that runs."""
        self._thread.shutdown()

    async def _together(self, steps: Sequence[Step]) -> list[Any]:
        if self._checkpoints.are_behind():
            await self._beside(self._checkpoints.catch_up)
        await self._begin()
        try:
            group, answers = Group(self._connection, steps), []
            until = monotonic() + LONGEST_TURN
            for step in steps:
                answers.append(group.run(step))
                if monotonic() > until:
                    break
            group.flush()
            await self._beside(self._commit)
        except Exception:
            # A failed disk may have ended the transaction already.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        return answers

    async def _begin(self) -> None:
        """Takes the write lock at once: a read lock could not always grow into one."""
        until = monotonic() + PATIENCE
        while True:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                return
            except apsw.BusyError:
                if monotonic() > until:
                    raise
            await asyncio.sleep(NAP)

    def _commit(self) -> None:
        self._connection.execute("COMMIT")

    async def _beside(self, work: Callable[[], None]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _unavailable(error: Exception) -> Unavailable:
    failure = Unavailable(str(error))
    failure.__cause__ = error
    return failure


class Checkpoints:
    """Moves the log into the file beside the load: within a commit it would make every caller of that group wait."""

    def __init__(self, watched: apsw.Connection, own: apsw.Connection) -> None:
        self._watched, self._own = watched, own
        self._pages = 0
        self._due = Event()
        self._open = True
        self._thread = Thread(target=self._serve, name="store-checkpoints", daemon=True)
        watched.set_wal_hook(self._committed)
        self._thread.start()

    def are_behind(self) -> bool:
        """Is the log huge? Commits without a pause never let the thread move all of it."""
        return self._pages >= HUGE_LOG

    def catch_up(self) -> None:
        """Moves the rest of a huge log, between two groups."""
        _checkpoint(self._watched)

    def close(self) -> None:
        """Waits for the checkpoint that runs."""
        self._open = False
        self._due.set()
        self._thread.join()

    def _committed(self, _connection: apsw.Connection, _schema: str, pages: int) -> int:
        # A failure here would look like one of the commit, which has happened: so do nothing that can fail.
        self._pages = pages
        if LARGE_LOG <= pages < HUGE_LOG:
            self._due.set()
        return apsw.SQLITE_OK

    def _serve(self) -> None:
        while self._due.wait() and self._open:
            self._due.clear()
            _checkpoint(self._own)


def _checkpoint(connection: apsw.Connection) -> None:
    with suppress(apsw.Error):  # in the way of another process, or on a bad disk: the next commit asks again
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
