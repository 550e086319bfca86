"""The queue of an engine's changes: what waits is taken together and answered together. It knows no table.

Group commit: what arrives while one group is on its way is the next group, and what arrives in one turn of the event
loop goes together. So a lone change never waits for company, and a full house shares its sync. Between two groups of
several calls the loop has some turns, in which those who were answered may ask again: a group costs about as much as
five of its changes, and of 32 clients two halves would follow each other. One group of a process is on its way at a
time: calls keep their order, and a process never waits for a lock of its own.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice
from typing import Any, TypeAlias

from gateway.stores.errors import Unavailable

LARGEST_SLICE = 64
"""Of one call in one group, where others wait too: a batch of 10,000 takes its turns like everybody else."""

TURNS_BETWEEN = 8
"""Turns of the event loop between two large groups; half as many as there were calls between small ones."""

Run: TypeAlias = "Callable[[Sequence[Any]], Awaitable[list[Any]]]"
"""Runs a group of steps and answers what each of them came to, an exception where it failed. It never raises."""


class _Call:
    """The steps of one call, the answers so far, and the future that waits for all of them."""

    def __init__(self, steps: Sequence[Any]) -> None:
        self.future: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self._answers: list[Any] = []
        self._steps = steps

    def next_slice(self, largest: int) -> Sequence[Any]:
        start = len(self._answers)
        return self._steps[start : start + largest]

    def answer(self, answers: list[Any]) -> bool:
        """Takes some answers, and tells whether they were the last."""
        self._answers += answers
        # Without the engine the call fails as a whole: the rest of a batch need not wait as long for it once more.
        failed = any(isinstance(answer, Unavailable) for answer in answers)
        is_done = failed or len(self._answers) == len(self._steps)
        if is_done and not self.future.done():  # a caller that was cancelled waits no more
            self.future.set_result(self._answers)
        return is_done


class GroupCommit:
    """Runs steps in the order in which they come, on the event loop of those who wait for them: one loop at a time."""

    def __init__(self, run: Run, largest_group: int) -> None:
        self._run = run
        self._largest = largest_group
        self._calls: deque[_Call] = deque()
        self._serving: asyncio.Task[None] | None = None
        self._open = True

    async def run(self, steps: Sequence[Any]) -> list[Any]:
        """The answer of each step, durable: what it came to, or the exception it failed with.

        A caller that is cancelled stops waiting; its steps are run all the same. Raises `Unavailable` once closed.
        """
        if not self._open:
            raise Unavailable("the store is closed")
        call = _Call(steps)
        if steps:
            self._calls.append(call)
            # A task begins in the next turn of the loop: by then everybody whose turn is now has joined the group.
            self._serving = self._serving or asyncio.create_task(self._serve())
        else:
            call.answer([])
        return await call.future

    async def close(self) -> None:
        """Answers what is queued, then ends."""
        self._open = False
        if self._serving:
            await self._serving

    async def _serve(self) -> None:
        while self._calls:
            turns = self._next_group()
            answers = iter(await self._run([step for _, taken in turns for step in taken]))
            # A call that is not done waits again, behind those that came meanwhile.
            self._calls += [call for call, taken in turns if not call.answer(list(islice(answers, len(taken))))]
            for _ in range(min(TURNS_BETWEEN, len(turns) // 2)):
                await asyncio.sleep(0)
        self._serving = None

    def _next_group(self) -> list[tuple[_Call, Sequence[Any]]]:
        """A slice of each call in the order they wait, as far as there is room."""
        turns: list[tuple[_Call, Sequence[Any]]] = []
        room, share = self._largest, max(LARGEST_SLICE, self._largest // len(self._calls))
        while self._calls and room:
            call = self._calls.popleft()
            taken = call.next_slice(min(share, room))
            turns.append((call, taken))
            room -= len(taken)
        return turns
