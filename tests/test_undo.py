"""The undo of merges over HTTP: what returns, what is repeated, and every refusal."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.core.matching import ID
from gateway.core.model import Change, EditResult, Find, Origin, Profile, Write
from gateway.server.app import create
from gateway.settings import Settings
from gateway.stores import open_store
from gateway.stores.protocol import Store
from tests.cases import FIXTURES, NOW, Case, seed_store, sequential_ids
from tests.stores import journal_entries, postgresql

A, B, C, D = (f"{0xA1 + number:024x}" for number in range(4))
ANN, BOB, EVE = ({"email": f"{name}@example.com"} for name in ("ann", "bob", "eve"))
MERGES = "/gateway/v1/databases/1/merges"

ENGINES: dict[str, Callable[[Path], str]] = {
    "memory": lambda _folder: "memory:",
    "sqlite": lambda folder: f"sqlite:///{folder}/profiles.db",
    "postgresql": lambda _folder: postgresql.fresh(),
}

pytestmark = pytest.mark.anyio


class Gateway:
    """A gateway with two profiles, Ann (A) and Bob (B), whose clock goes on with each request."""

    def __init__(self, store: Store, client: httpx.AsyncClient) -> None:
        self.store = store
        self.client = client

    async def altcraft(self, call: str, key: str = "", **body: Any) -> httpx.Response:
        headers = {"idempotency-key": key} if key else {}
        return await self.client.post(f"/api/v1.1/profiles/{call}", json={"db_id": 1, **body}, headers=headers)

    async def write(self, match: dict[str, Any], **data: Any) -> str:
        """Write to a profile, and return its id."""
        reply = await self.altcraft("import", **match, data=data)
        assert reply.status_code == 200, reply.text
        id: str = reply.json()["profile_id"]
        return id

    async def merge(self, destination: dict[str, Any], *sources: dict[str, Any], **options: Any) -> str:
        """Merge profiles, and return the id of the merge."""
        reply = await self.altcraft("merge", destination=destination, source=list(sources), **options)
        assert reply.status_code == 200, reply.text
        merge: str = (await self.merges())[0]["id"]
        return merge

    async def merges(self, query: str = "") -> list[dict[str, Any]]:
        reply = await self.client.get(MERGES + query)
        assert reply.status_code == 200, reply.text
        merges: list[dict[str, Any]] = reply.json()["merges"]
        return merges

    async def undo(self, merge: str, **headers: str) -> httpx.Response:
        return await self.client.post(f"{MERGES}/{merge}/undo", headers=headers)

    async def refusal(self, merge: str) -> tuple[int, str]:
        """Return the status and the code of an undo that is refused, and changes nothing."""
        before = await self.profiles(), await journal_entries(self.store)
        reply = await self.undo(merge)
        assert (await self.profiles(), await journal_entries(self.store)) == before
        problem = reply.json()
        assert problem["status"] == reply.status_code
        return reply.status_code, problem["type"].removeprefix("urn:profile-gateway:")

    async def profiles(self) -> dict[str, Profile]:
        found = await self.store.find(1, [(ID, id) for id in (A, B, C, D)])
        return {each.id: each for each in found}

    async def documents(self) -> dict[str, str]:
        """Return the documents with the order of their members."""
        return {id: repr(each.document) for id, each in (await self.profiles()).items()}


@pytest.fixture(params=["memory"])
async def gateway(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Gateway]:
    store = await open_store(ENGINES[request.param](tmp_path), create=True)
    await seed_store(store, Case(FIXTURES, "json", {}))
    ids, times = sequential_ids(), iter(range(NOW, NOW + 10_000))

    async def opened(_url: str) -> Store:
        return store

    app = create(Settings(access_log=False), now=lambda: next(times), new_id=lambda: next(ids), open_store=opened)
    headers = {"authorization": "Bearer abcdefghijklmnqrstuvwxyz"}
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway", headers=headers)
    async with app.router.lifespan_context(app), client:
        gateway = Gateway(store, client)
        assert await gateway.write(ANN, _fname="Ann", points=1, tags=["x"]) == A
        assert await gateway.write(BOB, phones=["+12025550123"], _fname="Bob", points=5, customer_id="C2") == B
        yield gateway


every_engine = pytest.mark.parametrize("gateway", ENGINES, indirect=True)
removing = pytest.mark.parametrize("remove_source", [True, False])


# --- what returns ---


@removing
async def test_consent_that_no_document_has_changes_no_undo(gateway: Gateway, remove_source: bool) -> None:
    """A suppression of an address of several profiles is no command of one of them: it is a fact, and stays."""
    before = await gateway.documents()
    assert (await gateway.client.put("/profiles/third", json={"profile": ANN})).status_code == 200
    options = {"matching": "profile_id", "remove_source": remove_source}
    merge = await gateway.merge({"db_id": 1, "profile_id": A}, {"db_id": 1, "profile_id": B}, **options)
    person = {"type": "profile", "attributes": ANN}
    job = {"type": "profile-suppression-bulk-create-job", "attributes": {"profiles": {"data": [person]}}}
    headers = {"authorization": "Klaviyo-API-Key abcdefghijklmnqrstuvwxyz", "revision": "2025-10-15"}
    path = "/api/profile-suppression-bulk-create-jobs"
    assert (await gateway.client.post(path, json={"data": job}, headers=headers)).status_code == 202
    [entry] = [each for each in await journal_entries(gateway.store) if each.profile == A][-1:]
    assert [each.is_stored for each in entry.members] == [False]
    assert (await gateway.undo(merge)).status_code == 200
    assert {id: each for id, each in (await gateway.documents()).items() if id in before} == before
    assert await gateway.store.ledgers(1, [f"email:{ANN['email']}"])


@every_engine
@removing
async def test_all_profiles_are_what_they_were(gateway: Gateway, remove_source: bool) -> None:
    before, times = await gateway.documents(), {id: each.created for id, each in (await gateway.profiles()).items()}
    merge = await gateway.merge(ANN, BOB, remove_source=remove_source, data={"_city": "Rome"}, static_segments=True)
    assert await gateway.documents() != before
    reply = await gateway.undo(merge)
    assert (reply.status_code, reply.json()["merge"]["undone"]) == (200, True)
    assert await gateway.documents() == before
    profiles = await gateway.profiles()
    assert {id: each.created for id, each in profiles.items()} == times
    assert {id: each.version for id, each in profiles.items()} == {A: 3, B: 3}
    assert [each.id for each in await gateway.store.find(1, [("email", "bob@example.com")])] == [B]
    assert [each.id for each in await gateway.store.find(1, [("custom/customer_id", "C2")])] == [B]


@removing
async def test_a_write_since_is_repeated_on_its_owner(gateway: Gateway, remove_source: bool) -> None:
    merge = await gateway.merge(ANN, BOB, remove_source=remove_source)
    assert await gateway.write(BOB, points={"action": "incr", "value": 10}, _city="Rome") == A
    assert (
        await gateway.write(ANN, points={"action": "incr", "value": 100}, tags={"action": "add", "value": ["y"]}) == A
    )
    assert (await gateway.profiles())[A].document["custom"]["points"] == 111
    assert (await gateway.undo(merge)).status_code == 200
    ann, bob = (each.document for each in (await gateway.profiles()).values())
    assert (ann["custom"], ann.get("address")) == ({"points": 101, "tags": ["x", "y"]}, None)
    assert (bob["custom"], bob["address"]) == ({"points": 15, "customer_id": "C2"}, {"locality": "Rome"})


async def test_a_write_by_a_new_address_stays_with_the_profile_that_it_was_written_to(gateway: Gateway) -> None:
    merge = await gateway.merge(ANN, BOB, remove_source=True)
    await gateway.write({"matching": "profile_id", "profile_id": A}, phones=["+12025550199"])
    await gateway.write({"matching": "phone", "phone": "+12025550199"}, _city="Rome")
    assert (await gateway.undo(merge)).status_code == 200
    profiles = await gateway.profiles()
    assert profiles[A].document["address"] == {"locality": "Rome"}
    assert "address" not in profiles[B].document


async def test_a_write_that_changed_nothing_is_repeated(gateway: Gateway) -> None:
    """Bob's name was Bob, but the merged profile's was Ann."""
    merge = await gateway.merge(ANN, BOB, remove_source=True)
    await gateway.write(BOB, _fname="Ann")
    reply = await gateway.client.get("/gateway/v1/databases/1/changes")
    assert [event["type"] for event in reply.json()["events"]][2:] == ["profile.merged", "profile.merged"]
    assert (await gateway.undo(merge)).status_code == 200
    assert (await gateway.profiles())[B].document["given_name"] == "Ann"


async def test_a_profile_that_the_merge_created_is_removed(gateway: Gateway) -> None:
    merge = await gateway.merge(EVE, ANN, BOB)
    assert (await gateway.undo(merge)).status_code == 200
    assert sorted(await gateway.profiles()) == [A, B]


async def test_a_profile_that_the_merge_created_stays_with_what_was_written_to_it(gateway: Gateway) -> None:
    merge = await gateway.merge(EVE, ANN, BOB)
    await gateway.write(EVE, _city="Rome")
    assert (await gateway.undo(merge)).status_code == 200
    created = {id: each.document for id, each in (await gateway.profiles()).items() if id not in (A, B)}
    assert list(created.values()) == [{"email": "eve@example.com", "address": {"locality": "Rome"}}]


async def test_a_merge_of_klaviyo_is_undone(gateway: Gateway) -> None:
    before = await gateway.documents()
    sources = {"profiles": {"data": [{"type": "profile", "id": B}]}}
    reply = await gateway.client.post(
        "/api/profile-merge",
        json={"data": {"type": "profile-merge", "id": A, "relationships": sources}},
        headers={"authorization": "Klaviyo-API-Key abcdefghijklmnqrstuvwxyz", "revision": "2025-10-15"},
    )
    assert reply.status_code == 201
    [merge] = await gateway.merges()
    assert (await gateway.undo(merge["id"])).status_code == 200
    assert await gateway.documents() == before


async def test_a_json_patch_is_repeated(gateway: Gateway) -> None:
    reply = await gateway.client.put(
        "/profiles/bob", json={"profile": {"email": "b@example.org", "tier": {"level": 1}}}
    )
    assert reply.status_code == 200
    merge = await gateway.merge(ANN, {"email": "b@example.org"}, remove_source=True)
    patch = [{"op": "replace", "path": "/tier/level", "value": 2}]
    assert (await gateway.client.patch("/profiles/bob", json={"patch": patch})).status_code == 200
    assert (await gateway.undo(merge)).status_code == 200
    reply = await gateway.client.get("/profiles/bob")
    assert reply.json()["profile"]["tier"] == {"level": 2}


async def test_later_merges_are_undone_first(gateway: Gateway) -> None:
    assert await gateway.write(EVE, _fname="Eve") not in (A, B)
    before = await gateway.documents()
    first = await gateway.merge(ANN, BOB, remove_source=True)
    await gateway.write(BOB, points={"action": "incr", "value": 1})
    second = await gateway.merge(EVE, ANN, remove_source=True)
    await gateway.write(BOB, points={"action": "incr", "value": 1})
    await gateway.write(EVE, points={"action": "incr", "value": 50})
    assert await gateway.refusal(first) == (409, "undo_conflict")
    assert (await gateway.undo(second)).status_code == 200
    await gateway.write(BOB, points={"action": "incr", "value": 1})
    assert (await gateway.undo(first)).status_code == 200
    profiles = await gateway.profiles()
    points = {each.document["email"]: each.document["custom"]["points"] for each in profiles.values()}
    assert points == {"ann@example.com": 1, "bob@example.com": 8, "eve@example.com": 50}
    assert (await gateway.documents())[A] == before[A]


async def test_a_merge_that_was_undone_can_be_made_and_undone_again(gateway: Gateway) -> None:
    before = await gateway.documents()
    for _ in range(3):
        merge = await gateway.merge(ANN, BOB, remove_source=True)
        assert (await gateway.undo(merge)).status_code == 200
        assert await gateway.documents() == before
    assert [each["undone"] for each in await gateway.merges()] == [True] * 3


@every_engine
async def test_an_undo_among_writes_loses_none(gateway: Gateway) -> None:
    merge = await gateway.merge(ANN, BOB, remove_source=True)
    one = {"points": {"action": "incr", "value": 1}}
    writes = [gateway.write(match, **one) for match in (ANN, BOB) for _ in range(20)]
    undone, *_ = await asyncio.gather(gateway.undo(merge), *writes)
    while undone.status_code == 409:
        undone = await gateway.undo(merge)
    assert undone.status_code == 200
    points = [each.document["custom"]["points"] for each in (await gateway.profiles()).values()]
    assert points == [21, 25]


# --- consent ---


async def test_an_opt_out_since_the_merge_stays(gateway: Gateway) -> None:
    def subscription(status: str) -> list[dict[str, Any]]:
        return [{"resource_id": 1, "channel": "email", "status": status, **BOB}]

    await gateway.write(BOB, subscriptions=subscription("subscribed"))
    merge = await gateway.merge(ANN, BOB, remove_source=True)
    await gateway.write(ANN, subscriptions=subscription("unsubscribed"))
    assert (await gateway.undo(merge)).status_code == 200
    reply = await gateway.altcraft("get", **BOB)
    assert [each["status"] for each in reply.json()["data"]["subscriptions"]] == ["unsubscribed"]


async def test_a_subscription_since_the_merge_lifts_no_later_opt_out(gateway: Gateway) -> None:
    """It is repeated after the opt-out of another profile, but it was before it."""

    def subscription(status: str) -> list[dict[str, Any]]:
        return [{"resource_id": 1, "channel": "email", "status": status, **BOB}]

    merge = await gateway.merge(ANN, BOB, remove_source=True)
    await gateway.write(BOB, subscriptions=subscription("subscribed"))
    await gateway.write(EVE, subscriptions=subscription("unsubscribed"))
    assert (await gateway.undo(merge)).status_code == 200
    reply = await gateway.altcraft("get", **BOB, matching="email_profile")
    assert [each["status"] for each in reply.json()["data"]["subscriptions"]] == ["unsubscribed"]


# --- idempotency ---


async def test_a_key_has_its_answer_across_merge_and_undo(gateway: Gateway) -> None:
    body = {**BOB, "data": {"points": {"action": "incr", "value": 1}}}
    first = await gateway.altcraft("import", "one", **body)
    merge = await gateway.merge(ANN, BOB, remove_source=True)
    assert (await gateway.altcraft("import", "one", **body)).json() == first.json()
    second = await gateway.altcraft("import", "two", **body)
    assert second.json()["profile_id"] == A
    assert (await gateway.undo(merge)).status_code == 200
    assert (await gateway.altcraft("import", "one", **body)).json() == first.json()
    assert (await gateway.altcraft("import", "two", **body)).json() == second.json()
    assert (await gateway.profiles())[B].document["custom"]["points"] == 7


async def test_an_undo_with_a_key_is_done_once(gateway: Gateway) -> None:
    merge = await gateway.merge(ANN, BOB, remove_source=True)
    first, again = [await gateway.undo(merge, **{"idempotency-key": "k"}) for _ in range(2)]
    assert (first.status_code, again.status_code, again.content) == (200, 200, first.content)
    assert (await gateway.undo(merge, **{"idempotency-key": "other"})).status_code == 409
    other = await gateway.merge(ANN, BOB)
    assert (await gateway.undo(other, **{"idempotency-key": "k"})).json()["type"].endswith("idempotency_conflict")
    assert (await gateway.undo(other, **{"idempotency-key": "\x7f"})).status_code == 400


@every_engine
async def test_a_split_with_a_key_has_its_answer(gateway: Gateway) -> None:
    split = {"matching": "email_phone", "source": BOB, "destination": [{"phone": "+12025550123"}]}
    first, again = [await gateway.altcraft("split", "k", **split) for _ in range(2)]
    assert first.status_code == 200, first.text
    assert len(first.json()["result"]) == 1
    assert again.json() == first.json()


# --- refusals ---


async def test_a_second_undo_is_refused(gateway: Gateway) -> None:
    merge = await gateway.merge(ANN, BOB)
    assert (await gateway.undo(merge)).status_code == 200
    assert await gateway.refusal(merge) == (409, "merge_undone")


@pytest.mark.parametrize("merge", ["x", f"{A}-1", f"{A}-9", "-1", f"{A}-", f"{A}-2-3", "%F0%9F%8E%82-1"])
async def test_an_unknown_merge_is_refused(gateway: Gateway, merge: str) -> None:
    assert await gateway.refusal(merge) == (404, "unknown_merge")


async def test_a_merge_of_another_database_is_unknown(gateway: Gateway) -> None:
    merge = await gateway.merge(ANN, BOB)
    headers = {"authorization": "Bearer of-database-2"}
    reply = await gateway.client.post(f"/gateway/v1/databases/2/merges/{merge}/undo", headers=headers)
    assert reply.status_code == 404
    assert (await gateway.client.get("/gateway/v1/databases/2/merges", headers=headers)).json()["merges"] == []


@every_engine
async def test_a_merge_that_was_pruned_is_not_found(gateway: Gateway) -> None:
    merge = await gateway.merge(ANN, BOB)
    await gateway.write(ANN, _city="Rome")
    await gateway.store.prune(NOW + 10_000, 1_000)
    assert await gateway.refusal(merge) == (410, "expired_history")


@removing
@pytest.mark.parametrize("removed", [ANN, BOB])
async def test_an_undo_after_the_removal_of_one_side_is_refused(
    gateway: Gateway, remove_source: bool, removed: dict[str, Any]
) -> None:
    merge = await gateway.merge(ANN, BOB, remove_source=remove_source)
    assert (await gateway.altcraft("delete", **removed)).status_code == 200
    assert await gateway.refusal(merge) == (409, "undo_conflict")


@every_engine
async def test_an_undo_after_an_erasure_is_refused(gateway: Gateway) -> None:
    """The merge stays in the journal, without the values that an undo needs. What was no merge stays unknown."""
    merge = await gateway.merge(ANN, BOB, remove_source=True)
    reply = await gateway.client.post(
        "/api/data-privacy-deletion-jobs",
        json={"data": {"type": "data-privacy-deletion-job", "attributes": {"profile": {"data": {
            "type": "profile", "attributes": BOB}}}}},
        headers={"authorization": "Klaviyo-API-Key abcdefghijklmnqrstuvwxyz", "revision": "2025-10-15"},
    )  # fmt: skip
    assert reply.status_code == 202, reply.text
    assert await gateway.refusal(merge) == (410, "expired_history")
    assert await gateway.profiles() == {}
    for version in (1, 3):
        assert await gateway.refusal(f"{A}-{version}") == (404, "unknown_merge")


async def test_an_undo_after_a_split_is_refused(gateway: Gateway) -> None:
    merge = await gateway.merge(ANN, BOB, remove_source=True)
    reply = await gateway.altcraft("split", source=ANN, destination=[BOB])
    assert reply.status_code == 200, reply.text
    assert await gateway.refusal(merge) == (409, "undo_conflict")


async def test_an_undo_is_refused_where_a_write_cannot_be_repeated(gateway: Gateway) -> None:
    """Ann got Bob's address, which only the merged profile could have."""
    merge = await gateway.merge(ANN, BOB, remove_source=True)
    await gateway.write(ANN, **BOB)
    reply = await gateway.undo(merge)
    assert (reply.status_code, reply.json()["type"]) == (409, "urn:profile-gateway:undo_conflict")
    assert "version 3" in reply.json()["detail"]


