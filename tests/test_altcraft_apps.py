"""The calls of Altcraft's mobile SDKs and of pages: what the cases of `fixtures/` do not send."""

import json
from typing import Any

import httpx
import pytest

from gateway.core.fingerprint import fingerprint
from gateway.core.model import Resource
from tests.cases import TOKENS
from tests.test_feed import Conversation, conversed

ROLE_TOKEN = "app-of-resource-5"
APP = Resource(5, "app", ("news", "sport"), token_hash=fingerprint(ROLE_TOKEN))
BEARER = {"authorization": f"Bearer rtoken@{ROLE_TOKEN}"}
DEVICE = {"provider": "android-firebase", "subscription_id": "device-1"}
PUSH = "/subscription/push"
TOKEN = next(iter(TOKENS))


async def subscribe(gateway: Conversation, key: str, **further: Any) -> httpx.Response:
    body = {
        "time": 1767225600,
        "subscription_id": DEVICE["subscription_id"],
        "subscription": {**DEVICE, "status": "subscribed", "fields": None, "cats": None},
        "profile_fields": {"visits": {"action": "incr", "value": 1}},
        "replace": False,
        "skip_triggers": False,
        **further,
    }
    return await gateway.client.post(f"{PUSH}/subscribe/", json=body, headers={**BEARER, "request-id": key})


async def profile(gateway: Conversation, **match: Any) -> dict[str, Any]:
    body = {"token": TOKEN, "db_id": 1, **match}
    found: dict[str, Any] = (await gateway.client.post("/api/v1.1/profiles/get", json=body)).json()
    return found["data"]


def test_a_request_id_makes_a_repeated_request_one() -> None:
    async def work(gateway: Conversation) -> None:
        await gateway.store.add_resource(1, APP)
        first, again = [await subscribe(gateway, "one") for _ in range(2)]
        assert first.status_code == 200
        assert again.json() == first.json()
        other = await subscribe(gateway, "one", replace=True)
        assert (other.status_code, other.json()["error"]) == (409, 409)
        found = await profile(gateway, matching="push_sub", **DEVICE)
        assert found["visits"] == 1

    conversed(work)


def test_an_event_is_read_as_the_sdk_sends_it() -> None:
    async def work(gateway: Conversation) -> None:
        await gateway.store.add_resource(1, APP)
        await subscribe(gateway, "one")
        parts = {
            "tz": (None, "180"),
            "t": (None, "1767225600"),
            "wn": (None, "purchase"),
            "wd": (None, json.dumps({"sum": 7}), "application/json"),
            "ma": (None, json.dumps(DEVICE), "application/json"),
            "pf": (None, json.dumps({"_fname": "Ann", "visits": {"action": "incr", "value": 2}}), "application/json"),
        }
        query = {"i": "pixel", "tr": "px", "t": "open", "v": "2"}
        reply = await gateway.client.post("/event/post/", params=query, files=parts, headers=BEARER)
        assert (reply.status_code, reply.json()) == (200, {"error": 0, "error_text": ""})
        found = await profile(gateway, matching="push_sub", **DEVICE)
        assert (found["_fname"], found["visits"]) == ("Ann", 3)

    conversed(work)


def test_the_token_of_a_resource_opens_no_other_call() -> None:
    async def work(gateway: Conversation) -> None:
        await gateway.store.add_resource(1, APP)
        await subscribe(gateway, "one")
        for path in ("profiles/get", "profiles/import", "resources/push_subscribe", "profiles/message_unsub"):
            body = {"db_id": 1, "matching": "push_sub", **DEVICE, "data": {}, "resource_token": ROLE_TOKEN}
            for credential in ({}, BEARER, {"authorization": f"Bearer {ROLE_TOKEN}"}):
                body |= {"rtoken": ROLE_TOKEN, "smid": "0" * 24, "subscriptions": [DEVICE]}
                reply = await gateway.client.post(f"/api/v1.1/{path}", json=body, headers=credential)
                assert reply.status_code in (401, 403), (path, reply.text)
        for path in ("/profile/update", f"{PUSH}/subscribe"):
            headers = {"authorization": f"Bearer {TOKEN}"}
            assert (await gateway.client.post(path, json={}, headers=headers)).status_code == 403

    conversed(work)


def test_a_resource_without_its_token_opens_nothing() -> None:
    async def work(gateway: Conversation) -> None:
        await gateway.store.add_resource(1, APP)
        assert (await subscribe(gateway, "one")).status_code == 200
        await gateway.store.update_resource(1, Resource(5, "app", ("news", "sport")))
        assert (await subscribe(gateway, "two")).status_code == 403

    conversed(work)


@pytest.mark.parametrize("known", [True, False])
def test_a_page_learns_nothing_of_what_is_stored(known: bool) -> None:
    async def work(gateway: Conversation) -> None:
        await gateway.store.add_resource(1, APP)
        id = "0" * 24
        if known:
            id = (await subscribe(gateway, "one")).json()["profile"]["id"]
        page = {"origin": "https://shop.example"}
        asked = {**page, "access-control-request-method": "POST", "access-control-request-headers": "content-type"}
        allowed = await gateway.client.options("/push_subscribe", headers=asked)
        assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, "*")
        body = {"resource_token": ROLE_TOKEN, "id": id, "subscriptions": [{**DEVICE, "provider": "Firefox"}]}
        reply = await gateway.client.post("/push_subscribe", json=body, headers=page)
        assert reply.headers["access-control-allow-origin"] == "*"
        assert (reply.status_code, reply.json()) == (200, {"error": 0, "error_text": "Successful operation"})

    conversed(work)
