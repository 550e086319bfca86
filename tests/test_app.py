"""The application as a whole: internal failures, health checks, limits, and the published descriptions."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.server.app import create
from gateway.settings import Settings
from gateway.stores import open_store
from gateway.stores.errors import Unavailable
from gateway.stores.protocol import Store
from tests.cases import TOKENS, Case, seed_store
from tests.stores import journal_entries
from tests.test_geolocation import written

TOKEN = next(iter(TOKENS))
DEFAULTS = Settings()
UPDATE = {"token": TOKEN, "db_id": 1, "email": "canary@example.com", "data": {"_fname": "Canary"}}
XML = f"<xml><token>{TOKEN}</token><db_id>1</db_id><email>canary@example.com</email><data/></xml>"


async def seeded_store() -> Store:
    store = await open_store("memory:", create=True)
    await seed_store(store, Case(Path(), "json", {}))
    return store


def asked(converse: Callable[[httpx.AsyncClient], Awaitable[Any]], store: Store, settings: Settings = DEFAULTS) -> Any:
    """Return the result of a conversation with an application on this store."""

    async def opened(_url: str) -> Store:
        return store

    async def run() -> Any:
        app = create(settings, open_store=opened)
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway")
        async with app.router.lifespan_context(app), client:
            return await converse(client)

    return asyncio.run(run())


def failing(error: Exception, *methods: str) -> Store:
    """Return a store whose methods of these names raise the error."""
    store = asyncio.run(seeded_store())

    async def fail(*_arguments: Any) -> None:
        raise error

    for name in methods:
        setattr(store, name, fail)
    return store


@pytest.mark.parametrize(("error", "status", "text"), [
    (RuntimeError("canary@example.com"), 500, "the gateway failed"),
    (Unavailable("canary@example.com"), 503, "the store is not available"),
])  # fmt: skip
def test_an_internal_failure_is_a_response_of_the_dialect(
    error: Exception, status: int, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def converse(client: httpx.AsyncClient) -> tuple[httpx.Response, httpx.Response]:
        in_json = await client.post("/api/v1.1/profiles/import", json=UPDATE)
        xml = {"content-type": "application/xml"}
        return in_json, await client.post("/api/v1.1/profiles/import", content=XML, headers=xml)

    with caplog.at_level(logging.DEBUG):
        in_json, in_xml = asked(converse, failing(error, "change"))
    assert (in_json.status_code, in_json.json()["error"]) == (status, status)
    assert (in_xml.status_code, in_xml.headers["content-type"]) == (status, "application/xml")
    assert text in in_json.text
    assert text in in_xml.text
    assert "canary" not in caplog.text.lower()
    assert TOKEN not in caplog.text
    assert ("RuntimeError" in caplog.text) == (status == 500)
    assert [each.headers.get("retry-after") for each in (in_json, in_xml)] == [{500: None, 503: "1"}[status]] * 2


def test_a_header_of_several_lines_is_one_list() -> None:
    async def converse(client: httpx.AsyncClient) -> httpx.Response:
        lines = [("accept", "application/xml"), ("accept", "text/html")]
        return await client.post("/api/v1.1/profiles/import", json=UPDATE, headers=lines)

    assert asked(converse, asyncio.run(seeded_store())).headers["content-type"] == "application/xml"


def test_health_checks_report_the_process_and_the_store() -> None:
    async def converse(client: httpx.AsyncClient) -> list[int]:
        return [(await client.get(path)).status_code for path in ("/healthz", "/readyz")]

    assert asked(converse, asyncio.run(seeded_store())) == [200, 200]
    assert asked(converse, failing(Unavailable(), "ready")) == [200, 503]


@pytest.mark.parametrize(("path", "location"), [("/", "docs"), ("/docs/", "../docs")])
def test_the_root_redirects_to_the_documentation(path: str, location: str) -> None:
    async def converse(client: httpx.AsyncClient) -> httpx.Response:
        return await client.get(path)

    reply = asked(converse, asyncio.run(seeded_store()))
    assert (reply.status_code, reply.headers["location"]) == (307, location)


def test_every_listed_schema_exists() -> None:
    async def converse(client: httpx.AsyncClient) -> tuple[list[str], list[int]]:
        listed = (await client.get("/schemas")).json()["schemas"]
        return listed, [(await client.get(path)).status_code for path in listed]

    listed, statuses = asked(converse, asyncio.run(seeded_store()))
    assert {"/schemas/update.schema.json", "/schemas/AltcraftUpdate.xsd"} <= set(listed)
    assert set(statuses) == {200}


def test_old_changes_are_pruned() -> None:
    async def converse(client: httpx.AsyncClient) -> list[Any]:
        await client.post("/api/v1.1/profiles/import", json=UPDATE)
        return await journal_entries(store)

    store = asyncio.run(seeded_store())
    kept = asked(converse, store)
    assert [(entry.kind, entry.members[0].pointer) for entry in kept] == [("create", "")]
    assert kept[0].origin.triggers

    async def forgotten() -> list[Any]:
        assert await store.prune(kept[0].origin.time + 1, 500) == 1
        return await journal_entries(store)

    assert asyncio.run(forgotten()) == []


@pytest.mark.parametrize("skip", [True, False])
def test_skip_triggers_is_in_the_journal(skip: bool) -> None:
    async def converse(client: httpx.AsyncClient) -> list[Any]:
        await client.post("/api/v1.1/profiles/import", json={**UPDATE, "skip_triggers": skip})
        return await journal_entries(store)

    store = asyncio.run(seeded_store())
    (entry,) = asked(converse, store)
    assert entry.origin.triggers is not skip
    assert (entry.origin.dialect, entry.origin.token) == ("altcraft", "t1")


def test_detect_geo_fills_fields_from_an_address(tmp_path: Path) -> None:
    async def converse(client: httpx.AsyncClient) -> dict[str, Any]:
        data = {"_ip": "94.231.119.122", "_regip": "94.231.119.122", "_tz": "Asia/Omsk"}
        await client.post("/api/v1.1/profiles/import", json={**UPDATE, "detect_geo": True, "data": data})
        return (await client.post("/api/v1.1/profiles/get", json=UPDATE)).json()["data"]

    settings = Settings(geoip=str(written(tmp_path / "geo.mmdb", 6)))
    shown = asked(converse, asyncio.run(seeded_store()), settings)
    assert {name: shown.get(name) for name in ("_city", "_country", "_tz", "_regcity", "_lat")} == {
        "_city": "Moscow",
        "_country": "RU",
        "_tz": "Asia/Omsk",
        "_regcity": "Moscow",
        "_lat": 55.75,
    }


def test_a_large_body_is_prepared_in_a_thread() -> None:
    async def converse(client: httpx.AsyncClient) -> Any:
        rows = [{"email": f"u{number}@example.com", "note": "x" * 500} for number in range(1_000)]
        return await client.post("/api/v1.1/profiles/import_batch", content=json.dumps({**UPDATE, "data": rows}),
                                 headers={"content-type": "application/json"})  # fmt: skip

    reply = asked(converse, asyncio.run(seeded_store()))
    assert {row["error"] for row in reply.json()["result"]} == {0}
    assert len(reply.json()["result"]) == 1_000


def test_another_database_has_the_response_of_an_absent_one() -> None:
    async def converse(client: httpx.AsyncClient) -> list[str]:
        bodies = [{**UPDATE, "db_id": number} for number in (2, 999)]
        return [(await client.post("/api/v1.1/profiles/get", json=body)).text.replace("999", "2") for body in bodies]

    second, absent = asked(converse, asyncio.run(seeded_store()))
    assert second == absent


READING = {"authorization": "Bearer only-reads"}


def test_a_token_over_its_rate_gets_retry_after() -> None:
    async def converse(client: httpx.AsyncClient) -> list[httpx.Response]:
        path, bearer = "/profiles/r1", {"authorization": f"Bearer {TOKEN}"}
        replies = [await client.get(path, headers=headers) for headers in (bearer, bearer, READING)]
        in_xml = {"content-type": "application/xml"}
        return [*replies, await client.post("/api/v1.1/profiles/import", content=XML, headers=in_xml)]

    replies = asked(converse, asyncio.run(seeded_store()), Settings(token_rate="1/hour"))
    assert [reply.status_code for reply in replies] == [404, 429, 404, 429]
    assert replies[1].json()["type"] == "rate_limit_error"
    assert 0 < int(replies[1].headers["retry-after"]) <= 3600
    assert replies[3].headers["content-type"] == "application/xml"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"_fname": "x" * 101}, "a text may have at most 100 characters"),
        ({"x" * 51: "y"}, "a name may have at most 50 characters"),
        ({"deep": {"x" * 51: "y"}}, "a name may have at most 50 characters"),
        ({"tags": ["x"] * 11}, "a list may have at most 10 elements"),
        ({"subscriptions": [{"resource_id": 1, "channel": "email"}] * 11}, "a list may have at most 10 elements"),
    ],
)
def test_a_value_over_its_bound_is_rejected(data: dict[str, Any], reason: str) -> None:
    async def converse(client: httpx.AsyncClient) -> list[httpx.Response]:
        at_bounds = {"_fname": "x" * 100, "x" * 50: "y", "tags": ["x"] * 10}
        bodies: list[Any] = [data, at_bounds, [{"email": f"b{row}@example.com"} for row in range(20)]]
        calls = ["import", "import", "import_batch"]
        return [
            await client.post(f"/api/v1.1/profiles/{call}", json={**UPDATE, "data": body})
            for call, body in zip(calls, bodies, strict=True)
        ]

    settings = Settings(max_text=100, max_name=50, max_items=10)
    refused, kept, batch = asked(converse, asyncio.run(seeded_store()), settings)
    assert (refused.status_code, refused.json()["error_text"]) == (400, reason)
    assert (kept.status_code, batch.status_code) == (200, 200)
