"""Consent that changes without a change of a document: each profile has an entry, so history and feed have it.

That none is missing is a part of the law of consent (`tests/consent/journal.py`).
"""

import asyncio
from typing import Any

import jsonpatch
import pytest

from gateway.core.times import format_time
from tests.consent.calls import job
from tests.consent.world import COURIER, serving, world
from tests.test_feed import DATABASE, TOKEN, Conversation, conversed

ANN = "ann@example.com"
KLAVIYO = {"authorization": f"Klaviyo-API-Key {TOKEN}", "revision": "2025-10-15"}
SUPPRESS, UNSUPPRESS = "profile-suppression-bulk-create", "profile-suppression-bulk-delete"
UNSUBSCRIBE = "profile-subscription-bulk-delete"
SUBSCRIPTIONS = {"email": {"marketing": {"consent": "UNSUBSCRIBED"}}}


async def run_job(gateway: Conversation, name: str, email: str = ANN, **attributes: Any) -> list[dict[str, Any]]:
    """Run a job of Klaviyo on an address. Return the events since then."""
    cursor = (await gateway.get(f"{DATABASE}/changes")).json()["cursor"]
    gateway.now = next(gateway._clock)
    person = {"type": "profile", "attributes": {"email": email, **attributes}}
    tree = job(f"{name}-job", {"profiles": {"data": [person]}})
    reply = await gateway.client.post(f"/api/{name}-jobs", json=tree, headers=KLAVIYO)
    assert reply.status_code == 202, reply.text
    return await gateway.events(after=cursor, values="true")


def test_a_suppression_is_an_event_of_each_profile_that_has_the_address() -> None:
    async def work(gateway: Conversation) -> None:
        for id in ("one", "two"):
            await gateway.write(id, {"email": ANN})
        await gateway.write("other", {"email": "bob@example.com"})
        events = await run_job(gateway, SUPPRESS)
        subjects = [each["subject"] for each in await gateway.events()]
        assert sorted(each["subject"] for each in events) == sorted(subjects[:2])
        assert {each["type"] for each in events} == {"profile.updated"}
        assert events[0]["data"]["version"] == 2
        assert events[0]["data"]["changed"] == ["/subscriptions"]
        reasons = {"suppressed": gateway.now}
        suspended = {"channel": "email", "email": ANN, "status": "suspended", "reasons": reasons, "own_status": None}
        assert events[0]["data"]["values"] == [{"path": "/subscriptions", "after": [suspended]}]
        assert await run_job(gateway, SUPPRESS) == []
        lifted = await run_job(gateway, UNSUPPRESS)
        assert [each["data"]["values"] for each in lifted] == [[{"path": "/subscriptions", "before": [suspended]}]] * 2
        assert await run_job(gateway, UNSUPPRESS) == []

    conversed(work)


def test_a_suppression_that_creates_the_profile_is_named_by_its_creation() -> None:
    async def work(gateway: Conversation) -> None:
        [event] = await run_job(gateway, SUPPRESS)
        assert event["type"] == "profile.created"
        assert event["data"]["changed"] == ["/email", "/subscriptions"]

    conversed(work)


def test_an_address_without_a_profile_has_no_event() -> None:
    async def work(gateway: Conversation) -> None:
        assert await run_job(gateway, UNSUPPRESS) == []
        await run_job(gateway, SUPPRESS)
        body = {"token": TOKEN, "db_id": 1, "matching": "email", "email": ANN}
        assert (await gateway.client.post("/api/v1.1/profiles/delete", json=body)).json()["error"] == 0
        assert await gateway.store.ledgers(1, [f"email:{ANN}"])
        assert await run_job(gateway, UNSUPPRESS) == []

    conversed(work)


def test_an_unsubscription_is_an_event_of_who_shares_the_address() -> None:
    async def work(gateway: Conversation) -> None:
        await gateway.write("one", {"email": ANN})
        await gateway.write("two", {"email": ANN})
        events = await run_job(gateway, UNSUBSCRIBE, subscriptions=SUBSCRIPTIONS)
        assert len(events) == 2
        assert all("/subscriptions" in each["data"]["changed"] for each in events)
        assert await run_job(gateway, UNSUBSCRIBE, subscriptions=SUBSCRIPTIONS) == []

    conversed(work)


