"""The journal as it is read: the feed with its cursors, the history of a profile, and what it was at a time."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import httpx
import jsonpatch
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from gateway.core.model import JournalEntry, MemberChange, Origin
from gateway.core.times import format_time
from gateway.feed.cursors import MAX_EXACT_INTEGER, json_position
from gateway.feed.events import EVENT_TYPES, Selection, event_renderer
from gateway.feed.watch import JournalWatch
from gateway.server.app import create
from gateway.settings import Settings
from gateway.stores.protocol import Store
from gateway.testkit.embedded import NOW
from tests.cases import TOKENS
from tests.test_app import seeded_store

TOKEN = next(iter(TOKENS))
BEARER = {"authorization": f"Bearer {TOKEN}"}
DATABASE = "/gateway/v1/databases/1"
CHANGES = f"{DATABASE}/changes"


class Conversation:
    """A client of an application over a store in memory. Its clock advances by a second with each write."""

    def __init__(self, store: Store, client: httpx.AsyncClient, clock: Iterator[int]) -> None:
        self.store = store
        self.client = client
        self._clock = clock
        self.now = NOW

    async def write(self, id: str, profile: dict[str, Any], **headers: str) -> None:
        """Replace Courier's profile with this external id."""
        self.now = next(self._clock)
        reply = await self.client.put(f"/profiles/{id}", json={"profile": profile}, headers={**BEARER, **headers})
        assert reply.status_code == 200, reply.text

    async def remove(self, id: str) -> None:
        """Remove Courier's profile with this external id."""
        self.now = next(self._clock)
        assert (await self.client.delete(f"/profiles/{id}", headers=BEARER)).status_code == 200

    async def get(self, path: str, token: str = TOKEN, **query: Any) -> httpx.Response:
        """Return the response to a call of the gateway's own API."""
        return await self.client.get(path, params=query, headers={"authorization": f"Bearer {token}"})

    async def events(self, **query: Any) -> list[dict[str, Any]]:
        """Return the events of one page."""
        events: list[dict[str, Any]] = (await self.get(CHANGES, **query)).json()["events"]
        return events


def conversed(work: Callable[[Conversation], Coroutine[Any, Any, None]]) -> None:
    """Run a conversation."""

    async def run() -> None:
        own = await seeded_store()
        clock = iter(range(NOW + 1000, NOW + 10_000_000, 1000))
        conversation = Conversation(own, None, clock)  # type: ignore[arg-type]

        async def opened(_url: str) -> Store:
            return own

        app = create(Settings(access_log=False), now=lambda: conversation.now, open_store=opened)
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway")
        async with app.router.lifespan_context(app), client:
            conversation.client = client
            await work(conversation)

    asyncio.run(run())


# --- events ---


def entry(*members: MemberChange, kind: Any = "update", triggers: bool = True, position: int = 7) -> JournalEntry:
    return JournalEntry(position, 1, "p1", 3, kind, Origin("t1", "courier", NOW, triggers, "r1"), members)


NAME = MemberChange("/given_name", "Ann", "Anna")
CREATION = MemberChange("", UNSET, {"email": "ann@example.com", "custom": {"score": 1}})


@pytest.mark.parametrize("kind", EVENT_TYPES)
def test_each_kind_of_entry_is_an_event_of_its_type(kind: str) -> None:
    event = event_renderer("s", 1, Selection())(entry(NAME, kind=kind))
    assert event == {
        "specversion": "1.0",
        "id": "s-7",
        "source": "/gateway/v1/databases/1",
        "type": EVENT_TYPES[kind],  # type: ignore[index]
        "subject": "p1",
        "time": "2026-01-01T00:00:00.000Z",
        "datacontenttype": "application/json",
        "data": {"version": 3, "changed": ["/given_name"], "dialect": "courier", "request": "r1"},
    }


def test_a_creation_and_a_removal_list_the_members_of_the_document() -> None:
    render = event_renderer("s", 1, Selection())
    removal = MemberChange("", CREATION.after, UNSET)
    for each in (CREATION, removal):
        assert render(entry(each))["data"]["changed"] == ["/email", "/custom"]


@pytest.mark.parametrize(
    ("change", "values"),
    [
        (NAME, {"path": "/given_name", "before": "Ann", "after": "Anna"}),
        (MemberChange("/a", UNSET, None), {"path": "/a", "after": None}),
        (MemberChange("/a", 1, UNSET), {"path": "/a", "before": 1}),
        (MemberChange("/a", UNSET, 1, False), {"path": "/a", "after": 1}),
    ],
)
def test_values_are_those_before_and_after(change: MemberChange, values: dict[str, Any]) -> None:
    render = event_renderer("s", 1, Selection(values=True))
    assert render(entry(change))["data"]["values"] == [values]


