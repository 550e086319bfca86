"""The fair queue: limits, and the alternation of tokens."""

import asyncio
from collections.abc import Sequence

import pytest

from gateway.service.fair_queue import RECENT_SECONDS, FairQueue


async def carried_out(places: int, few: int, tokens: Sequence[str]) -> list[str]:
    """Return the order in which simultaneous requests run."""
    queue, order = FairQueue(places, few), []

    async def work(token: str) -> None:
        await queue.enter(token)
        order.append(token)
        await asyncio.sleep(0)
        queue.leave(token)

    await asyncio.gather(*map(work, tokens))
    assert queue._free == places
    assert not queue._running
    return order


async def admitted(queue: FairQueue, *tokens: str) -> str:
    """Return the tokens that get a place at once."""
    entering = [asyncio.ensure_future(queue.enter(token)) for token in tokens]
    await asyncio.sleep(0)
    return "".join(token for token, task in zip(tokens, entering, strict=True) if task.done())


def test_a_quiet_token_waits_for_one_request_of_a_busy_one() -> None:
    assert asyncio.run(carried_out(1, 1, "aaaaaaab")) == [*"aabaaaaa"]


def test_tokens_alternate_and_each_keeps_its_order() -> None:
    assert asyncio.run(carried_out(2, 2, "aaaabbcc")) == [*"aaabcabc"]


def test_running_requests_are_limited() -> None:
    assert asyncio.run(admitted(FairQueue(3, 1), *"aaaaa")) == "aaa"


def test_a_token_has_few_places_beside_others() -> None:
    assert asyncio.run(admitted(FairQueue(8, 2), *"baaaabb")) == "baab"


def test_a_token_alone_has_all_places() -> None:
    async def run() -> None:
        now = 10.0
        queue = FairQueue(4, 1, lambda: now)
        assert await admitted(queue, *"baaa") == "ba"
        queue.leave("b")
        assert queue._running == {"a": 1}
        now += RECENT_SECONDS
        queue.leave("a")
        await asyncio.sleep(0)
        assert queue._running == {"a": 2}
        assert await admitted(queue, *"aaa") == "aa"

    asyncio.run(run())


@pytest.mark.parametrize("is_chosen", [False, True])
def test_a_cancelled_request_frees_its_place(is_chosen: bool) -> None:
    async def run() -> None:
        queue = FairQueue(1, 1)
        await queue.enter("a")
        waiting = [asyncio.ensure_future(queue.enter("b")) for _ in range(2)]
        await asyncio.sleep(0)
        if is_chosen:
            queue.leave("a")
        waiting[0].cancel()
        if not is_chosen:
            queue.leave("a")
        await asyncio.wait_for(waiting[1], 1)

    asyncio.run(run())
