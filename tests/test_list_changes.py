"""Lists that requests create, change and delete: repeated and concurrent requests, and the other dialects."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from gateway.core.fingerprint import fingerprint
from gateway.core.model import Database, Query, Token
from gateway.core.segments import Segment
from gateway.stores.protocol import Store
from tests.in_process import gateway_in_memory

pytestmark = pytest.mark.anyio

TOKEN = "token-of-the-lists"
KLAVIYO = {"authorization": f"Klaviyo-API-Key {TOKEN}", "revision": "2026-07-15"}
COURIER = {"authorization": f"Bearer {TOKEN}"}


class Gateway:
    """A gateway with a client."""

    def __init__(self, client: httpx.AsyncClient, store: Store) -> None:
        self._client, self.store = client, store

    async def send(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        own = KLAVIYO if path.startswith("/api/lists") else COURIER
        return await self._client.request(method, path, json=body, headers={**own, **headers})

    async def create(self, name: str, **headers: str) -> str:
        body = {"data": {"type": "list", "attributes": {"name": name}}}
        reply = await self.send("POST", "/api/lists", body, **headers)
        assert reply.status_code == 201, reply.text
        return str(reply.json()["data"]["id"])

    async def lists(self, query: str = "") -> dict[str, str]:
        """Return the names of the declared lists by id."""
        reply = await self.send("GET", f"/api/lists{query}")
        return {row["id"]: row["attributes"]["name"] for row in reply.json()["data"]}


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async with gateway_in_memory(TOKEN) as (client, store):
        yield Gateway(client, store)


async def test_a_repeated_creation_returns_the_first_list(gateway: Gateway) -> None:
    key = {"idempotency-key": "once"}
    assert [await gateway.create("Spring", **key) for _ in range(3)] == ["1", "1", "1"]
    body = {"data": {"type": "list", "attributes": {"name": "Autumn"}}}
    assert (await gateway.send("POST", "/api/lists", body, **key)).status_code == 409
    assert await gateway.lists() == {"1": "Spring"}
    assert await gateway.create("Spring") == "2"


async def test_concurrent_creations_get_numbers_of_their_own(gateway: Gateway) -> None:
    ids = await asyncio.gather(*(gateway.create(f"List {number}") for number in range(8)))
    assert sorted(ids) == [str(number) for number in range(1, 9)]


async def test_a_list_is_known_to_the_other_dialects_until_it_is_deleted(gateway: Gateway) -> None:
    await gateway.store.update_database(Database(1, "main", closed=True))
    id = await gateway.create("Spring")
    member = {"token": TOKEN, "db_id": 1, "matching": "email", "email": "ann@example.com", "segment_id": int(id)}
    data = {"token": TOKEN, "db_id": 1, "email": "ann@example.com", "data": {"email": "ann@example.com"}}
    assert (await gateway.send("POST", "/api/v1.1/profiles/import", data)).status_code == 200
    assert (await gateway.send("POST", "/api/v1.1/profiles/segstatic/add", member)).status_code == 200
    found = (await gateway.send("GET", f"/lists/{id}")).json()
    assert (found["id"], found["name"]) == (id, "Spring")
    assert found["created"].endswith("Z")
    assert (await gateway.send("DELETE", f"/api/lists/{id}")).status_code == 204
    assert (await gateway.send("GET", f"/lists/{id}")).status_code == 404
    assert (await gateway.send("POST", "/api/v1.1/profiles/segstatic/add", member)).status_code == 404
    assert await gateway.create("Summer") == id


async def test_all_members_leave_a_deleted_list_each_by_an_entry_of_the_journal(gateway: Gateway) -> None:
    recipients = [{"recipientId": f"member-{number}"} for number in range(300)]
    assert (await gateway.send("POST", "/lists/7/subscriptions", {"recipients": recipients})).status_code == 204
    other = {"recipients": [{"recipientId": "member-1"}, {"recipientId": "other"}]}
    assert (await gateway.send("POST", "/lists/77/subscriptions", other)).status_code == 204
    last = (await gateway.store.journal_range(1)).newest
    assert (await gateway.send("DELETE", "/api/lists/7")).status_code == 204
    entries = await gateway.store.journal(1, last, 1000)
    assert len({entry.profile for entry in entries}) == len(entries) == 300
    assert (await gateway.send("DELETE", "/api/lists/7")).status_code == 404
    items = (await gateway.send("GET", "/lists/77/subscriptions")).json()["items"]
    assert {item["recipientId"] for item in items} == {"member-1", "other"}


async def test_lists_are_found_by_the_time_of_their_creation(gateway: Gateway) -> None:
    await gateway.create("Spring")
    assert await gateway.lists("?filter=greater-than(created,2020-01-01T00:00:00Z)&sort=-created") == {"1": "Spring"}
    assert await gateway.lists("?filter=greater-than(updated,2999-01-01T00:00:00Z)&sort=updated") == {}
    reply = await gateway.send("GET", "/api/lists?filter=greater-than(created,soon)")
    assert reply.status_code == 400


async def test_a_change_of_a_list_has_no_dry_run(gateway: Gateway) -> None:
    body = {"data": {"type": "list", "attributes": {"name": "Spring"}}}
    assert (await gateway.send("POST", "/api/lists?dry_run=true", body)).status_code == 400
    assert await gateway.lists() == {}


async def test_the_others_leave_a_list_whose_recipients_are_replaced(gateway: Gateway) -> None:
    many = {"recipients": [{"recipientId": f"member-{number}"} for number in range(300)]}
    assert (await gateway.send("PUT", "/lists/vip/subscriptions", many)).status_code == 204
    few = {"recipients": [{"recipientId": "member-7"}, {"recipientId": "new"}]}
    for _ in range(2):
        assert (await gateway.send("PUT", "/lists/vip/subscriptions", few)).status_code == 204
        items = (await gateway.send("GET", "/lists/vip/subscriptions")).json()["items"]
        assert {item["recipientId"] for item in items} == {"member-7", "new"}
    assert (await gateway.send("PUT", "/lists/vip/subscriptions", {"recipients": []})).status_code == 204
    assert (await gateway.send("GET", "/lists/vip/subscriptions")).status_code == 404


# --- lists with a name of their own, and archived ones ---

ARCHIVED = ("vip", "7")
"""Lists with three recipients each."""
RECIPIENTS = [{"recipientId": name} for name in ("ann", "bob", "cat")]


@pytest.fixture
async def archived(gateway: Gateway) -> Gateway:
    for id in ARCHIVED:
        assert (await gateway.send("PUT", f"/lists/{id}", {"name": f"List {id}"})).status_code == 204
        body = {"recipients": RECIPIENTS}
        assert (await gateway.send("POST", f"/lists/{id}/subscriptions", body)).status_code == 204
        assert (await gateway.send("DELETE", f"/lists/{id}")).status_code == 204
    return gateway


async def test_a_list_keeps_what_another_dialect_wrote(gateway: Gateway) -> None:
    preferences = {"categories": {"c": {"status": "OPTED_IN"}}}
    put = {"name": "VIP", "preferences": preferences}
    assert (await gateway.send("PUT", "/lists/vip", put)).status_code == 204
    attributes = {"name": "Best", "opt_in_process": "double_opt_in"}
    body = {"data": {"type": "list", "id": "vip", "attributes": attributes}}
    assert (await gateway.send("PATCH", "/api/lists/vip", body)).json()["data"]["attributes"]["name"] == "Best"
    [segment] = (await gateway.store.databases())[0].segments.values()
    assert (segment.name, segment.is_double_opt_in, segment.preferences) == ("Best", True, preferences)
    assert (await gateway.send("PUT", "/lists/vip", {"name": "Good"})).status_code == 204
    [changed] = (await gateway.store.databases())[0].segments.values()
    assert (changed.name, changed.is_double_opt_in, changed.preferences) == ("Good", True, {})
    assert changed.created == segment.created


async def test_a_restored_list_has_its_recipients_and_their_times(archived: Gateway) -> None:
    for id in ARCHIVED:
        assert (await archived.send("GET", f"/lists/{id}/subscriptions")).status_code == 404
    assert await archived.lists() == {}
    members = await archived.store.page(1, Query(10))
    assert [each.document["segments"] for each in members] == [[7, "vip"]] * 3
    for _ in range(2):
        for id in ARCHIVED:
            assert (await archived.send("PUT", f"/lists/{id}/restore")).status_code == 204
    assert await archived.store.page(1, Query(10)) == members
    for id in ARCHIVED:
        items = (await archived.send("GET", f"/lists/{id}/subscriptions")).json()["items"]
        assert sorted(item["recipientId"] for item in items) == ["ann", "bob", "cat"]
    assert await archived.lists() == {"7": "List 7", "vip": "List vip"}


async def test_an_archived_list_of_one_database_says_nothing_of_another(archived: Gateway) -> None:
    await archived.store.add_database(Database(2, "two"))
    token = Token("other", fingerprint("other"), 2, frozenset({"read", "write", "delete"}), 0)
    await archived.store.add_token(token)
    other = {"authorization": "Bearer other"}
    assert (await archived.send("PUT", "/lists/vip/restore", **other)).status_code == 404
    assert (await archived.send("DELETE", "/lists/vip", **other)).status_code == 404
    assert (await archived.send("PUT", "/lists/vip/subscriptions/ann", **other)).status_code == 204
    assert (await archived.send("GET", "/lists/vip", **other)).status_code == 200
    assert (await archived.send("GET", "/lists/vip")).status_code == 404


async def test_a_batch_adds_no_profile_to_an_archived_list(archived: Gateway) -> None:
    element = {"email": "new@example.com"}
    body = {"token": TOKEN, "db_id": 1, "matching": "email", "data": [element, {"email": "other@example.com"}]}
    reply = await archived.send("POST", "/api/v1.1/profiles/import_batch", {**body, "add_to_segments": [7]})
    assert [row["error"] for row in reply.json()["result"]] == [409, 409]
    assert len(await archived.store.page(1, Query(10))) == 3


async def test_members_of_an_archived_list_are_merged_and_stay_in_it(archived: Gateway) -> None:
    first, second, _ = await archived.store.page(1, Query(10))
    body = {"token": TOKEN, "db_id": 1, "matching": "profile_id", "static_segments": True, "remove_source": True}
    sides = {"source": [{"profile_id": second.id}], "destination": {"profile_id": first.id}}
    assert (await archived.send("POST", "/api/v1.1/profiles/merge", {**body, **sides})).status_code == 200
    assert [each.document["segments"] for each in await archived.store.page(1, Query(10))] == [[7, "vip"]] * 2


async def test_a_deletion_by_klaviyo_ends_the_archive(archived: Gateway) -> None:
    assert (await archived.send("DELETE", "/api/lists/vip")).status_code == 204
    assert (await archived.send("PUT", "/lists/vip/restore")).status_code == 404
    assert [*(await archived.store.databases())[0].segments] == [7]
    assert (await archived.send("PUT", "/lists/vip/subscriptions/ann")).status_code == 204


async def test_a_page_of_lists_ends_with_its_cursor(gateway: Gateway) -> None:
    for number in range(60):
        await gateway.store.add_segment(1, Segment(number, "number"))
        await gateway.store.add_segment(1, Segment(f"text.{number:02}", "text"))
    first = (await gateway.send("GET", "/lists")).json()
    assert first["paging"] == {"cursor": "text.39", "more": True}
    second = (await gateway.send("GET", "/lists?cursor=text.39")).json()
    assert second["paging"] == {"more": False}
    ids = [item["id"] for item in first["items"] + second["items"]]
    assert ids == [*map(str, range(60)), *(f"text.{number:02}" for number in range(60))]
    some = (await gateway.send("GET", "/lists?pattern=text.*")).json()["items"]
    assert len(some) == 60


async def test_both_of_two_first_puts_succeed_or_say_that_they_may_be_repeated(gateway: Gateway) -> None:
    replies = await asyncio.gather(*(gateway.send("PUT", "/lists/vip", {"name": f"n{each}"}) for each in range(8)))
    assert {reply.status_code for reply in replies} <= {204, 503}
    assert 204 in {reply.status_code for reply in replies}
    assert (await gateway.send("PUT", "/lists/vip", {"name": "last"})).status_code == 204
    assert (await gateway.send("GET", "/lists/vip")).json()["name"] == "last"