@pytest.mark.parametrize(
    ("selection", "selected"),
    [
        (Selection(), entry(NAME)),
        (Selection(all=True), entry(NAME, triggers=False)),
        (Selection(types=frozenset({"profile.updated"})), entry(NAME)),
        (Selection(members=("/given_name",)), entry(NAME)),
        (Selection(members=("/custom",)), entry(MemberChange("/custom/score", 1, 2))),
        (Selection(members=("/custom/score",)), entry(MemberChange("/custom", {"score": 1}, {"score": 2}))),
        (Selection(members=("/custom/score",)), entry(CREATION)),
        (Selection(), entry(kind="erase")),
    ],
)
def test_a_selection_selects(selection: Selection, selected: JournalEntry) -> None:
    assert selection.selects(selected)


@pytest.mark.parametrize(
    ("selection", "rejected"),
    [
        (Selection(), entry()),
        (Selection(), entry(NAME, triggers=False)),
        (Selection(all=True), entry()),
        (Selection(types=frozenset({"profile.created"})), entry(NAME)),
        (Selection(members=("/family_name",)), entry(NAME)),
        (Selection(members=("/given",)), entry(NAME)),
        (Selection(members=("/custom/score",)), entry(MemberChange("/custom", {"score": 1}, {"score": 1, "b": 2}))),
        (Selection(members=("/custom/other",)), entry(CREATION)),
    ],
)
def test_a_selection_rejects(selection: Selection, rejected: JournalEntry) -> None:
    assert not selection.selects(rejected)


def test_a_position_that_few_parsers_represent_is_a_text() -> None:
    assert json_position(MAX_EXACT_INTEGER) == MAX_EXACT_INTEGER
    assert json_position(MAX_EXACT_INTEGER + 1) == "9007199254740992"


# --- the feed ---


def test_pages_follow_one_another_and_an_empty_one_is_the_end() -> None:
    async def work(gateway: Conversation) -> None:
        for number in range(5):
            await gateway.write(f"u{number}", {"given_name": "A"})
        cursor, found = "", []
        while True:
            page = (await gateway.get(CHANGES, after=cursor, limit=2)).json()
            if not page["events"]:
                break
            assert len(page["events"]) <= 2
            assert page["cursor"] == page["events"][-1]["id"]
            found += page["events"]
            cursor = page["cursor"]
        assert page["cursor"] == cursor
        assert [each["type"] for each in found] == ["profile.created"] * 5
        await gateway.write("u0", {"given_name": "B"})
        assert [each["data"]["version"] for each in await gateway.events(after=cursor)] == [2]

    conversed(work)


def test_entries_without_an_event_do_not_count() -> None:
    """A page of one event finds it behind more entries without one than are read at once."""

    async def work(gateway: Conversation) -> None:
        skipping = {"token": TOKEN, "db_id": 1, "data": {"_fname": "A"}, "skip_triggers": True}
        for number in range(3):
            body = {**skipping, "email": f"a{number}@example.com"}
            assert (await gateway.client.post("/api/v1.1/profiles/import", json=body)).json()["error"] == 0
        await gateway.write("u", {"given_name": "A"})
        await gateway.write("u", {"given_name": "A"})  # changes nothing
        page = (await gateway.get(CHANGES, limit=1)).json()
        assert [each["data"]["dialect"] for each in page["events"]] == ["courier"]
        assert await gateway.events(after=page["cursor"]) == []
        assert len(await gateway.events(all="true")) == 4

    conversed(work)


def test_a_page_waits_for_the_first_event() -> None:
    async def work(gateway: Conversation) -> None:
        cursor = (await gateway.get(CHANGES)).json()["cursor"]
        waiting = asyncio.create_task(gateway.events(after=cursor, wait=30))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        await gateway.write("u", {"given_name": "A"})
        assert [each["type"] for each in await asyncio.wait_for(waiting, 10)] == ["profile.created"]
        assert await gateway.events(after=cursor, wait=0.1, limit=1)

    conversed(work)


def test_requests_that_wait_keep_no_other_out() -> None:
    async def work(gateway: Conversation) -> None:
        await gateway.write("u", {"given_name": "A"})
        cursor = (await gateway.get(CHANGES)).json()["cursor"]
        waiting = [asyncio.create_task(gateway.events(after=cursor, wait=30)) for _ in range(100)]
        await asyncio.sleep(0.2)
        await asyncio.wait_for(gateway.write("u", {"given_name": "B"}), 10)
        for each in waiting:
            assert len(await asyncio.wait_for(each, 10)) == 1

    conversed(work)


def test_a_wait_ends_where_the_token_is_revoked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.api.context.CHECK_SECONDS", 0.1)

    async def work(gateway: Conversation) -> None:
        waiting = asyncio.create_task(gateway.get(CHANGES, token="only-reads", wait=60))
        await asyncio.sleep(0.2)
        await gateway.store.revoke_token("t2")
        assert (await asyncio.wait_for(waiting, 10)).status_code == 401

    conversed(work)


def test_a_wait_ends_where_the_process_stops() -> None:
    async def run() -> None:
        watch = JournalWatch(await seeded_store())
        waiting = asyncio.create_task(watch.wait(1, 0, 60))
        await asyncio.sleep(0.01)
        watch.stop()
        await asyncio.wait_for(waiting, 10)
        await asyncio.wait_for(watch.wait(1, 0, 60), 10)

    asyncio.run(run())


