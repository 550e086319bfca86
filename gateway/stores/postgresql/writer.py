"""The queue of changes: what waits is taken together and answered together. It knows no table.

Group commit: what arrives while a group is on its way is the next group. So a lone change never waits for company, and
a full house shares its round trips and its sync. One group of a process is on its way at a time: calls keep their
order, and a process never waits for a lock of its own.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice
from typing import Any, TypeAlias

from gateway.core.model import Change
from gateway.stores import Unavailable

LARGEST_GROUP = 256
"""A change takes some locks, for which the server has limited room: see max_locks_per_transaction."""

LARGEST_SLICE = 64
"""Of one job in one group, where others wait too: a batch of 10,000 takes its turns like everybody else."""

Run: TypeAlias = "Callable[[Sequence[Change]], Awaitable[list[Any]]]"
"""Runs a group and answers what each of its changes came to."""


class Job:
    """The changes of one call, the answers so far, and the future that waits for all of them."""

    def __init__(self, changes: Sequence[Change]) -> None:
        self.future: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self._answers: list[Any] = []
        self._changes = changes

    def next_slice(self, largest: int) -> Sequence[Change]:
        start = len(self._answers)
        return self._changes[start : start + largest]

    def answer(self, answers: list[Any]) -> bool:
        """Takes some answers, and tells whether they were the last."""
        self._answers += answers
        # Without the engine the call fails as a whole: the rest of a batch need not wait as long for it once more.
        failed = any(isinstance(answer, Unavailable) for answer in answers)
        is_done = failed or len(self._answers) == len(self._changes)
        if is_done and not self.future.done():  # a caller that was cancelled waits no more
            self.future.set_result(self._answers)
        return is_done


class Writer:
    """Runs changes in the order in which they come."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._jobs: deque[Job] = deque()
        self._stirred = asyncio.Event()
        self._open = True
        self._task = asyncio.create_task(self._serve())

    async def run(self, changes: Sequence[Change]) -> list[Any]:
        """The answer of each change, durable: what it came to, or the exception it failed with.

        A caller that is cancelled stops waiting; its changes are run all the same.
        """
        if not self._open:
            raise Unavailable("the store is closed")
        job = Job(changes)
        if changes:
            self._jobs.append(job)
            self._stirred.set()
        else:
            job.answer([])
        return await job.future

    async def close(self) -> None:
        """Answers what is queued, then ends."""
        self._open = False
        self._stirred.set()
        await self._task

    async def _serve(self) -> None:
        while self._jobs or self._open:
            if self._jobs:
                await self._take_turns()
            else:
                self._stirred.clear()
                await self._stirred.wait()

    async def _take_turns(self) -> None:
        """Runs the next group: a slice of each job in the order they wait, as far as there is room."""
        turns: list[tuple[Job, Sequence[Change]]] = []
        room, share = LARGEST_GROUP, max(LARGEST_SLICE, LARGEST_GROUP // len(self._jobs))
        while self._jobs and room:
            job = self._jobs.popleft()
            taken = job.next_slice(min(share, room))
            turns.append((job, taken))
            room -= len(taken)
        answers = iter(await self._run([change for _, taken in turns for change in taken]))
        # A job that is not done waits again, behind those that came meanwhile.
        self._jobs += [job for job, taken in turns if not job.answer(list(islice(answers, len(taken))))]
