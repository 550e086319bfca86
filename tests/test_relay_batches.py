"""Requests of different profiles that wait at the same time: one batch where the vendor has it, an answer for each."""

import asyncio
from typing import Any

import pytest

from gateway.dialects.outgoing import OutgoingRequest
from gateway.feed.delivery import MAX_RUNNING
from gateway.feed.relay.batching import Batching
from tests.far_side import OUTGOING
from tests.relay_pair import Faulty, Pair, lived, pair, reply, write

IMPORT, BATCH = "/api/v1.1/profiles/import", "/api/v1.1/profiles/import_batch"
UPDATE_BATCH = "/api/v1.1/profiles/update_batch"


def person(number: int, **members: Any) -> dict[str, Any]:
    return {"external_id": f"c{number}", "email": f"p{number}@example.com", "given_name": f"Nora{number}", **members}


async def create(found: Pair, count: int) -> None:
    for number in range(count):
        await write(found.near, "courier", f"p{number}", {}, person(number))


def paths(network: Faulty) -> list[str]:
    return [each.url.path for each in network.seen]


@pytest.mark.parametrize("media", ["json", "xml"])
def test_many_waiting_profiles_are_few_requests(media: str) -> None:
    async def run() -> None:
        async with pair("courier", "altcraft", far_media=media) as (found, network):
            await create(found, 40)
            await found.catch_up()
            assert paths(network) == [BATCH]
            await write(found.near, "courier", "p7", person(7), person(7, given_name="Ann"))
            await write(found.near, "courier", "p8", person(8), person(8, family_name="Lee"))
            await found.catch_up()
            assert paths(network)[1:] == [UPDATE_BATCH]
            there = {each["email"]: each for each in await found.far.documents()}
            assert len(there) == 40
            assert there["p7@example.com"]["given_name"] == "Ann"
            assert there["p8@example.com"]["family_name"] == "Lee"
            assert await found.dead() == []

    asyncio.run(run())


def test_an_element_that_is_refused_is_a_dead_letter_of_its_profile_alone() -> None:
    rows = [{"error": 0, "profile_id": "a"}, {"error": 400, "error_text": "no Nora1"}, {"error": 0, "profile_id": "c"}]

    async def work(found: Pair, network: Faulty) -> None:
        await create(found, 3)
        refusal = reply(400, {"error": 400, "error_text": "no Nora1"})
        network.replies = [reply(200, {"error": 0, "result": rows}), refusal]
        await found.catch_up()
        assert paths(network) == [BATCH, IMPORT]
        assert b"p1@example.com" in network.seen[1].content
        [dead] = await found.dead()
        assert dead.reason == f"POST {IMPORT}: HTTP 400 no ***"

    lived(work, "courier", "altcraft")


@pytest.mark.parametrize("status", [400, 413])
def test_each_element_of_a_batch_that_is_refused_as_a_whole_is_sent_alone(status: int) -> None:
    async def work(found: Pair, network: Faulty) -> None:
        await create(found, 3)
        network.replies = [reply(status, {"error": status, "error_text": "too much"})]
        await found.catch_up()
        assert paths(network) == [BATCH, IMPORT, IMPORT, IMPORT]
        assert len(await found.far.documents()) == 3
        assert await found.dead() == []

    lived(work, "courier", "altcraft")


@pytest.mark.parametrize("status", [401, 429, 503])
def test_what_concerns_all_elements_sends_none_of_them_alone(status: int) -> None:
    async def work(found: Pair, network: Faulty) -> None:
        await create(found, 2)
        network.replies = [reply(status, {"error": status, "error_text": "busy with Nora0 and Nora1"})]
        await found.delivery.run_round()
        assert paths(network) == [BATCH]
        waiting = await found.near.store.deliveries(1, "rl_1", False, 0, 10)
        assert [each.reason for each in waiting] == [f"POST {IMPORT}: HTTP {status} busy with *** and ***"] * 2

    lived(work, "courier", "altcraft")


def test_a_field_that_an_element_would_read_as_its_match_value_is_sent_alone() -> None:
    async def work(found: Pair, network: Faulty) -> None:
        await create(found, 2)
        await write(found.near, "courier", "p2", {}, person(2, custom={"provider": "x"}))
        await found.catch_up()
        assert sorted(paths(network)) == [IMPORT, BATCH]

    lived(work, "courier", "altcraft")


def test_no_more_requests_are_on_their_way_than_without_batches() -> None:
    running, most = 0, 0

    async def work(found: Pair, network: Faulty) -> None:
        inner = network.handle_async_request

        async def counted(request: Any) -> Any:
            nonlocal running, most
            running, most = running + 1, max(most, running + 1)
            await asyncio.sleep(0.001)
            answer = await inner(request)
            running -= 1
            return answer

        network.handle_async_request = counted  # type: ignore[method-assign]
        for number in range(40):
            await write(found.near, "courier", f"p{number}", {}, person(number, custom={"provider": "x"}))
        await found.catch_up()
        assert paths(network) == [IMPORT] * 40

    lived(work, "courier", "altcraft")
    assert most == MAX_RUNNING


def test_a_delivery_that_ends_ends_its_batch() -> None:
    batches = OUTGOING["altcraft"].batches
    assert batches

    async def run() -> None:
        async def exchange(*_: Any) -> Any:
            raise AssertionError

        batching = Batching(batches, exchange, lambda _status: False)
        request = OutgoingRequest("POST", IMPORT, {"matching": "email", "email": "a@example.com", "data": {}})
        tasks = [asyncio.create_task(batching.exchange(request, "key")) for _ in range(3)]
        await asyncio.sleep(0)
        for each in tasks:
            each.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(each) for each in results] == [asyncio.CancelledError] * 3

    asyncio.run(run())
