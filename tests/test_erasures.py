"""Erasure as clients see it: traffic from before it creates nobody; who comes back later is not mailable."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import pytest
from click.testing import CliRunner

from gateway.cli.main import main
from gateway.core.times import format_time
from gateway.core.tombstones import PREFIX
from gateway.server.app import create
from gateway.service import erasures
from gateway.service.bootstrap import bootstrap
from gateway.settings import Settings
from gateway.stores import open_store
from gateway.stores.protocol import Store

pytestmark = pytest.mark.anyio

TOKEN = "token-of-the-erasures"
KLAVIYO = {"authorization": f"Klaviyo-API-Key {TOKEN}", "revision": "2026-07-15"}
COURIER = {"authorization": f"Bearer {TOKEN}"}
ANN, NEW = "ann@example.com", "new@example.com"
DAY = 24 * 60 * 60 * 1000


class Gateway:
    """A gateway with a client and a clock."""

    def __init__(self, client: httpx.AsyncClient, store: Store) -> None:
        self.client, self.store = client, store
        self.now = 1_790_000_000_000  # 2026-09-21

    async def send(self, path: str, body: Any, method: str = "POST", **headers: str) -> httpx.Response:
        own = KLAVIYO if path.startswith("/api/") and "/v1.1/" not in path else COURIER
        self.now += 1000
        return await self.client.request(method, path, json=body, headers={**own, **headers})

    async def write(self, email: str = ANN, headers: dict[str, str] | None = None, **data: Any) -> httpx.Response:
        """Create or update a profile by Altcraft's import."""
        body = {"token": TOKEN, "db_id": 1, "matching": "email", "email": email, "data": {"email": email, **data}}
        return await self.send("/api/v1.1/profiles/import", body, **(headers or {}))

    async def erase(self, email: str = ANN, **headers: str) -> httpx.Response:
        body = {"token": TOKEN, "db_id": 1, "email": email, "erase": True}
        return await self.send("/api/v1.1/profiles/delete", body, **headers)

    async def exists(self, email: str = ANN) -> bool:
        return bool(await self.store.find(1, [("email", email)]))

    async def status(self, email: str = ANN) -> str:
        """Return Klaviyo's consent to e-mail marketing."""
        path = f'/api/profiles?filter=equals(email,"{email}")&additional-fields[profile]=subscriptions'
        reply = (await self.send(path, None, "GET")).json()
        [found] = reply["data"]
        return str(found["attributes"]["subscriptions"]["email"]["marketing"]["consent"])


Open: TypeAlias = Callable[..., Any]


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    @asynccontextmanager
    async def open_gateway(**settings: Any) -> AsyncIterator[Gateway]:
        url = f"sqlite:///{tmp_path}/g.db"
        store = await open_store(url, create=True)
        await bootstrap(store, Settings(bootstrap_token=TOKEN), 0)
        await store.close()
        found: list[Gateway] = []
        app = create(
            Settings(store=url, access_log=False, rate_limits=0, **settings), now=lambda: found[0].now if found else 0
        )
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway.example") as client,
        ):
            found.append(Gateway(client, app.state.store))
            yield found[0]

    return open_gateway


async def test_a_key_of_before_the_erasure_creates_no_profile(opened: Open) -> None:
    async with opened() as gateway:
        key = {"idempotency-key": "k-1"}
        assert (await gateway.write(headers=key)).status_code == 200
        assert (await gateway.erase()).status_code == 200
        for again in (gateway.write(headers=key), gateway.write(NEW, key), gateway.write(headers=key, _fname="Ann")):
            assert (await again).status_code == 404
        assert not await gateway.exists()
        assert not await gateway.exists(NEW)


async def test_a_request_id_of_before_the_erasure_creates_that_person_not_again(opened: Open) -> None:
    async with opened() as gateway:
        id = {"x-request-id": "r-1"}
        await gateway.write(headers=id)
        await gateway.erase()
        assert (await gateway.write(headers=id)).status_code == 404
        assert (await gateway.write("other@example.com", id)).status_code == 200