async def test_an_undo_is_refused_where_an_identifier_has_another_owner(gateway: Gateway) -> None:
    """The merged profile gave up Bob's identifier, and then Eve got it."""
    merge = await gateway.merge(ANN, BOB, remove_source=True)
    await gateway.write(ANN, customer_id="C3")
    await gateway.write(EVE, customer_id="C2")
    assert await gateway.refusal(merge) == (409, "identifier_taken")


def _returning(result: EditResult) -> Callable[[Find], EditResult]:
    return lambda _find: result


async def test_an_undo_after_a_load_is_refused(gateway: Gateway) -> None:
    """A load has no entries in the journal: what it changed is not known."""
    merge = await gateway.merge(ANN, BOB, remove_source=True)
    profile = (await gateway.profiles())[A]
    loaded = Profile(A, {**profile.document, "name": "Ann"}, profile.version + 1, profile.created, profile.updated)
    edit = _returning(EditResult(loaded, (Write(profile, loaded, members=None),)))
    await gateway.store.change([Change(1, (), edit, Origin("", "load", NOW))])
    assert await gateway.refusal(merge) == (409, "undo_conflict")


async def test_a_body_of_an_undo_is_refused(gateway: Gateway) -> None:
    merge = await gateway.merge(ANN, BOB)
    reply = await gateway.client.post(f"{MERGES}/{merge}/undo", json={"force": True})
    assert (reply.status_code, reply.json()["pointer"]) == (400, "/force")


