"""Turns: so many at once, and tokens in turn, whatever one of them sends."""

import asyncio
from collections.abc import Sequence

import pytest

from gateway.service.fair_queue import RECENT_SECONDS, FairQueue


async def carried_out(places: int, few: int, tokens: Sequence[str]) -> list[str]:
    """The order in which requests that come together are carried out."""
    turns, order = FairQueue(places, few), []

    async def work(token: str) -> None:
        await turns.enter(token)
        order.append(token)
        await asyncio.sleep(0)
        turns.leave(token)

    await asyncio.gather(*map(work, tokens))
    assert turns._free == places
    assert not turns._running
    return order


async def admitted(turns: FairQueue, *tokens: str) -> str:
    """Those who have a place at once."""
    entering = [asyncio.ensure_future(turns.enter(token)) for token in tokens]
    await asyncio.sleep(0)
    return "".join(token for token, task in zip(tokens, entering, strict=True) if task.done())


def test_a_quiet_token_waits_for_one_turn_of_a_noisy_one() -> None:
    assert asyncio.run(carried_out(1, 1, "aaaaaaab")) == [*"aabaaaaa"]


def test_tokens_take_turns_and_each_keeps_its_order() -> None:
    assert asyncio.run(carried_out(2, 2, "aaaabbcc")) == [*"aaabcabc"]


def test_so_many_are_at_once() -> None:
    assert asyncio.run(admitted(FairQueue(3, 1), *"aaaaa")) == "aaa"


def test_beside_others_a_token_has_few_places() -> None:
    assert asyncio.run(admitted(FairQueue(8, 2), *"baaaabb")) == "baab"


def test_alone_again_a_token_has_all_places() -> None:
    async def run() -> None:
        now = 10.0
        turns = FairQueue(4, 1, lambda: now)
        assert await admitted(turns, *"baaa") == "ba"
        turns.leave("b")
        assert turns._running == {"a": 1}
        now += RECENT_SECONDS
        turns.leave("a")
        await asyncio.sleep(0)
        assert turns._running == {"a": 2}
        assert await admitted(turns, *"aaa") == "aa"

    asyncio.run(run())


@pytest.mark.parametrize("is_chosen", [False, True])
def test_a_place_is_not_lost_with_who_waited_for_it(is_chosen: bool) -> None:
    async def run() -> None:
        turns = FairQueue(1, 1)
        await turns.enter("a")
        waiting = [asyncio.ensure_future(turns.enter("b")) for _ in range(2)]
        await asyncio.sleep(0)
        if is_chosen:
            turns.leave("a")
        waiting[0].cancel()
        if not is_chosen:
            turns.leave("a")
        await asyncio.wait_for(waiting[1], 1)

    asyncio.run(run())