async def test_a_consent_of_before_the_erasure_creates_no_profile(opened: Open) -> None:
    def job(time: str) -> Any:
        consent = {"consent": "SUBSCRIBED", "consented_at": time}
        profile = {
            "type": "profile",
            "attributes": {"email": ANN, "subscriptions": {"email": {"marketing": consent}}},
        }
        attributes = {"profiles": {"data": [profile]}, "historical_import": True}
        return {"data": {"type": "profile-subscription-bulk-create-job", "attributes": attributes}}

    async with opened() as gateway:
        await gateway.write()
        await gateway.erase()
        gateway.now += DAY
        path = "/api/profile-subscription-bulk-create-jobs"
        await gateway.send(path, job("2026-09-01T00:00:00Z"))
        assert not await gateway.exists()
        await gateway.send(path, job("2026-09-22T00:00:00Z"))
        assert await gateway.status() == "SUBSCRIBED"


def event(email: str = ANN, **attributes: Any) -> dict[str, Any]:
    """Return an event of Klaviyo."""
    metric = {"data": {"type": "metric", "attributes": {"name": "Viewed"}}}
    profile = {"data": {"type": "profile", "attributes": {"email": email}}}
    return {"type": "event", "attributes": {"properties": {}, "metric": metric, "profile": profile, **attributes}}


def batch(email: str, **attributes: Any) -> dict[str, Any]:
    """Return a batch of one event."""
    own = event(email, **attributes)["attributes"]
    events = {"data": [{"type": "event", "attributes": {name: own[name] for name in own if name != "profile"}}]}
    return {"type": "event-bulk-create", "attributes": {"profile": own["profile"], "events": events}}


def events_job(*batches: dict[str, Any]) -> dict[str, Any]:
    attributes = {"events-bulk-create": {"data": list(batches)}}
    return {"data": {"type": "event-bulk-create-job", "attributes": attributes}}


EVENT_CALLS: dict[str, Callable[..., Any]] = {
    "/api/events": lambda **attributes: {"data": event(**attributes)},
    "/client/events?company_id=demo": lambda **attributes: {"data": event(**attributes)},
    "/client/event-bulk-create?company_id=demo": lambda **attributes: {"data": batch(ANN, **attributes)},
    "/api/event-bulk-create-jobs": lambda **attributes: events_job(batch(ANN, **attributes)),
}


@pytest.mark.parametrize("path", EVENT_CALLS)
async def test_an_event_of_before_the_erasure_creates_no_profile(opened: Open, path: str) -> None:
    body = EVENT_CALLS[path]
    headers = {"revision": KLAVIYO["revision"]} if path.startswith("/client/") else KLAVIYO
    async with opened() as gateway:
        first = await gateway.send(path, body(unique_id="u-1"), **headers)
        assert first.status_code == 202, first.text
        await gateway.erase()
        gateway.now += DAY
        for attributes in ({"unique_id": "u-1"}, {"time": "2026-09-01T00:00:00Z"}):
            reply = await gateway.send(path, body(**attributes), **headers)
            assert reply.status_code == (202 if path.startswith("/client/") else 404)
            assert not await gateway.exists()
        later = await gateway.send(path, body(unique_id="u-2", time="2026-09-22T00:00:00Z"), **headers)
        assert later.status_code == 202
        assert await gateway.exists()


async def test_an_old_event_of_an_erased_person_delays_no_other(opened: Open) -> None:
    async with opened() as gateway:
        await gateway.write()
        await gateway.erase()
        old, other = "2026-09-01T00:00:00Z", "2026-09-02T00:00:00Z"
        body = events_job(batch(ANN, time=old), batch("other@example.com", time=other))
        assert (await gateway.send("/api/event-bulk-create-jobs", body)).status_code == 202
        assert not await gateway.exists()
        assert await gateway.exists("other@example.com")


