"""What a relay sends, what it sends again, and what it gives up."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from gateway.core.subscribers import ACTIVE, DISABLED
from gateway.dialects.outgoing import OutgoingRequest
from tests.relay_pair import PERSON, START, Faulty, Pair, lived, reply, retry_beyond_max_age, write


def test_waiting_changes_of_a_profile_are_one_request_and_an_opt_out_is_one_of_its_own() -> None:
    out = {
        **PERSON,
        "subscriptions": [{"resource_id": 5, "channel": "email", "email": PERSON["email"], "status": "unsubscribed"}],
    }
    back = {**out, "subscriptions": [{**out["subscriptions"][0], "status": "subscribed"}], "given_name": "Bea"}

    async def work(found: Pair, network: Faulty) -> None:
        for before, after in itertools.pairwise([{}, PERSON, out, back]):
            await write(found.near, "altcraft", "p1", before, after)
        await found.catch_up()
        bodies = [each.content.decode() for each in network.seen]
        assert len(bodies) == 2
        assert '"unsubscribed"' in bodies[0]
        assert '"subscribed"' in bodies[1]

    lived(work, "altcraft", "altcraft")


def test_what_may_pass_is_sent_again_in_order_and_what_may_not_is_a_dead_letter() -> None:
    async def work(found: Pair, network: Faulty) -> None:
        network.replies = [reply(503), reply(429, retry_after="7"), reply(400, {"message": "no Ann, please"})]
        await write(found.near, "courier", "p1", {}, PERSON)
        await found.catch_up()
        assert len(network.seen) == 3
        assert found.now >= START + 7_000
        [dead] = await found.dead()
        assert dead.reason == "POST /profiles/***: HTTP 400 no ***, please"
        await write(found.near, "courier", "p1", PERSON, {**PERSON, "given_name": "Bea"})
        await found.catch_up()
        [there] = await found.far.documents()
        assert there["given_name"] == "Bea"

    lived(work)


def test_a_refused_credential_stops_the_relay_and_loses_nothing() -> None:
    async def work(found: Pair, network: Faulty) -> None:
        network.replies = [reply(401)]
        await write(found.near, "courier", "p1", {}, PERSON)
        await found.delivery.run_round()
        assert found.delivery.subscriber.state == DISABLED
        await found.near.store.resume_subscriber(1, "rl_1", None)
        found.delivery.subscriber = replace(found.delivery.subscriber, state=ACTIVE)
        found.now += 600_000
        await found.catch_up()
        assert len(await found.far.documents()) == 1

    lived(work)


def test_a_field_that_the_vendor_refuses_is_left_out_and_counted() -> None:
    async def work(found: Pair, network: Faulty) -> None:
        words = 'with field "shoe": Incorrect field'
        network.replies = [reply(400, {"error": 400, "error_text": words})]
        await write(found.near, "courier", "p1", {}, {**PERSON, "custom": {"shoe": 42, "hat": 7}})
        await found.catch_up()
        assert len(network.seen) == 2
        assert b"shoe" not in network.seen[1].content
        [there] = await found.far.documents()
        assert there["custom"] == {"hat": 7}
        assert (await found.status())["skipped"]["/custom/shoe"] == 1

    lived(work, "courier", "altcraft")


def test_a_profile_that_the_vendor_has_lost_is_sent_as_a_whole() -> None:
    async def work(found: Pair, network: Faulty) -> None:
        await write(found.near, "courier", "p1", {}, PERSON)
        await found.catch_up()
        missing = {"error": 404, "error_text": "Profile not found"}
        network.replies = [reply(404, missing)]
        await write(found.near, "courier", "p1", PERSON, {**PERSON, "family_name": "Lee"})
        await found.catch_up()
        paths = [each.url.path.rpartition("/")[2] for each in network.seen]
        assert paths == ["import", "update", "import"]
        assert b"Ann" in network.seen[-1].content

    lived(work, "courier", "altcraft")


def test_what_came_from_the_account_is_not_sent_back() -> None:
    async def work(found: Pair, network: Faulty) -> None:
        [entry] = [each async for each in _entries(found)] or [None]
        assert entry is None
        await write(found.near, "courier", "p1", {}, PERSON)
        [entry] = [each async for each in _entries(found)]
        sender = found.delivery._sender
        assert sender.selects(entry)
        account = sender.session.account
        sender.session.account = replace(account, ignored=frozenset({entry.origin.token}))  # type: ignore[attr-defined]
        await found.catch_up()
        assert network.seen == []

    lived(work)


async def _entries(found: Pair, after: int | None = None) -> AsyncIterator[Any]:
    for each in await found.near.store.journal(1, found.relay.position if after is None else after, 100):
        yield each


def test_a_removal_is_passed_on_and_the_id_of_the_vendor_forgotten() -> None:
    async def work(found: Pair, _network: Faulty) -> None:
        await write(found.near, "courier", "p1", {}, PERSON)
        await found.catch_up()
        [profile] = [each async for each in _profiles(found)]
        assert await found.near.store.notes(1, "rl_1", [profile.id])
        await write(found.near, "courier", "p1", PERSON, {})
        await found.catch_up()
        assert await found.far.documents() == []
        assert await found.near.store.notes(1, "rl_1", [profile.id]) == {}

    lived(work, "courier", "altcraft")


@pytest.mark.parametrize("target", ["altcraft", "courier", "klaviyo"])
def test_a_removal_that_was_refused_is_replayed_after_its_entry_was_pruned(target: str) -> None:
    async def work(found: Pair, network: Faulty) -> None:
        await write(found.near, "courier", "p1", {}, PERSON)
        await found.catch_up()
        [profile] = [each async for each in _profiles(found)]
        network.replies = [reply(400, {"message": "no"})]
        await write(found.near, "courier", "p1", PERSON, {})
        await found.catch_up()
        assert len(await found.dead()) == 1
        assert await found.near.store.prune(10**15, 100) > 0
        assert await found.near.store.journal(1, 0, 10, profile.id) == []
        await found.near.store.resume_subscriber(1, "rl_1", None)
        found.delivery.reload(1)
        sent = len(network.seen)
        await found.catch_up()
        assert await found.dead() == []
        assert len(network.seen) > sent

    lived(work, "courier", target)


async def _profiles(found: Pair) -> AsyncIterator[Any]:
    async with found.near.store.snapshot() as snapshot:
        async for each in snapshot.profiles(1):
            yield each


def test_an_erasure_is_passed_on_by_the_id_alone_and_leaves_no_trace() -> None:
    async def work(found: Pair, network: Faulty) -> None:
        await write(found.near, "klaviyo", "p1", {}, PERSON)
        await found.catch_up()
        network.replies = [reply(400, {"message": "no"})]
        await write(found.near, "klaviyo", "p1", PERSON, {**PERSON, "given_name": "Bea"})
        await found.catch_up()
        assert len(await found.dead()) == 1
        [profile] = [each async for each in _profiles(found)]
        await write(found.near, "klaviyo", "p1", {**PERSON, "given_name": "Bea"}, {})
        await found.catch_up()
        assert await found.far.documents() == []
        assert await found.dead() == []
        assert await found.near.store.notes(1, "rl_1", [profile.id]) == {}
        assert "example.com" not in str([network.seen[-1].url, network.seen[-1].content])

    lived(work, "klaviyo", "klaviyo")


@pytest.mark.parametrize("target", ["altcraft", "klaviyo"])
def test_a_removal_is_sent_before_a_new_profile_of_the_same_person(target: str) -> None:
    async def work(found: Pair, _network: Faulty) -> None:
        await write(found.near, "altcraft", "p1", {}, PERSON)
        await found.catch_up()
        await write(found.near, "altcraft", "p1", PERSON, {})
        await write(found.near, "altcraft", "p1", {}, {**PERSON, "given_name": "Bea"})
        await found.catch_up()
        assert [each["given_name"] for each in await found.far.documents()] == ["Bea"]

    lived(work, "altcraft", target, deletes=True)


def test_an_opt_out_is_tried_for_as_long_as_it_may_pass() -> None:
    out = {"resource_id": 5, "channel": "email", "email": PERSON["email"], "status": "unsubscribed"}

    async def work(found: Pair, network: Faulty) -> None:
        await write(found.near, "altcraft", "p1", {}, PERSON)
        await found.catch_up()
        await write(found.near, "altcraft", "p1", PERSON, {**PERSON, "subscriptions": [out]})
        await retry_beyond_max_age(found, network)
        [there] = await found.far.documents()
        assert there["subscriptions"][0]["status"] == "unsubscribed"

    lived(work, "altcraft", "altcraft")


def test_the_status_counts_requests_and_failures_and_has_the_lag() -> None:
    async def work(found: Pair, network: Faulty) -> None:
        network.replies = [reply(503), reply(400, {"message": "no"})]
        await write(found.near, "courier", "p1", {}, PERSON)
        await found.delivery.run_round()
        [entry] = [each async for each in _entries(found, 0)]
        found.now = entry.origin.time + 5_000
        status = await found.status()
        assert (status["retried"], status["dead"], status["lag"]) == (1, 0, 5.0)
        await found.catch_up()
        status = await found.status()
        assert status["failures"] == {"503": 1, "400": 1}
        assert (status["retried"], status["dead"], status["lag"], status["waiting"]) == (0, 1, 0, 0)
        assert 0 < status["rate"] <= 2 / 60

    lived(work)


def test_after_many_failures_one_request_at_a_time_is_sent() -> None:
    async def work(found: Pair, network: Faulty) -> None:
        running = most = 0
        inner = network.handle_async_request

        async def handle(request: httpx.Request) -> httpx.Response:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            answer = await inner(request)
            running -= 1
            return answer

        network.handle_async_request = handle  # type: ignore[method-assign]
        network.replies = [reply(503)] * 40
        for number in range(40):
            person = {"external_id": f"p{number}", "email": f"{number}@example.com"}
            await write(found.near, "courier", f"p{number}", {}, person)
        await found.delivery.run_round()
        assert most > 1
        most = 0
        found.now += 600_000
        network.replies = [reply(503)] * 40
        await found.delivery.run_round()
        assert most == 1
        await found.catch_up()
        assert most > 1
        assert len(await found.far.documents()) == 40

    lived(work)


def test_a_profile_is_replaced_where_that_is_configured() -> None:
    async def work(found: Pair, _network: Faulty) -> None:
        theirs = OutgoingRequest("POST", "/profiles/customer-1", {"profile": {"nickname": "Annie", "custom": {"a": 1}}})
        assert (await found.far.send(theirs)).status_code == 200
        before = {**PERSON, "custom": {"b": {"c": 1, "d": 2}}}
        await write(found.near, "courier", "p1", {}, before)
        await found.catch_up()
        after = {**PERSON, "custom": {"b": {"d": 2}}}
        await write(found.near, "courier", "p1", before, after)
        await found.catch_up()
        assert await found.far.documents() == [after]

    lived(work, replaces=True)


def test_a_member_without_a_field_there_has_the_name_that_is_configured() -> None:
    async def work(found: Pair, _network: Faulty) -> None:
        await write(found.near, "courier", "p1", {}, {**PERSON, "nickname": "Annie", "middle_name": "Jo"})
        await found.catch_up()
        [there] = await found.far.documents()
        assert there["custom"] == {"Nick": "Annie", "middle_name": "Jo"}

    lived(work, "courier", "klaviyo", properties={"nickname": "Nick"})
