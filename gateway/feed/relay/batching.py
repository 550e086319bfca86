"""Joins the requests of different profiles that wait at the same time, where the vendor takes several as one."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import zip_longest
from typing import TypeAlias

from msgspec.structs import replace

from gateway.dialects.outgoing import Batches, OutgoingRequest, VendorAnswer
from gateway.feed.relay.masking import mask_values
from gateway.feed.relay.replies import AccountReply

Exchanged: TypeAlias = tuple[AccountReply, VendorAnswer]
Waiting: TypeAlias = "list[tuple[OutgoingRequest, asyncio.Future[Exchanged | None]]]"

GATHER_SECONDS = 0.01
"""How long the first request waits for others, which are prepared at the same time."""


class Batching:
    """The batches of one account. Of one profile only one request is on its way, so its order stays.

    `exchange` sends one request. An element that a batch refuses is sent alone, and the answer to that counts: it can
    be repaired, or becomes the dead letter of its profile. So is every element of a batch that is refused as a whole,
    unless `concerns_all` of its status: each of them would get the same answer.
    """

    def __init__(
        self,
        batches: Batches,
        exchange: Callable[[OutgoingRequest, str], Awaitable[Exchanged]],
        concerns_all: Callable[[int], bool],
    ) -> None:
        self._batches = batches
        self._exchange = exchange
        self._concerns_all = concerns_all
        self._waiting: dict[str, Waiting] = {}

    async def exchange(self, request: OutgoingRequest, key: str) -> Exchanged:
        """Send a request, with others where some wait."""
        shared = self._batches.key(request)
        answer = await self._join(shared, request, key) if shared else None
        return answer or await self._exchange(request, key)

    async def _join(self, shared: str, request: OutgoingRequest, key: str) -> Exchanged | None:
        """Return what came of a request in a batch, which the first of them sends; None if it is to be sent alone."""
        answer: asyncio.Future[Exchanged | None] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(shared, [])
        waiting.append((request, answer))
        if len(waiting) == 1:
            results = list[Exchanged | None]()
            try:
                results = await self._send(shared, waiting, f"{key}-batch")
            finally:
                for (_, each), result in zip_longest(waiting, results):
                    if not each.done():  # it is, where the delivery ends
                        each.set_result(result)
        return await answer

    async def _send(self, shared: str, waiting: Waiting, key: str) -> list[Exchanged | None]:
        """Send the requests that wait after a moment. Return what came of each."""
        try:
            await asyncio.sleep(GATHER_SECONDS)
        finally:
            del self._waiting[shared]
        if len(waiting) == 1:
            return []
        batch = self._batches.join([request for request, _ in waiting])
        reply, answer = await self._exchange(batch, key)
        rows = self._batches.parse(reply.tree, len(waiting))
        if rows is None:
            masked = replace(answer, words=mask_values(answer.words, batch))  # it may have values of any of them
            return [(reply, masked) if self._concerns_all(answer.status) else None] * len(waiting)
        return [(AccountReply(each.status), each) if 200 <= each.status < 300 else None for each in rows]