async def test_a_repeated_event_changes_nothing(opened: Open) -> None:
    async with opened() as gateway:
        for attributes in ({"unique_id": "u-1"}, {"unique_id": "u-1", "value": 7}, {"unique_id": "u-2"}, {}, {}):
            assert (await gateway.send("/api/events", {"data": event(**attributes)})).status_code == 202
        [profile] = await gateway.store.find(1, [("email", ANN)])
        assert profile.version == 4


async def test_the_history_has_the_time_of_an_event_and_of_a_consent(opened: Open) -> None:
    async with opened() as gateway:
        times = {ANN: "2026-09-01T00:00:00Z", "other@example.com": "2026-09-02T00:00:00Z"}
        batches = [batch(email, time=time) for email, time in times.items()]
        await gateway.send("/api/event-bulk-create-jobs", events_job(*batches))
        await gateway.send("/api/events", {"data": event(time=times[ANN])})
        await gateway.send("/api/events", {"data": event()})
        await gateway.send("/api/profile-subscription-bulk-create-jobs", transactional_job(times["other@example.com"]))
        entries = await gateway.store.journal(1, 0, 10)
        observed = [each.origin.observed and format_time(each.origin.observed) for each in entries]
        first, second = (time.replace("Z", ".000Z") for time in times.values())
        assert observed == [first, second, None, second]


def transactional_job(time: str) -> dict[str, Any]:
    consent = {"consent": "SUBSCRIBED", "consented_at": time}
    subscriptions = {"sms": {"transactional": consent}}
    attributes = {"email": ANN, "phone_number": "+12025550123", "subscriptions": subscriptions}
    profiles = {"data": [{"type": "profile", "attributes": attributes}]}
    job = {"profiles": profiles, "historical_import": True}
    return {"data": {"type": "profile-subscription-bulk-create-job", "attributes": job}}


async def test_another_consent_of_before_the_erasure_creates_no_profile(opened: Open) -> None:
    async with opened() as gateway:
        await gateway.write()
        await gateway.erase()
        gateway.now += DAY
        await gateway.send("/api/profile-subscription-bulk-create-jobs", transactional_job("2026-09-01T00:00:00Z"))
        assert not await gateway.exists()


async def test_a_row_of_a_job_creates_no_profile_and_is_not_kept(opened: Open) -> None:
    async with opened() as gateway:
        await gateway.write()
        await gateway.erase()
        profile = {"type": "profile", "attributes": {"email": ANN, "first_name": "Annabel"}}
        job = {
            "data": {"type": "profile-bulk-import-job", "attributes": {"profiles": {"data": [profile]}}},
        }
        reply = await gateway.send("/api/profile-bulk-import-jobs", job)
        assert reply.status_code == 202
        assert not await gateway.exists()
        found = await gateway.store.job(1, reply.json()["data"]["id"])
        assert [each["sent"] for each in found.failures] == [{}]


async def test_a_person_who_comes_back_is_not_mailable_until_a_subscription(opened: Open) -> None:
    async with opened() as gateway:
        await gateway.write()
        assert await gateway.status() == "NEVER_SUBSCRIBED"
        await gateway.erase()
        assert (await gateway.write()).status_code == 200
        assert await gateway.status() == "UNSUBSCRIBED"
        await gateway.erase()
        subscription = {"channel": "email", "email": ANN, "status": "subscribed"}
        await gateway.write(subscriptions=[subscription])
        assert await gateway.status() == "SUBSCRIBED"


