"""Relations of two profiles: what merges, removals, erasures and repeated requests make of them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.server.app import create
from gateway.service.bootstrap import bootstrap
from gateway.settings import Settings
from gateway.stores import open_store
from gateway.stores.protocol import Store

pytestmark = pytest.mark.anyio

TOKEN = "token-of-the-relations"
ANN, BOB, CAT = "ann@example.com", "bob@example.com", "cat@example.com"


class Gateway:
    """A gateway with three profiles, by their addresses."""

    def __init__(self, client: httpx.AsyncClient, store: Store) -> None:
        self._client, self.store = client, store
        self.ids: dict[str, str] = {}

    async def call(self, path: str, headers: dict[str, str] | None = None, **body: Any) -> dict[str, Any]:
        body = {"token": TOKEN, "db_id": 1, **body}
        reply = await self._client.post(f"/api/v1.1/{path}", json=body, headers=headers)
        tree: dict[str, Any] = reply.json()
        return tree

    async def relate(self, call: str, a: str, b: str, weights: Any = None, **headers: str) -> dict[str, Any]:
        pair = {"matching": "email", "profile_a": {"email": a}, "profile_b": {"email": b}, "weights": weights}
        return await self.call(f"relations/{call}", headers, rel_id=7, **pair)

    async def relations(self, address: str) -> dict[str, Any]:
        """Return the properties of the relations that lead to a profile, by the id of the other one."""
        reply = await self.call("relations/get", rel_id=7, matching="email", email=address)
        return {row["profile_id_b"]: row["props"] for row in reply["data"]}

    async def document(self, address: str) -> dict[str, Any]:
        [profile] = await self.store.find(1, [("email", address)])
        return profile.document

    async def merge(self, source: str, destination: str) -> str:
        named = {"source": [{"email": source}], "destination": {"email": destination}, "remove_source": True}
        assert (await self.call("profiles/merge", **named))["error"] == 0
        [merge] = await self.store.merges(1, None, 1)
        assert merge.entry.merge
        return merge.entry.merge

    async def undo(self, merge: str) -> None:
        headers = {"authorization": f"Bearer {TOKEN}"}
        reply = await self._client.post(f"/gateway/v1/databases/1/merges/{merge}/undo", headers=headers)
        assert reply.status_code == 200, reply.text


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    url = f"sqlite:///{tmp_path}/g.db"
    store = await open_store(url, create=True)
    await bootstrap(store, Settings(bootstrap_token=TOKEN), 0)
    await store.close()
    app = create(Settings(store=url, access_log=False, rate_limits=0))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway.example") as client,
    ):
        gateway = Gateway(client, app.state.store)
        for address in (ANN, BOB, CAT):
            reply = await gateway.call("profiles/import", data={"email": address})
            gateway.ids[address] = reply["profile_id"]
        yield gateway


async def test_a_repeated_request_is_carried_out_once(gateway: Gateway) -> None:
    key = {"idempotency-key": "once"}
    first = await gateway.relate("strengthen", ANN, BOB, {"visits": 2}, **key)
    assert await gateway.relate("strengthen", ANN, BOB, {"visits": 2}, **key) == first
    assert first["profile_b"] == gateway.ids[BOB]
    assert await gateway.relations(ANN) == {gateway.ids[BOB]: {"visits": {"value": 2}}}


async def test_a_dry_run_changes_nothing(gateway: Gateway) -> None:
    pair = {"matching": "email", "profile_a": {"email": ANN}, "profile_b": {"email": BOB}}
    reply = await gateway.call("relations/attach?dry_run=true", rel_id=7, **pair)
    assert gateway.ids[BOB] in str(reply)
    assert await gateway.relations(ANN) == {}


async def test_a_change_is_one_entry_of_the_journal(gateway: Gateway) -> None:
    await gateway.relate("attach", ANN, BOB, {"visits": 2})
    await gateway.relate("attach", ANN, BOB, {"visits": 2})
    entries = await gateway.store.journal(1, 0, 100, gateway.ids[ANN])
    assert [entry.kind for entry in entries] == ["create", "update"]
    assert not await gateway.store.journal(1, entries[-1].position, 100)


async def test_a_relation_from_a_merged_profile_is_the_survivors_until_the_merge_is_undone(gateway: Gateway) -> None:
    await gateway.relate("attach", ANN, BOB, {"visits": 2})
    merge = await gateway.merge(BOB, CAT)
    assert [*await gateway.relations(ANN)] == [gateway.ids[CAT]]
    await gateway.undo(merge)
    assert [*await gateway.relations(ANN)] == [gateway.ids[BOB]]


async def test_a_relation_to_a_merged_profile_is_the_survivors_until_the_merge_is_undone(gateway: Gateway) -> None:
    await gateway.relate("attach", BOB, ANN, {"visits": 2})
    merge = await gateway.merge(BOB, CAT)
    assert await gateway.relations(CAT) == {gateway.ids[ANN]: {"visits": {"value": 2}}}
    await gateway.relate("strengthen", CAT, ANN, {"visits": 3})
    await gateway.undo(merge)
    assert await gateway.relations(BOB) == {gateway.ids[ANN]: {"visits": {"value": 2}}}
    assert await gateway.relations(CAT) == {gateway.ids[ANN]: {"visits": {"value": 5}}}


async def test_no_relation_of_a_profile_leads_to_itself_after_a_merge(gateway: Gateway) -> None:
    await gateway.relate("attach", ANN, BOB)
    await gateway.merge(BOB, ANN)
    assert await gateway.relations(ANN) == {}


async def test_an_erasure_removes_the_relations_of_others_to_the_person(gateway: Gateway) -> None:
    await gateway.relate("attach", ANN, BOB, {"visits": 2})
    await gateway.relate("attach", CAT, BOB)
    await gateway.relate("attach", CAT, ANN)
    assert (await gateway.call("profiles/delete", email=BOB, erase=True))["error"] == 0
    assert "relations" not in await gateway.document(ANN)
    assert (await gateway.document(CAT))["relations"] == {gateway.ids[ANN]: {"7": {}}}
    assert await gateway.store.find(1, [("related", gateway.ids[BOB])]) == []


async def test_an_erasure_by_another_identity_does_not_erase_whom_the_person_is_related_to(gateway: Gateway) -> None:
    await gateway.relate("attach", BOB, ANN)
    assert (await gateway.call("profiles/delete", email=BOB, erase=True))["error"] == 0
    assert await gateway.document(ANN) == {"email": ANN}
    assert (await gateway.relate("attach", ANN, CAT))["error"] == 0
