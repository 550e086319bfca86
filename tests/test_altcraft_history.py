"""Altcraft's history calls over several changes: their words, days and pages."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from gateway.core.model import Change, EditResult, Find, MemberChange, Origin, Profile, Write
from gateway.server.app import create
from gateway.service import history
from gateway.settings import Settings
from gateway.stores import open_store
from gateway.stores.protocol import Store
from gateway.testkit.embedded import NOW, TOKENS
from tests.test_app import seeded_store

TOKEN = next(iter(TOKENS))
DAY = 24 * 60 * 60 * 1000
EMAIL = {"channel": "email", "email": "ann@example.com", "resource_id": 2}
ANN = {"email": "ann@example.com"}


class Client:
    """A client of Altcraft's calls. Requests are accepted at the time `now` (ms)."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.now = NOW
        self.http: httpx.AsyncClient

    async def call(self, path: str, **parameters: Any) -> dict[str, Any]:
        reply = await self.http.post(f"/api/v1.1/{path}", json={"token": TOKEN, **parameters})
        tree: dict[str, Any] = reply.json()
        assert tree["error"] == 0, tree
        return tree

    async def store_profile(self, data: dict[str, Any], **parameters: Any) -> str:
        """Import a profile and return its id."""
        reply = await self.call("profiles/import", db_id=1, **{**ANN, **parameters}, data=data)
        return str(reply["profile_id"])

    async def actions(self, **parameters: Any) -> list[str]:
        reply = await self.call("subscribers/history_get", list_id=1, **(parameters or ANN))
        return [row["action"] for row in reply["data"]]

    async def xml_page(self, place: str, limit: int) -> etree._Element:
        """Return a page of the history of all profiles, with their first names."""
        days = "<date_from>2025-01-01</date_from><date_to>2027-01-01</date_to>"
        rest = f"<from_id>{place}</from_id><limit>{limit}</limit><fields>_fname</fields>"
        body = f"<xml><token>{TOKEN}</token><list_id>1</list_id>{days}{rest}</xml>"
        headers = {"content-type": "application/xml"}
        reply = await self.http.post("/api/v1.1/subscribers/history_get_all", content=body, headers=headers)
        assert reply.status_code == 200, reply.text
        return etree.fromstring(reply.content)

    async def pages(self, **parameters: Any) -> list[list[dict[str, Any]]]:
        """Return the rows of all pages of the history of all profiles, until one has none."""
        found, place = [], ""
        days = {"date_from": "2025-01-01", "date_to": "2027-01-01"}
        while True:
            page = await self.call("subscribers/history_get_all", list_id=1, **{**days, **parameters}, from_id=place)
            place = page["next_from_id"]
            if not page["data"]:
                assert place == ""
                return found
            found.append(page["data"])