async def test_a_subscription_without_status_gives_no_consent_after_an_erasure(opened: Open) -> None:
    phone = "+12025550123"
    addresses = [{"channel": "email", "email": ANN}, {"channel": "sms", "phone": phone}]
    async with opened() as gateway:

        async def send(path: str, **parameters: Any) -> Any:
            reply = await gateway.send(f"/api/v1.1/{path}", {"token": TOKEN, "db_id": 1, **parameters})
            assert reply.json()["error"] == 0, reply.text
            return reply.json()

        async def subscribe(resource: int, **status: str) -> None:
            await gateway.write(subscriptions=[{"resource_id": resource, **each, **status} for each in addresses])

        async def statuses() -> list[set[str]]:
            """Return the statuses of the subscriptions to each resource, on which the calls agree."""
            data = (await send("profiles/get", email=ANN))["data"]
            flat = (await send("subscriptions/list", profile_id=data["id"]))["data"]
            views = [
                [(each["resource_id"], each["status"]) for each in view if "resource_id" in each]
                for view in (data["subscriptions"], flat)
            ]
            assert views[0] == views[1]
            found: dict[int, set[str]] = {}
            for resource, status in views[0]:
                found.setdefault(resource, set()).add(status)
            for resource, words in found.items():
                rows = (await send("subscriptions/list_all", resource_id=resource, status="subscribed"))["data"]
                assert len(rows) == (len(addresses) if words == {"subscribed"} else 0)
            return [found[resource] for resource in sorted(found)]

        await gateway.write(phones=[phone], subscriptions=[{"resource_id": 5, **addresses[0], "status": "subscribed"}])
        await gateway.erase()
        await gateway.write(phones=[phone])
        await subscribe(7)
        await subscribe(8)
        assert await statuses() == [{"unsubscribed"}] * 2
        await send("subscriptions/suspend_all", resource_id=8)
        await send("subscriptions/unsuspend_all", resource_id=8)
        assert await statuses() == [{"unsubscribed"}] * 2
        await subscribe(7, status="subscribed")
        assert await statuses() == [{"subscribed"}, {"unsubscribed"}]
        assert await gateway.status() == "UNSUBSCRIBED"
        await subscribe(7)
        assert await statuses() == [{"subscribed"}, {"unsubscribed"}]
        await gateway.erase()
        await gateway.write(phones=[phone])
        await subscribe(7)
        assert await statuses() == [{"unsubscribed"}]


async def test_a_removal_of_before_the_erasure_removes_no_later_profile(opened: Open) -> None:
    async with opened() as gateway:
        path, key = "/profiles/u-1", {"idempotency-key": "d-1"}
        await gateway.write(customer_id="u-1")
        body = {"token": TOKEN, "db_id": 1, "email": ANN}
        assert (await gateway.send("/api/v1.1/profiles/delete", body, **key)).status_code == 200
        await gateway.write()
        await gateway.erase()
        await gateway.write()
        assert (await gateway.send("/api/v1.1/profiles/delete", body, **key)).status_code == 404
        assert await gateway.exists()
        assert (await gateway.send(path, None, "DELETE")).status_code == 200


async def test_an_erasure_finds_the_history_of_a_profile_that_was_removed(opened: Open) -> None:
    async with opened() as gateway:
        await gateway.write(_fname="Annabel")
        await gateway.write("bob@example.com", _fname="Bob")
        for email in (ANN, "bob@example.com"):
            body = {"token": TOKEN, "db_id": 1, "email": email}
            assert (await gateway.send("/api/v1.1/profiles/delete", body)).status_code == 200
        deletion = {"type": "data-privacy-deletion-job", "attributes": {"profile": {"data": {}}}}
        deletion["attributes"]["profile"]["data"] = {"type": "profile", "attributes": {"email": ANN}}
        assert (await gateway.send("/api/data-privacy-deletion-jobs", {"data": deletion})).status_code == 202
        entries = repr(await gateway.store.journal(1, 0, 10))
        assert "Annabel" not in entries
        assert "Bob" in entries