@pytest.mark.parametrize("name", ["email", "phone"])
def test_an_opt_out_of_one_profile_is_an_event_of_the_other(name: str) -> None:
    address = {"email": ANN, "phone": "+12025550123"}[name]

    async def work(gateway: Conversation) -> None:
        channel = {"email": "email", "phone": "sms"}[name]
        one = {"resource_id": 5, "channel": channel, name: address, "status": "subscribed"}
        for id in (1, 2):
            data = {"email": f"{id}@example.com", "subscriptions": [one]}
            body = {"token": TOKEN, "db_id": 1, "matching": "email", "email": data["email"], "data": data}
            assert (await gateway.client.post("/api/v1.1/profiles/import", json=body)).json()["error"] == 0
        cursor = (await gateway.get(f"{DATABASE}/changes")).json()["cursor"]
        body["data"] = {"subscriptions": [{**one, "status": "unsubscribed"}]}
        assert (await gateway.client.post("/api/v1.1/profiles/import", json=body)).json()["error"] == 0
        own, other = await gateway.events(after=cursor, values="true")
        assert (own["data"]["version"], other["data"]["version"]) == (2, 2)
        [change] = other["data"]["values"]
        assert (change["before"][0]["status"], change["after"][0]["status"]) == ("subscribed", "unsubscribed")
        assert change["after"][0]["own_status"] == "subscribed"

    conversed(work)


def test_an_erasure_is_an_entry_of_who_shares_the_address() -> None:
    async def work() -> None:
        async with serving() as gateway, world(gateway) as one:
            for id in ("one", "two"):
                await one.send("PUT", f"/profiles/{id}", {"profile": {"email": ANN}}, COURIER)
            first, _ = await gateway.store.journal(1, 0, 10)
            answer = await one.send("POST", f"{DATABASE}/profiles/{first.profile}/erase", headers=COURIER)
            assert answer.status == 204, answer
            _, second, erased, other = await gateway.store.journal(1, 0, 10)
            assert (erased.profile, erased.kind) == (first.profile, "erase")
            assert (other.profile, other.kind, other.version) == (second.profile, "update", 2)
            [change] = other.members
            assert (change.pointer, change.is_stored) == ("/subscriptions", False)
            assert [each["status"] for each in change.after] == ["unsubscribed"]

    asyncio.run(work())


def test_a_history_has_the_consent_and_documents_stay_as_they_were() -> None:
    async def work(gateway: Conversation) -> None:
        await gateway.write("one", {"email": ANN, "given_name": "A"})
        [event] = await run_job(gateway, SUPPRESS)
        await gateway.write("one", {"email": ANN, "given_name": "B"})
        profile = f"{DATABASE}/profiles/{event['subject']}"
        entries = (await gateway.get(f"{profile}/history")).json()["entries"]
        assert [each["version"] for each in entries] == [1, 2, 3]
        assert (entries[1]["forward"], entries[1]["backward"]) == ([], [])
        assert entries[1]["consent"] == event["data"]["values"]
        assert not any("consent" in each for each in (entries[0], entries[2]))
        for version, name in ((1, "A"), (2, "A"), (3, "B")):
            found = (await gateway.get(profile, at=entries[version - 1]["time"])).json()["profile"]
            assert (found["version"], found["document"]["given_name"]) == (version, name)
            assert "subscriptions" not in found["document"]

    conversed(work)


def test_no_client_of_the_own_api_sees_what_a_subscription_lifts() -> None:
    async def work(gateway: Conversation) -> None:
        one = {"resource_id": 5, "channel": "email", "email": ANN}
        body: dict[str, Any] = {"token": TOKEN, "db_id": 1, "matching": "email", "email": ANN}
        for status in ("unsubscribed", "subscribed", "unsubscribed", "subscribed"):
            body["data"] = {"email": ANN, "subscriptions": [{**one, "status": status}]}
            gateway.now = next(gateway._clock)
            assert (await gateway.client.post("/api/v1.1/profiles/import", json=body)).json()["error"] == 0
        entries = await gateway.store.journal(1, 0, 10)
        assert any("lifts" in each for each in entries[-1].members[-1].after), "an undo needs it"
        path = f"{DATABASE}/profiles/{entries[0].profile}"
        times = [format_time(each.origin.time) for each in entries]
        body["data"]["subscriptions"][0]["status"] = "unsubscribed"
        replies = [
            *[await gateway.get(path, at=at) for at in times],
            *[await gateway.get(place, **values) for place, values in ((path, {}), (f"{path}/history", {}))],
            await gateway.get(f"{DATABASE}/changes", values="true"),
            await gateway.client.post("/api/v1.1/profiles/import?dry_run=true", json=body),
            await gateway.client.post("/api/v1.1/profiles/get", json=body),
        ]
        assert [each.status_code for each in replies] == [200] * len(replies)
        assert [each.text for each in replies if "lifts" in each.text] == []
        history = (await gateway.get(f"{path}/history")).json()["entries"]
        document: Any = None
        for entry in history:
            document = jsonpatch.apply_patch(document, entry["forward"])
        assert document == (await gateway.get(path)).json()["profile"]["document"]

    conversed(work)
