"""Group commit: the queue of an engine's changes. Changes that wait together are run and acknowledged together.

Changes that arrive while a group runs form the next group. So do changes that arrive in one turn of the event loop. A
lone change never waits for others, and many changes share one sync. Between two groups of several calls the event loop
runs some turns, so that clients with a response can send their next request: a group costs about as much as five of its
changes, and 32 clients would otherwise form two halves that alternate. A process runs one group at a time: calls keep
their order, and a process never waits for its own lock.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice
from typing import Any, TypeAlias

from msgspec import Struct

from gateway.core.faults import Refusal
from gateway.stores.errors import Unavailable
from gateway.stores.observer import StoreObserver

MIN_STEPS_PER_CALL = 64
"""Steps that each call may have in a group: a batch of 10,000 is divided, so that other calls need not wait for it."""

MAX_LOOP_TURNS_BETWEEN_GROUPS = 8
"""Turns of the event loop after a group: half as many as it had calls, and at most these."""

RunSteps: TypeAlias = "Callable[[Sequence[Any]], Awaitable[list[Any]]]"
"""Runs the first of some steps. Returns the result of each, an exception where it failed. It never raises."""


class _QueuedCall(Struct, eq=False):
    """The steps of one call, the results so far, and the future of all of them."""

    steps: Sequence[Any]
    future: "asyncio.Future[list[Any]]"
    results: list[Any] = []
    failure: Exception | None = None

    def add(self, results: list[Any]) -> bool:
        """Add some results. Return whether they were the last."""
        self.results += results
        is_done = len(self.results) == len(self.steps)
        for result in results:
            if isinstance(result, Exception) and not isinstance(result, Refusal):
                self.failure = self.failure or result
                # Without the engine the call fails as a whole: its other steps need not wait for the same timeout.
                is_done = is_done or isinstance(result, Unavailable)
        if is_done and not self.future.done():  # the future of a cancelled caller is done
            if isinstance(self.failure, StopIteration):  # no future accepts it
                self.future.set_exception(RuntimeError("an edit raised StopIteration"))
            elif self.failure:
                self.future.set_exception(self.failure)
            else:
                self.future.set_result(self.results)
        return is_done


class GroupCommit:
    """Runs steps in the order in which they arrive, on the event loop of the callers: one loop at a time."""

    def __init__(self, run: RunSteps, max_group: int) -> None:
        self.observer: StoreObserver | None = None
        self._run = run
        self._max_group = max_group
        self._calls: deque[_QueuedCall] = deque()
        self._task: asyncio.Task[None] | None = None
        self._open = True

    def run(self, steps: Sequence[Any]) -> "asyncio.Future[list[Any]]":
        """Return the results of the steps once they are durable. Raises the first exception that is no `Refusal`.

        A cancelled caller stops waiting; its steps run all the same. After `close` it raises `Unavailable`.
        """
        future: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        if not self._open:
            future.set_exception(Unavailable("the store is closed"))
        elif steps:
            self._calls.append(_QueuedCall(steps, future))
            # A task starts in the next turn of the loop: until then every call of this turn joins the group.
            self._task = self._task or asyncio.create_task(self._run_groups())
        else:
            future.set_result([])
        return future

    async def close(self) -> None:
        """Run what is queued, then end."""
        self._open = False
        if self._task:
            await self._task

    async def _run_groups(self) -> None:
        while self._calls:
            calls, steps = self._next_group()
            results = await self._run(steps)
            while len(results) < len(steps):
                results += await self._run(steps[len(results) :])
            if self.observer:
                self.observer.group_stored(len(steps), len(self._calls))
            if len(calls) == 1:
                [(call, _)] = calls
                if not call.add(results):
                    self._calls.append(call)
                continue
            remaining = iter(results)
            # A call with further steps waits again, behind the calls that arrived meanwhile.
            self._calls += [call for call, count in calls if not call.add(list(islice(remaining, count)))]
            for _ in range(min(MAX_LOOP_TURNS_BETWEEN_GROUPS, len(calls) // 2)):
                await asyncio.sleep(0)
        self._task = None

    def _next_group(self) -> tuple[list[tuple[_QueuedCall, int]], list[Any]]:
        """Return some calls in the order of the queue, with the number of their steps; and the steps of all."""
        calls: list[tuple[_QueuedCall, int]] = []
        group: list[Any] = []
        room, share = self._max_group, max(MIN_STEPS_PER_CALL, self._max_group // len(self._calls))
        while self._calls and room:
            call = self._calls.popleft()
            start = len(call.results)
            steps = call.steps[start : start + min(share, room)]
            calls.append((call, len(steps)))
            group += steps
            room -= len(steps)
        return calls, group