@pytest.mark.parametrize("is_removed_before", [False, True])
async def test_the_history_of_an_erased_profile_has_no_patches_but_those_of_removals(
    opened: Open, is_removed_before: bool
) -> None:
    async with opened() as gateway:
        await gateway.write()
        await gateway.write(_fname="Annabel")
        [profile] = await gateway.store.find(1, [("email", ANN)])
        history = f"/gateway/v1/databases/1/profiles/{profile.id}/history"
        if is_removed_before:
            await gateway.send("/api/v1.1/profiles/delete", {"token": TOKEN, "db_id": 1, "email": ANN})
        deletion = {"type": "data-privacy-deletion-job", "attributes": {"profile": {"data": {}}}}
        deletion["attributes"]["profile"]["data"] = {"type": "profile", "attributes": {"email": ANN}}
        assert (await gateway.send("/api/data-privacy-deletion-jobs", {"data": deletion})).status_code == 202
        entries = (await gateway.send(history, None, "GET")).json()["entries"]
        removal = ("remove" if is_removed_before else "erase", [{"op": "remove", "path": ""}], None)
        assert [(each["kind"], each["forward"], each["backward"]) for each in entries] == [
            ("create", None, None),
            ("update", None, None),
            removal,
        ]
        text = (await gateway.send(history, None, "GET", accept="application/xml")).text
        assert (text.count("<forward/>"), text.count("<backward/>")) == (2, 3)


async def test_every_deletion_is_an_erasure_with_the_setting(opened: Open) -> None:
    async with opened(erase_on_delete=True) as gateway:
        await gateway.send("/profiles/u-1", {"profile": {"email": ANN}}, "POST")
        [profile] = await gateway.store.find(1, [("external_id", "u-1")])
        assert (await gateway.send("/profiles/u-1", None, "DELETE")).status_code == 200
        entries = await gateway.store.journal(1, 0, 10, profile.id)
        assert ANN not in repr(entries)
        assert entries[-1].kind == "erase"


async def test_the_answer_to_an_erasure_is_repeated_without_an_id(opened: Open) -> None:
    async with opened() as gateway:
        await gateway.write()
        key = {"idempotency-key": "e-1"}
        assert "profile_id" in (await gateway.erase(**key)).json()["data"]
        again = await gateway.erase(**key)
        assert (again.status_code, again.json()) == (200, {"error": 0, "error_text": "Successful operation"})


async def test_a_dump_of_before_the_erasure_restores_no_profile(opened: Open, tmp_path: Path) -> None:
    def run(*arguments: str) -> str:
        result = CliRunner().invoke(main, [*arguments, "--store", f"sqlite:///{tmp_path}/g.db"])
        assert result.exit_code == 0, result.output
        return result.output

    async with opened() as gateway:
        subscription = {"channel": "email", "email": ANN, "status": "unsubscribed"}
        await gateway.write(headers={"idempotency-key": "k-1"}, _fname="Annabel", subscriptions=[subscription])
        wrong = {"type": "profile", "attributes": {"email": ANN, "first_name": 5}}
        job = {"data": {"type": "profile-bulk-import-job", "attributes": {"profiles": {"data": [wrong]}}}}
        await gateway.send("/api/profile-bulk-import-jobs", job)
        await gateway.write("bob@example.com")
        await asyncio.to_thread(run, "dump", str(tmp_path / "old.ndjson"))
        await gateway.erase()
        assert " 0 of them new" in await asyncio.to_thread(run, "load", str(tmp_path / "old.ndjson"))
        assert await gateway.store.occurrences({ANN, "Annabel", "k-1"}) == {}
        await gateway.write(_fname="Ann")
        await asyncio.to_thread(run, "dump", str(tmp_path / "new.ndjson"))
        assert " 0 of them new" in await asyncio.to_thread(run, "load", str(tmp_path / "new.ndjson"))
        assert await gateway.exists()


async def test_tombstones_end(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasures, "PRUNE_STEP", 2)

    async def tombstones(store: Store) -> int:
        async with store.snapshot() as snapshot:
            return len([each async for each in snapshot.ledgers(1) if each.address.startswith(PREFIX)])

    async with opened() as gateway:
        key = {"idempotency-key": "k-1"}
        await gateway.write(headers=key)
        await gateway.erase()
        before = await tombstones(gateway.store)
        await erasures.prune_tombstones(gateway.store, gateway.now)
        assert await tombstones(gateway.store) == before > 2
        await erasures.prune_tombstones(gateway.store, gateway.now + 1)
        assert await tombstones(gateway.store) == 0
        assert (await gateway.write(headers=key)).status_code == 200