def conversed(work: Callable[[Client], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        client = Client(await seeded_store())

        async def opened(_url: str) -> Store:
            return client.store

        app = create(Settings(access_log=False), now=lambda: client.now, open_store=opened)
        http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway")
        async with app.router.lifespan_context(app), http:
            client.http = http
            await work(client)

    asyncio.run(run())


def day(time: int) -> str:
    return datetime.fromtimestamp(time / 1000, UTC).date().isoformat()


def test_each_change_has_the_vendors_word() -> None:
    async def work(client: Client) -> None:
        await client.store_profile({**ANN, "subscriptions": [{**EMAIL, "status": "subscribed"}]})
        await client.store_profile({"_fname": "Ann"})
        await client.store_profile({"subscriptions": [{**EMAIL, "status": 1}]})
        await client.store_profile({"subscriptions": [{**EMAIL, "cats": ["news"]}]})
        assert await client.actions() == ["import", "update", "unsub", "update"]

    conversed(work)


def test_a_profile_created_unsubscribed_was_imported() -> None:
    async def work(client: Client) -> None:
        await client.store_profile({**ANN, "subscriptions": [{**EMAIL, "status": "unsubscribed"}]})
        assert await client.actions() == ["import"]

    conversed(work)


def test_a_merge_and_a_split_are_in_the_history_of_both_profiles() -> None:
    async def work(client: Client) -> None:
        ann = await client.store_profile(ANN)
        bob = await client.store_profile({"email": "bob@example.com", "_fname": "Bob"}, email="bob@example.com")
        by_id = {"db_id": 1, "profile_id": ann}, {"db_id": 1, "profile_id": bob}
        await client.call("profiles/merge", matching="profile_id", db_id=1, destination=by_id[0], source=[by_id[1]])
        assert await client.actions(xxh=ann) == ["import", "merge"]
        assert await client.actions(xxh=bob) == ["import", "merge"]
        source, destination = {"db_id": 1, "email": "ann@example.com"}, {"db_id": 1, "email": "bob@example.com"}
        await client.call("profiles/split", matching="email", db_id=1, source=source, destination=[destination])
        assert (await client.actions(xxh=ann))[-1] == "split"

    conversed(work)


def test_a_change_that_changed_nothing_has_no_row() -> None:
    async def work(client: Client) -> None:
        for _ in range(2):
            await client.store_profile({**ANN, "_fname": "Ann"})
        assert await client.actions() == ["import"]

    conversed(work)


def test_both_days_are_included() -> None:
    async def work(client: Client) -> None:
        times = [NOW - 1, NOW, NOW + DAY - 1, NOW + DAY]
        for number, client.now in enumerate(times):
            await client.store_profile({**ANN, "visits": number})
        rows = [row["datetime"] for row in (await client.call("subscribers/history_get", list_id=1, **ANN))["data"]]
        span = {"date_from": day(NOW), "date_to": day(NOW)}
        assert [row["datetime"] for row in (await client.pages(**span))[0]] == rows[1:3]
        one = await client.call("subscribers/history_get", list_id=1, **ANN, **span)
        assert [row["datetime"] for row in one["data"]] == rows[1:3]

    conversed(work)


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_pages_have_every_change_once_in_order(limit: int) -> None:
    async def work(client: Client) -> None:
        for number in range(7):
            client.now += DAY // 2
            email = f"p{number % 2}@example.com"
            await client.store_profile({"email": email, "visits": number}, email=email)
        [everything] = await client.pages()
        pages = await client.pages(limit=limit)
        assert [row for page in pages for row in page] == everything
        assert len({row["event_id"] for row in everything}) == 7
        assert all(len(page) == limit for page in pages[:-1])

    conversed(work)


def test_a_page_in_xml_is_the_page_in_json() -> None:
    async def work(client: Client) -> None:
        for number in range(3):
            await client.store_profile({**ANN, "_fname": "Ann", "visits": number})
        days = {"date_from": "2025-01-01", "date_to": "2027-01-01"}
        in_json = await client.call("subscribers/history_get_all", list_id=1, **days, limit=2, fields=["_fname"])
        page = await client.xml_page("", 2)
        assert page.findtext("next_from_id") == in_json["next_from_id"]
        rows = page.findall("data")
        assert [row.findtext("event_id") for row in rows] == [row["event_id"] for row in in_json["data"]]
        assert [row.findtext("fields/_fname") for row in rows] == ["Ann", "Ann"]
        last = await client.xml_page(f" {in_json['next_from_id']}\n", 2)
        assert [row.findtext("action") for row in last.findall("data")] == ["update"]

    conversed(work)


def test_a_row_shows_the_profile_as_it_is_now() -> None:
    async def work(client: Client) -> None:
        await client.store_profile({**ANN, "_fname": "Ann", "subscriptions": [{**EMAIL, "status": "subscribed"}]})
        await client.store_profile({"_fname": "Anna", "subscriptions": [{**EMAIL, "status": "unsubscribed"}]})
        [first, _] = (await client.call("subscribers/history_get", list_id=1, **ANN, fields=["_fname"]))["data"]
        assert first["fields"] == {"_fname": "Anna"}
        assert [each["status"] for each in first["subscriptions"]] == ["unsubscribed"]

    conversed(work)


def test_a_profile_that_is_removed_has_no_rows() -> None:
    async def work(client: Client) -> None:
        await client.store_profile(ANN)
        await client.store_profile({"email": "bob@example.com"}, email="bob@example.com")
        await client.call("profiles/delete", db_id=1, **ANN)
        assert [[row["email"] for row in page] for page in await client.pages()] == [["bob@example.com"]]

    conversed(work)


def test_a_history_of_one_profile_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MAX_ROWS", 2)

    async def work(client: Client) -> None:
        for number in range(3):
            await client.store_profile({**ANN, "visits": number})
        reply = await client.http.post("/api/v1.1/subscribers/history_get", json={"token": TOKEN, "list_id": 1, **ANN})
        text = 'field "date_from" is not valid: there are more than 2 changes since then'
        assert reply.json() == {"error": 400, "error_text": text}

    conversed(work)


# --- the binary search ---


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 50), max_size=60), st.integers(-1, 51))
def test_the_search_passes_over_no_entry_of_the_time(steps: list[int], time: int) -> None:
    times = sorted(steps)

    async def run() -> None:
        store = await open_store("memory:", create=True)
        for number, each in enumerate(times):
            await store.change([_creation(f"p{number}", each)])
        position = await history.position_before(store, 1, time)
        following = await store.journal(1, position, 100)
        assert [entry.origin.time for entry in following if entry.origin.time >= time] == [
            each for each in times if each >= time
        ]
        assert sum(entry.origin.time < time for entry in following) <= 1

    asyncio.run(run())


def _creation(id: str, time: int) -> Change:
    profile = Profile(id, {}, 1, time, time)
    write = Write(None, profile, members=(MemberChange("", after={}),), kind="create")

    def edit(_find: Find) -> EditResult:
        return EditResult(profile, (write,))

    return Change(1, (), edit, Origin("t", "d", time))