async def _cursors(gateway: Conversation) -> tuple[str, str]:
    """Return the id of the store and the cursor after its last entry."""
    cursor: str = (await gateway.get(CHANGES)).json()["cursor"]
    return gateway.store.id, cursor


def test_an_unknown_cursor_is_400_and_an_expired_one_410() -> None:
    async def work(gateway: Conversation) -> None:
        for number in range(3):
            await gateway.write(f"u{number}", {"given_name": "A"})
        store, last = await _cursors(gateway)
        first = (await gateway.events(limit=1))[0]["id"]
        for path in (CHANGES, f"{DATABASE}/profiles/{(await gateway.events())[-1]['subject']}/history"):
            for unknown in ("x", f"{store}-", f"{store}-1x", f"{store}-{'9' * 41}", "-1", f"{store}--1"):
                reply = await gateway.get(path, after=unknown)
                assert (reply.status_code, reply.json()["type"]) == (400, "urn:profile-gateway:unknown_cursor")
        ahead = f"{store}-{int(last.rpartition('-')[2]) + 1}"
        assert (await gateway.get(CHANGES, after=ahead)).status_code == 400
        foreign = await gateway.get(CHANGES, after=f"{'0' * 32}-1")
        assert (foreign.status_code, foreign.json()["oldest"]) == (410, 1)
        while await gateway.store.prune(gateway.now, 1):
            pass
        old = await gateway.get(CHANGES, after=first)
        assert (old.status_code, old.json()["oldest"]) == (410, int(last.rpartition("-")[2]))
        assert len(await gateway.events()) == 1
        assert (await gateway.get(CHANGES, after=last)).json() == {"events": [], "cursor": last}

    conversed(work)


# --- history ---


def test_a_history_has_patches_in_both_directions() -> None:
    async def work(gateway: Conversation) -> None:
        for profile in ({"given_name": "A"}, {"given_name": "B", "custom": {"x": 1}}, {"custom": {"x": 2}}):
            await gateway.write("u", profile)
        await gateway.remove("u")
        id = (await gateway.events())[0]["subject"]
        found: list[dict[str, Any]] = []
        page: dict[str, Any] = {"next": ""}
        while page["next"] is not None:
            page = (await gateway.get(f"{DATABASE}/profiles/{id}/history", after=page["next"], limit=3)).json()
            found += page["entries"]
        assert [(each["kind"], each["version"]) for each in found] == [
            ("create", 1),
            ("update", 2),
            ("update", 3),
            ("remove", 4),
        ]
        assert {each["token"] for each in found} == {"t1"}
        assert found[0]["time"] == "2026-01-01T00:00:01.000Z"
        document: Any = None
        documents = [document]
        for each in found[:-1]:
            document = jsonpatch.apply_patch(document, each["forward"])
            documents.append(document)
        for each in reversed(found[1:-1]):
            assert documents.pop() == document
            document = jsonpatch.apply_patch(document, each["backward"])
        assert found[-1]["forward"] == [{"op": "remove", "path": ""}]
        assert found[-1]["backward"][0]["value"] == {"external_id": "u", "custom": {"x": 2}}

    conversed(work)


NAMES = st.sampled_from(["given_name", "family_name", "nickname"])
CUSTOM = st.dictionaries(st.sampled_from("xy"), st.integers(0, 3))
PROFILES = st.builds(
    lambda names, custom: {**names, **custom},
    st.dictionaries(NAMES, st.text("ab", max_size=3)),
    st.dictionaries(st.just("custom"), CUSTOM),
)


@settings(max_examples=30)
@given(profiles=st.lists(PROFILES, min_size=1, max_size=8))
def test_a_profile_at_a_time_is_what_it_was(profiles: list[dict[str, Any]]) -> None:
    """The oracle is the profile as it was returned after each write."""

    async def work(gateway: Conversation) -> None:
        expected = []
        for profile in profiles:
            await gateway.write("u", profile)
            path = f"{DATABASE}/profiles/{(await gateway.events(limit=1))[0]['subject']}"
            expected.append((gateway.now, (await gateway.get(path)).json()))
        await gateway.remove("u")
        assert (await gateway.get(path)).status_code == 404
        for time, found in expected:
            for later in (0, 999):
                assert (await gateway.get(path, at=format_time(time + later))).json() == found
        for missing in (NOW, gateway.now):
            assert (await gateway.get(path, at=format_time(missing))).status_code == 404

    conversed(work)


def test_a_time_that_is_no_longer_kept_is_410() -> None:
    async def work(gateway: Conversation) -> None:
        for name in "ABC":
            await gateway.write("u", {"given_name": name})
        path = f"{DATABASE}/profiles/{(await gateway.events())[0]['subject']}"
        now = (await gateway.get(path)).json()
        await gateway.store.prune(gateway.now, 2)
        for back, status in ((2, 410), (1, 410), (0, 200)):
            assert (await gateway.get(path, at=format_time(gateway.now - back * 1000))).status_code == status
        await gateway.store.prune(gateway.now + 1, 2)
        assert (await gateway.get(path, at=format_time(gateway.now))).json() == now
        assert (await gateway.get(path, at=format_time(gateway.now - 1))).json()["type"].endswith(":expired_history")

    conversed(work)
