"""A relay where the account has other profiles than the gateway: none is lost, and none overwrites another one."""

from typing import Any

import pytest

from gateway.dialects.outgoing import OutgoingRequest
from tests.relay_pair import PERSON, Faulty, Pair, lived, reply, write

OTHER = {"external_id": "customer-2", "email": "person2@example.com", "given_name": "Bea"}


def duplicate(id: str) -> dict[str, Any]:
    return {"errors": [{"detail": "Conflict", "meta": {"duplicate_profile_id": id}, "source": {"pointer": "/data"}}]}


async def klaviyo(found: Pair, attributes: dict[str, Any]) -> str:
    """Create a profile in the account. Return its id."""
    data = {"data": {"type": "profile", "attributes": attributes}}
    response = await found.far.send(OutgoingRequest("POST", "/api/profiles", data))
    assert response.status_code == 201, response.text
    return str(response.json()["data"]["id"])


async def there(found: Pair) -> dict[str, dict[str, Any]]:
    """Return the names and telephones of the account's profiles by their addresses."""
    names = ("given_name", "family_name", "phone_numbers", "external_id")
    documents = await found.far.documents()
    return {each.get("email", ""): {name: value for name, value in each.items() if name in names} for each in documents}


def test_a_profile_that_gets_another_id_is_sent_there_as_a_whole() -> None:
    async def work(found: Pair, _network: Faulty) -> None:
        before = {"email": "person1@example.com", "given_name": "Ann"}
        await write(found.near, "klaviyo", "p1", {}, before)
        await found.catch_up()
        await write(found.near, "klaviyo", "p1", before, {**before, "external_id": "new"})
        await found.catch_up()
        assert await there(found) == {"person1@example.com": {"given_name": "Ann", "external_id": "new"}}

    lived(work, "klaviyo", "courier")


def test_a_removal_that_was_delayed_changes_no_new_profile_with_the_same_id() -> None:
    async def work(found: Pair, network: Faulty) -> None:
        await write(found.near, "courier", "p1", {}, {**PERSON, "family_name": "Lee"})
        await found.catch_up()
        network.replies = [reply(503)]
        await write(found.near, "courier", "p1", PERSON, {})
        await write(found.near, "courier", "p1", {}, PERSON)
        await found.catch_up()
        calls = [f"{each.method} {each.url.path}" for each in network.seen]
        assert calls.count("DELETE /profiles/customer-1") == 2
        expected = {"given_name": "Ann", "external_id": "customer-1"}
        assert await there(found) == {"person1@example.com": expected}

    lived(work, "courier", "courier")


def test_profiles_that_share_a_phone_stay_two() -> None:
    async def work(found: Pair, _network: Faulty) -> None:
        await write(found.near, "courier", "p1", {}, {**PERSON, "phone_numbers": ["+12025550100"]})
        await found.catch_up()
        await write(found.near, "courier", "p2", {}, {**OTHER, "phone_numbers": ["+12025550100"]})
        await found.catch_up()
        found_there = await there(found)
        assert found_there["person1@example.com"]["phone_numbers"] == ["+12025550100"]
        assert found_there["person2@example.com"] == {"given_name": "Bea", "external_id": "customer-2"}
        assert (await found.status())["skipped"] == {"/phone_numbers": 1}

    lived(work, "courier", "klaviyo")


def test_a_profile_with_identifiers_of_two_is_sent_to_one_of_them_without_the_other_identifier() -> None:
    async def work(found: Pair, _network: Faulty) -> None:
        await klaviyo(found, {"email": "person1@example.com"})
        await klaviyo(found, {"external_id": "customer-1"})
        await write(found.near, "courier", "p1", {}, PERSON)
        await found.catch_up()
        assert await found.dead() == []
        own = [each for each in await found.far.documents() if each.get("given_name") == "Ann"]
        assert len(own) == 1
        assert len(await found.far.documents()) == 2
        assert sum((await found.status())["skipped"].values()) == 1
        await write(found.near, "courier", "p1", PERSON, {**PERSON, "family_name": "Lee"})
        await found.catch_up()
        assert [each["family_name"] for each in await found.far.documents() if "given_name" in each] == ["Lee"]

    lived(work, "courier", "klaviyo")


