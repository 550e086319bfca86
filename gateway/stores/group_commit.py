"""Group commit: the queue of an engine's changes. Changes that wait together are run and acknowledged together.

Changes that arrive while a group runs form the next group. So do changes that arrive in one turn of the event loop. A
lone change never waits for others, and many changes share one sync. Between two groups of several calls the event loop
runs some turns, so that clients with a response can send their next request: a group costs about as much as five of its
changes, and 32 clients would otherwise form two halves that alternate. A process runs one group at a time: calls keep
their order, and a process never waits for its own lock. The queue uses no table.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice
from typing import Any, TypeAlias

from gateway.stores.errors import Unavailable

MIN_STEPS_PER_CALL = 64
"""Steps that each call may have in a group: a batch of 10,000 is divided, so that other calls need not wait for it."""

MAX_LOOP_TURNS_BETWEEN_GROUPS = 8
"""Turns of the event loop after a group: half as many as it had calls, and at most these."""

RunSteps: TypeAlias = "Callable[[Sequence[Any]], Awaitable[list[Any]]]"
"""Runs a group of steps. Returns the result of each, an exception where it failed. It never raises."""


class _QueuedCall:
    """The steps of one call, the results so far, and the future of all of them."""

    def __init__(self, steps: Sequence[Any]) -> None:
        self.future: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self._results: list[Any] = []
        self._steps = steps

    def next_steps(self, limit: int) -> Sequence[Any]:
        start = len(self._results)
        return self._steps[start : start + limit]

    def add(self, results: list[Any]) -> bool:
        """Add some results. Return whether they were the last."""
        self._results += results
        # Without the engine the call fails as a whole: the rest of a batch need not wait for the same timeout again.
        failed = any(isinstance(result, Unavailable) for result in results)
        is_done = failed or len(self._results) == len(self._steps)
        if is_done and not self.future.done():  # the future of a cancelled caller is done
            self.future.set_result(self._results)
        return is_done


class GroupCommit:
    """Runs steps in the order in which they arrive, on the event loop of the callers: one loop at a time."""

    def __init__(self, run: RunSteps, max_group: int) -> None:
        self._run = run
        self._max_group = max_group
        self._calls: deque[_QueuedCall] = deque()
        self._task: asyncio.Task[None] | None = None
        self._open = True

    async def run(self, steps: Sequence[Any]) -> list[Any]:
        """Return the result of each step once it is durable, or the exception with which the step failed.

        A cancelled caller stops waiting; its steps run all the same. Raises `Unavailable` after `close`.
        """
        if not self._open:
            raise Unavailable("the store is closed")
        call = _QueuedCall(steps)
        if steps:
            self._calls.append(call)
            # A task starts in the next turn of the loop: until then every call of this turn joins the group.
            self._task = self._task or asyncio.create_task(self._run_groups())
        else:
            call.add([])
        return await call.future

    async def close(self) -> None:
        """Run what is queued, then end."""
        self._open = False
        if self._task:
            await self._task

    async def _run_groups(self) -> None:
        while self._calls:
            group = self._next_group()
            results = iter(await self._run([step for _, steps in group for step in steps]))
            # A call with further steps waits again, behind the calls that arrived meanwhile.
            self._calls += [call for call, steps in group if not call.add(list(islice(results, len(steps))))]
            for _ in range(min(MAX_LOOP_TURNS_BETWEEN_GROUPS, len(group) // 2)):
                await asyncio.sleep(0)
        self._task = None

    def _next_group(self) -> list[tuple[_QueuedCall, Sequence[Any]]]:
        """Return some steps of each call in the order of the queue, up to the size of a group."""
        group: list[tuple[_QueuedCall, Sequence[Any]]] = []
        room, share = self._max_group, max(MIN_STEPS_PER_CALL, self._max_group // len(self._calls))
        while self._calls and room:
            call = self._calls.popleft()
            steps = call.next_steps(min(share, room))
            group.append((call, steps))
            room -= len(steps)
        return group
