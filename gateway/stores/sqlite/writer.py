"""The one thread that writes: it takes what waits, commits it together, and answers once the commit is on the disk.

Group commit: what arrives while one group is synced is the next group, and what arrives in one turn of an event loop
goes together. So a lone change never waits for company, and a full house shares its sync. It knows no table.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import islice
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any

import apsw

from gateway.stores import Unavailable
from gateway.stores.sqlite.group import Group, Step
from gateway.stores.sqlite.layout import OUT_OF_ORDER, transaction

LARGEST_GROUP = 512
LARGEST_SLICE = 64
"""Of one job in one group, where others wait too: a batch of 10,000 takes its turns like everybody else."""

LARGE_LOG, HUGE_LOG = 4_000, 16_000
"""Pages in the log from which on it is moved into the file by a thread beside the load, or else between two groups.

A log that starts over writes on blocks it has: a commit then takes half the time of one that makes the log longer.
"""


class Job:
    """The steps of one call, the answers so far, and the future that waits for all of them."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.future: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self.answers: list[Any] = []
        self._steps = steps

    def next_slice(self, largest: int) -> Sequence[Step]:
        start = len(self.answers)
        return self._steps[start : start + largest]

    def answer(self, answers: list[Any]) -> None:
        self.answers += answers
        if any(isinstance(answer, Unavailable) for answer in answers):
            # The call fails as a whole: the rest of a batch need not wait as long for the same engine once more.
            self._steps = self._steps[: len(self.answers)]

    def is_done(self) -> bool:
        return len(self.answers) == len(self._steps)


class Writer:
    """Runs steps, each of them all or nothing, in the order given; several processes may have one each on one file."""

    def __init__(self, connection: apsw.Connection, checkpoints: "Checkpoints") -> None:
        self._connection = connection
        self._checkpoints = checkpoints
        self._queue: SimpleQueue[list[Job]] = SimpleQueue()
        self._gathered: dict[asyncio.AbstractEventLoop, list[Job]] = {}
        self._open = True
        self._thread = Thread(target=self._serve, name="store-writer", daemon=True)
        self._thread.start()

    async def run(self, steps: Sequence[Step]) -> list[Any]:
        """The answer of each step, durable: what it returned, or the exception it failed with.

        A caller that is cancelled stops waiting; its steps are run all the same.
        """
        if not self._open:
            raise Unavailable("the store is closed")
        job = Job(steps)
        self._gather(job)
        return await job.future

    def _gather(self, job: Job) -> None:
        """Keeps a job until its event loop has run everybody whose turn it is: they make one group.

        Handed over one by one, the first would be committed alone, and the others wait for it.
        """
        loop = job.future.get_loop()
        if loop not in self._gathered:
            self._gathered[loop] = []
            loop.call_soon(self._hand_over, loop)
        self._gathered[loop].append(job)

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        self._queue.put(self._gathered.pop(loop, []))

    async def close(self) -> None:
        """Answers what is queued, then ends the thread."""
        self._open = False
        self._hand_over(asyncio.get_running_loop())
        await asyncio.to_thread(self._thread.join)

    def _serve(self) -> None:
        jobs: deque[Job] = deque()
        while self._admit(jobs):
            turns = _take_turns(jobs)
            answers = iter(self._answers([step for _, taken in turns for step in taken]))
            for job, taken in turns:
                job.answer(list(islice(answers, len(taken))))
            jobs += [job for job, _ in turns if not job.is_done()]
            _deliver(job for job, _ in turns if job.is_done())
            self._checkpoints.catch_up()

    def _admit(self, jobs: deque[Job]) -> bool:
        """Lets in the jobs that wait, or waits for one where there is nothing to do. False once closed and done."""
        if not jobs and (self._open or not self._queue.empty()):
            jobs += self._queue.get()
        for _ in range(self._queue.qsize()):
            jobs += self._queue.get()
        return bool(jobs)

    def _answers(self, steps: Sequence[Step]) -> list[Any]:
        """Runs the steps together, else each alone, and answers what each came to."""
        try:
            return self._together(steps)
        except OUT_OF_ORDER as error:
            return [_unavailable(error) for _ in steps]
        except Exception as error:
            # One step failed and took its neighbours' work back with it. Nothing was kept, and steps may be rerun: so
            # each gets a transaction of its own, where it can hurt itself alone. Such a failure is a fault in our own
            # code and rare; savepoints would spare the second run, but burden every step that goes well.
            return [error] if len(steps) == 1 else [answer for step in steps for answer in self._answers([step])]

    def _together(self, steps: Sequence[Step]) -> list[Any]:
        with transaction(self._connection):
            group = Group(self._connection, steps)
            answers = [group.run(step) for step in steps]
            group.flush()
        return answers


def _unavailable(error: Exception) -> Unavailable:
    failure = Unavailable(str(error))
    failure.__cause__ = error
    return failure


def _take_turns(jobs: deque[Job]) -> list[tuple[Job, Sequence[Step]]]:
    """The next group: a slice of each job in the order they wait, as far as there is room."""
    turns: list[tuple[Job, Sequence[Step]]] = []
    room, share = LARGEST_GROUP, max(LARGEST_SLICE, LARGEST_GROUP // len(jobs))
    while jobs and room:
        job = jobs.popleft()
        taken = job.next_slice(min(share, room))
        turns.append((job, taken))
        room -= len(taken)
    return turns


def _deliver(jobs: Iterable[Job]) -> None:
    """Answers the callers, and wakes each of their event loops once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Job]] = defaultdict(list)
    for job in jobs:
        by_loop[job.future.get_loop()].append(job)
    for loop, done in by_loop.items():
        with suppress(RuntimeError):  # a closed loop: nobody waits there any more
            loop.call_soon_threadsafe(_resolve, done)


def _resolve(jobs: Iterable[Job]) -> None:
    for job in jobs:
        if not job.future.done():  # its caller was cancelled
            job.future.set_result(job.answers)


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

    def catch_up(self) -> None:
        """Between two groups: moves the rest of a huge log, which commits without a pause never let the thread do."""
        if self._pages >= HUGE_LOG:
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