def test_profiles_that_have_identifiers_of_one_are_merged_on_request() -> None:
    async def work(found: Pair, _network: Faulty) -> None:
        await klaviyo(found, {"email": "person1@example.com", "last_name": "Lee"})
        await klaviyo(found, {"external_id": "customer-1"})
        await write(found.near, "courier", "p1", {}, PERSON)
        await found.catch_up()
        assert await found.dead() == []
        expected = {"given_name": "Ann", "family_name": "Lee", "external_id": "customer-1"}
        assert await there(found) == {"person1@example.com": expected}

    lived(work, "courier", "klaviyo", merges=True)


def test_an_identifier_that_is_about_to_be_free_is_waited_for() -> None:
    async def work(found: Pair, network: Faulty) -> None:
        await write(found.near, "courier", "p1", {}, PERSON)
        await found.catch_up()
        network.replies = [reply(409, duplicate("someone")), None]
        await write(found.near, "courier", "p1", PERSON, {**PERSON, "family_name": "Lee"})
        await found.catch_up()
        assert (await found.status())["skipped"] == {}
        assert (await there(found))["person1@example.com"]["family_name"] == "Lee"

    lived(work, "courier", "klaviyo")


@pytest.mark.parametrize("target", ["altcraft", "courier", "klaviyo"])
def test_the_address_of_one_profile_goes_to_another(target: str) -> None:
    async def work(found: Pair, _network: Faulty) -> None:
        await write(found.near, "courier", "p1", {}, PERSON)
        await write(found.near, "courier", "p2", {}, OTHER)
        await found.catch_up()
        await write(found.near, "courier", "p1", PERSON, {**PERSON, "email": "person3@example.com"})
        await write(found.near, "courier", "p2", OTHER, {**OTHER, "email": "person1@example.com"})
        await found.catch_up()
        assert await found.dead() == []
        names = {email: each["given_name"] for email, each in (await there(found)).items()}
        assert names == {"person3@example.com": "Ann", "person1@example.com": "Bea"}

    lived(work, "courier", target)


@pytest.mark.parametrize("target", ["altcraft", "klaviyo"])
def test_profiles_that_share_an_address_do_not_overwrite_each_other(target: str) -> None:
    other = {**PERSON, "external_id": "customer-2", "given_name": "Bea"}

    async def work(found: Pair, _network: Faulty) -> None:
        await write(found.near, "courier", "p1", {}, PERSON)
        await found.catch_up()
        await write(found.near, "courier", "p2", {}, other)
        await write(found.near, "courier", "p2", other, {**other, "family_name": "Lee"})
        await found.catch_up()
        assert await found.dead() == []
        assert (await there(found))["person1@example.com"]["given_name"] == "Ann"
        assert sum((await found.status())["skipped"].values()) > 0

    lived(work, "courier", target)


@pytest.mark.parametrize("target", ["altcraft", "klaviyo"])
def test_new_profiles_that_are_sent_at_the_same_time_do_not_overwrite_each_other(target: str) -> None:
    other = {**PERSON, "external_id": "customer-2", "given_name": "Bea", "family_name": "Lee"}

    async def work(found: Pair, _network: Faulty) -> None:
        await write(found.near, "courier", "p1", {}, PERSON)
        await write(found.near, "courier", "p2", {}, other)
        await found.catch_up()
        assert await found.dead() == []
        first = (await there(found))["person1@example.com"]
        names = {"Ann": {"given_name": "Ann"}, "Bea": {"given_name": "Bea", "family_name": "Lee"}}
        assert names[first["given_name"]].items() <= first.items()
        assert ("family_name" in first) == (first["given_name"] == "Bea")
        assert sum((await found.status())["skipped"].values()) > 0

    lived(work, "courier", target)