# --- the list ---


@every_engine
async def test_merges_are_listed_by_page_newest_first(gateway: Gateway) -> None:
    eve = await gateway.write(EVE, _fname="Eve")
    first = await gateway.merge(ANN, BOB)
    second = await gateway.merge(ANN, EVE, remove_source=True)
    page = (await gateway.client.get(f"{MERGES}?limit=1")).json()
    assert [each["id"] for each in page["merges"]] == [second]
    rest = (await gateway.client.get(f"{MERGES}?limit=1&after={page['next']}")).json()
    assert ([each["id"] for each in rest["merges"]], rest["next"]) == ([first], None)
    assert [(each["destination"], each["sources"]) for each in await gateway.merges()] == [(A, [eve]), (A, [B])]
    assert [each["id"] for each in await gateway.merges(f"?profile={B}")] == [first]
    assert [each["id"] for each in await gateway.merges(f"?profile={A}")] == [second, first]
    assert await gateway.merges("?profile=unknown") == []
    await gateway.undo(second)
    assert [each["undone"] for each in await gateway.merges()] == [True, False]


async def test_merges_are_listed_in_xml(gateway: Gateway) -> None:
    merge = await gateway.merge(ANN, BOB)
    reply = await gateway.client.get(MERGES, headers={"accept": "application/xml"})
    assert f"<id>{merge}</id>" in reply.text
    reply = await gateway.client.post(f"{MERGES}/{merge}/undo", headers={"accept": "application/xml"})
    assert "<undone>true</undone>" in reply.text
