"""Facts about addresses through a relay: they reach each profile of the address."""

import httpx
import pytest

from tests.far_side import SECRET, FarSide
from tests.relay_pair import PERSON, Faulty, Pair, lived, write

SUPPRESSIONS = "/api/profile-suppression-bulk-{}-jobs"


async def change_suppression(near: FarSide, verb: str, email: str) -> None:
    """Run a job of Klaviyo that suppresses an address (`create`), or lifts its suppression (`delete`)."""
    person = {"type": "profile", "attributes": {"email": email}}
    attributes = {"profiles": {"data": [person]}}
    tree = {"data": {"type": f"profile-suppression-bulk-{verb}-job", "attributes": attributes}}
    async with httpx.AsyncClient(transport=near.transport, base_url="http://near") as client:
        headers = {"authorization": f"Klaviyo-API-Key {SECRET}", "revision": "2026-07-15"}
        reply = await client.post(SUPPRESSIONS.format(verb), json=tree, headers=headers)
        assert reply.status_code == 202, reply.text


def paths(network: Faulty) -> list[str]:
    """Return the paths of the requests so far, and forget them."""
    seen, network.seen = [each.url.path for each in network.seen], []
    return seen


def test_a_suppression_reaches_each_profile_of_the_address_and_its_end_too() -> None:
    async def work(found: Pair, network: Faulty) -> None:
        for person in ("p1", "p2"):
            await write(found.near, "courier", person, {}, {**PERSON, "external_id": person})
        await found.catch_up()
        paths(network)
        for verb, facts in (("create", {"suppressed"}), ("delete", set[str]())):
            await change_suppression(found.near, verb, PERSON["email"])
            await found.catch_up()
            assert paths(network).count(SUPPRESSIONS.format(verb)) == 2
            ledgers = await found.far.store.ledgers(1, [f"email:{PERSON['email']}"])
            assert {reason for each in ledgers.values() for reason in each.facts[""]} == facts
            await change_suppression(found.near, verb, PERSON["email"])
            await found.catch_up()
            assert paths(network) == []
        assert await found.dead() == []

    lived(work, "courier", "klaviyo")


def test_a_suppression_suspends_the_subscription_and_its_end_restores_it() -> None:
    mail = {"resource_id": 5, "channel": "email", "email": PERSON["email"]}

    async def work(found: Pair, network: Faulty) -> None:
        await write(found.near, "courier", "p1", {}, PERSON)
        await change_suppression(found.near, "create", PERSON["email"])
        await found.catch_up()
        [there] = await found.far.documents()
        assert there["subscriptions"] == [{**mail, "status": "suspended"}]
        assert len(paths(network)) == 1

    lived(work, "courier", "altcraft", resource=5)


@pytest.mark.parametrize("target", ["altcraft", "klaviyo"])
def test_an_address_brings_its_facts_to_the_profile_that_gets_it(target: str) -> None:
    async def work(found: Pair, _network: Faulty) -> None:
        await change_suppression(found.near, "create", "gone@example.com")
        await write(found.near, "courier", "p1", {}, PERSON)
        await found.catch_up()
        await write(found.near, "courier", "p1", PERSON, {**PERSON, "email": "gone@example.com"})
        await found.catch_up()
        if target == "klaviyo":
            assert (
                "suppressed"
                in (await found.far.store.ledgers(1, ["email:gone@example.com"]))["email:gone@example.com"].facts[""]
            )
        else:
            documents = [each for each in await found.far.documents() if each["email"] == "gone@example.com"]
            assert documents
            for each in documents:
                assert [one["status"] for one in each["subscriptions"]] == ["suspended"]

    lived(work, "courier", target, **({"resource": 5} if target == "altcraft" else {}))
