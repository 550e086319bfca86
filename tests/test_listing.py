"""Lists of profiles are read by their key, and not by a search of the whole database."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest

from gateway.core.listing import listing_key
from gateway.core.matching import identity_changes
from gateway.core.model import Query
from gateway.schema.files import load_schema
from gateway.schema.profile_annotations import profile_tables
from gateway.stores.protocol import Store
from tests.in_process import gateway_in_memory

pytestmark = pytest.mark.anyio

TOKEN = "token-of-the-lists"
TABLES = profile_tables(load_schema("profile"), {})
IS_MEMBER = {"path": ["segments"], "test": "equals", "value": 7}
OTHER = {"path": ["custom", "segments"], "test": "equals", "value": 7}


@pytest.mark.parametrize(
    ("condition", "key"),
    [
        (IS_MEMBER, ("segment", "7")),
        ({"all": [OTHER, IS_MEMBER]}, ("segment", "7")),
        ({**IS_MEMBER, "value": "vip"}, ("segment", "vip")),
        ({**IS_MEMBER, "value": ""}, None),
        ({**IS_MEMBER, "value": None}, None),
        ({**IS_MEMBER, "value": 7.0}, None),
        ({**IS_MEMBER, "test": "exists", "value": True}, None),
        ({"any": [IS_MEMBER]}, None),
        ({"none": [IS_MEMBER]}, None),
        (OTHER, None),
        ({}, None),
    ],
)
async def test_a_condition_that_every_profile_with_a_key_may_meet(condition: Mapping[str, Any], key: Any) -> None:
    assert listing_key(condition, TABLES) == key


async def test_a_document_gains_and_loses_the_keys_that_list_it() -> None:
    before = {"email": "ann@example.com", "segments": [7, "vip"], "relations": {"b": {"7": {}}}}
    after = {"email": "ann@example.com", "segments": ["vip", 8], "relations": {"c": {}}}
    gained, lost = identity_changes(before, after, TABLES)
    assert gained == {("segment", "8"), ("related", "c")}
    assert lost == {("segment", "7"), ("related", "b")}


class Reads:
    """A gateway with members of list 7, and the pages of profiles that it has read."""

    def __init__(self, client: httpx.AsyncClient, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        self._client = client
        self.queries: list[Query] = []
        page = store.page

        async def recorded_page(database: int, query: Query) -> Any:
            self.queries.append(query)
            return await page(database, query)

        monkeypatch.setattr(store, "page", recorded_page)

    async def get(self, path: str) -> Any:
        scheme = "Klaviyo-API-Key" if path.startswith("/api/") else "Bearer"
        headers = {"authorization": f"{scheme} {TOKEN}", "revision": "2026-07-15"}
        reply = await self._client.get(path, headers=headers)
        assert reply.status_code == 200, reply.text
        return reply.json()

    async def join(self, user: str, list_id: str) -> None:
        headers = {"authorization": f"Bearer {TOKEN}"}
        reply = await self._client.put(f"/lists/{list_id}/subscriptions/{user}", headers=headers)
        assert reply.status_code == 204


@pytest.fixture
async def reads(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Reads]:
    async with gateway_in_memory(TOKEN) as (client, store):
        yield Reads(client, store, monkeypatch)


@pytest.mark.parametrize(
    "path",
    [
        "/api/lists/7/profiles?sort=-joined_group_at",
        "/api/lists/7/relationships/profiles",
        "/api/lists/7?additional-fields[list]=profile_count",
        "/lists/7",
        "/lists/7/subscriptions",
    ],
)
async def test_members_are_read_by_the_key_of_their_list(reads: Reads, path: str) -> None:
    for number in range(3):
        await reads.join(f"member-{number}", "7")
        await reads.join(f"other-{number}", "77")
    reads.queries.clear()
    found = await reads.get(path)
    assert reads.queries
    assert {query.key for query in reads.queries} == {("segment", "7")}
    for name in ("data", "items"):
        if isinstance(found.get(name), list):
            assert len(found[name]) == 3
