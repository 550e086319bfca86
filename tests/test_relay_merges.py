"""Merges and splits through a relay: no person is lost, and none has what another one should have."""

import asyncio
from typing import Any

import pytest

from gateway.dialects.outgoing import OutgoingRequest, ProfileState, Target
from gateway.feed.relay.states import all_members
from tests.far_side import FarSide, sayable
from tests.relay_pair import START, Faulty, Pair, pair
from tests.test_outgoing import DIALECTS, expected

RESOURCE = 5
ANN = {
    "email": "ann@example.com",
    "given_name": "Ann",
    "custom": {"plan": "a"},
    "subscriptions": [
        {"resource_id": RESOURCE, "channel": "email", "email": "ann@example.com", "status": "subscribed"}
    ],
}
BOB = {"email": "bob@example.com", "given_name": "Bob", "family_name": "Smith", "segments": [3]}


async def call(near: FarSide, name: str, body: dict[str, Any]) -> None:
    """Send one of Altcraft's calls to the gateway."""
    reply = await near.send(OutgoingRequest("POST", f"/api/v1.1/profiles/{name}", body))
    assert reply.status_code == 200, reply.text


def named(found: Pair, person: str) -> dict[str, Any]:
    return {"db_id": 1, "profile_id": found.near.ids[person]}


async def both_sides(found: Pair, target: str) -> None:
    """Assert that both sides have the same profiles, in what the vendor can say."""
    assert [each.reason for each in await found.dead()] == []
    near = {each["email"]: each for each in await found.near.documents() if "email" in each}
    far = {each["email"]: each for each in await found.far.documents() if "email" in each}
    assert near.keys() == far.keys()
    for email, document in near.items():
        there = {name: each for name, each in far[email].items() if name in document or name != "external_id"}
        assert comparable(sayable(there, target)) == comparable(expected(document, target))


def comparable(said: dict[str, Any]) -> dict[str, Any]:
    """Return what is said without the statuses of moved subscriptions: a merge sends none that lifts an opt-out."""
    return {name: value for name, value in said.items() if name != "subscriptions"}


def lived(work: Any, target: str, **configured: Any) -> None:
    async def run() -> None:
        async with pair("altcraft", target, **configured) as (found, network):
            await work(found, network)

    asyncio.run(run())


async def written(found: Pair, is_known: bool, **persons: dict[str, Any]) -> None:
    """Write persons to the gateway, and relay them if the account is to know them."""
    for name, document in persons.items():
        members = all_members(document)
        state = ProfileState(name, document, list(members), members, time=START)
        found.near.ids[name] = str(await found.near.bring(state, Target()))
    if is_known:
        await found.catch_up()


async def merge(found: Pair, source: str, destination: str, removes: bool) -> None:
    parameters = {"source": [named(found, source)], "destination": named(found, destination), "remove_source": removes}
    await call(found.near, "merge", {"matching": "profile_id", "static_segments": True, **parameters})


@pytest.mark.parametrize("target", DIALECTS)
@pytest.mark.parametrize("is_known", [True, False])
@pytest.mark.parametrize("removes", [True, False])
def test_a_merge_leaves_one_profile_with_what_both_had(target: str, is_known: bool, removes: bool) -> None:
    async def work(found: Pair, _network: Faulty) -> None:
        await written(found, is_known, ann=ANN, bob=BOB)
        await merge(found, "ann", "bob", removes)
        await found.catch_up()
        await both_sides(found, target)
        assert len(await found.far.documents()) <= len(await found.near.documents())

    lived(work, target)


@pytest.mark.parametrize("target", DIALECTS)
def test_an_undone_merge_is_undone_there(target: str) -> None:
    async def work(found: Pair, _network: Faulty) -> None:
        await written(found, True, ann=ANN, bob=BOB)
        await merge(found, "ann", "bob", True)
        await found.catch_up()
        merges = await found.near.store.merges(1, None, 1, None)
        path = f"/gateway/v1/databases/1/merges/{merges[0].entry.merge}/undo"
        reply = await found.near.send(OutgoingRequest("POST", path, {}))
        assert reply.status_code == 200, reply.text
        await found.catch_up()
        await both_sides(found, target)

    lived(work, target)


@pytest.mark.parametrize("target", DIALECTS)
@pytest.mark.parametrize("is_known", [True, False])
def test_a_split_gives_each_profile_its_own(target: str, is_known: bool) -> None:
    async def work(found: Pair, _network: Faulty) -> None:
        await written(found, is_known, ann=ANN, bob=BOB)
        await merge(found, "ann", "bob", True)
        await found.catch_up()
        split = {"source": {"db_id": 1, "email": BOB["email"]}, "destination": [{"db_id": 1, "email": ANN["email"]}]}
        await call(found.near, "split", {**split, "data": {"_fname": "Ann"}})
        await found.catch_up()
        await both_sides(found, target)

    lived(work, target)
