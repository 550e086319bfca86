"""Turns: so many at once, and tokens in turn, whatever one of them sends."""

import asyncio
from collections.abc import Sequence

import pytest

from gateway.turns import Turns


async def carried_out(places: int, tokens: Sequence[str]) -> list[str]:
    """The order in which requests that come together are carried out."""
    turns, order = Turns(places), []

    async def work(token: str) -> None:
        await turns.enter(token)
        order.append(token)
        await asyncio.sleep(0)
        turns.leave()

    await asyncio.gather(*map(work, tokens))
    assert turns._free == places
    return order


def test_a_quiet_token_waits_for_one_turn_of_a_noisy_one() -> None:
    assert asyncio.run(carried_out(1, "aaaaaaab")) == [*"aabaaaaa"]


def test_tokens_take_turns_and_each_keeps_its_order() -> None:
    assert asyncio.run(carried_out(2, "aaaabbcc")) == [*"aaabcabc"]


def test_so_many_are_at_once() -> None:
    async def run() -> int:
        turns = Turns(3)
        entering = [asyncio.ensure_future(turns.enter("a")) for _ in range(5)]
        await asyncio.sleep(0)
        return sum(task.done() for task in entering)

    assert asyncio.run(run()) == 3


@pytest.mark.parametrize("is_chosen", [False, True])
def test_a_place_is_not_lost_with_who_waited_for_it(is_chosen: bool) -> None:
    async def run() -> None:
        turns = Turns(1)
        await turns.enter("a")
        waiting = [asyncio.ensure_future(turns.enter("b")) for _ in range(2)]
        await asyncio.sleep(0)
        if is_chosen:
            turns.leave()
        waiting[0].cancel()
        if not is_chosen:
            turns.leave()
        await asyncio.wait_for(waiting[1], 1)

    asyncio.run(run())
