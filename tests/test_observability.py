"""The access log, the log and the metrics; and that they contain nothing that clients sent."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import islice
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest
from msgspec.structs import replace
from starlette.applications import Starlette

from gateway.console.recorder import RecordedResponse
from gateway.core.model import Database, Resource
from gateway.schema.pointer_mask import PointerMask
from gateway.server.access_log import MAX_QUEUED_BATCHES, AccessLog
from gateway.server.app import create
from gateway.server.logs import LogFormatter
from gateway.server.metrics import Metrics
from gateway.settings import Settings
from gateway.stores import open_store
from gateway.stores.errors import Unavailable
from gateway.stores.protocol import Store
from gateway.testkit.embedded import run_in_process
from tests.cases import Case, cases, seed_store
from tests.log_capture import LogCapture, canaries
from tests.test_app import UPDATE, asked, failing, seeded_store

IMPORT = "/api/v1.1/profiles/import"
SEEN = Settings(metrics_token="s3cret")
BEARER = {"authorization": "Bearer s3cret"}


def lines_after(
    log_capture: LogCapture, run_in_process: Callable[[httpx.AsyncClient], Awaitable[Any]]
) -> tuple[Any, list[dict[str, Any]]]:
    """Return the result of a conversation, and its rows in the access log."""
    start = len(log_capture.lines)
    given = asked(run_in_process, asyncio.run(seeded_store()))
    return given, [
        json.loads(line) for line in "\n".join(log_capture.lines[start:]).splitlines() if line.startswith("{")
    ]


def test_each_response_is_one_line(log_capture: LogCapture) -> None:
    async def run_in_process(client: httpx.AsyncClient) -> list[httpx.Response]:
        return [
            await client.post(f"{IMPORT}?format=json", json=UPDATE),
            await client.post(IMPORT, json={**UPDATE, "token": "another"}),
            await client.get("/profiles/canary@example.com/lists"),
            await client.put(IMPORT),
            await client.post("/nowhere/canary@example.com"),
        ]

    replies, rows = lines_after(log_capture, run_in_process)
    assert [(row["dialect"], row["method"], row["route"], row["status"], row["fault"]) for row in rows] == [
        ("altcraft", "POST", IMPORT, 200, ""),
        ("altcraft", "POST", IMPORT, 403, "unknown_token"),
        ("courier", "GET", "/profiles/{recipient_id}/lists", 401, "no_token"),
        ("altcraft", "PUT", IMPORT, 405, "method_not_allowed"),
        ("altcraft", "POST", "", 404, "unknown_call"),
    ]
    assert [(row["token"], row["database"], row["pointer"]) for row in rows] == [
        ("t1", 1, ""),
        ("", None, ""),
        ("", None, ""),
        ("", None, ""),
        ("", None, ""),
    ]
    assert [row["id"] for row in rows] == [reply.headers["x-request-id"] for reply in replies]
    assert len({row["id"] for row in rows}) == 5
    assert rows[0]["received"] == len(json.dumps(UPDATE, separators=(",", ":")))
    assert rows[0]["sent"] == len(replies[0].content)
    assert rows[0]["ms"] > 0
    assert rows[0]["time"][:4].isdigit()


ALTCRAFT = {"token": "abcdefghijklmnqrstuvwxyz", "db_id": 1, "email": "canary@example.com"}
KLAVIYO = {"authorization": "Klaviyo-API-Key abcdefghijklmnqrstuvwxyz", "revision": "2025-10-15"}


def imported(**data: Any) -> dict[str, Any]:
    return {"path": IMPORT, "json": {**ALTCRAFT, "data": data}}


@pytest.mark.parametrize(
    ("request_", "row"),
    [
        (imported(_bdate="canary"), ("t1", 1, 400, "invalid_field", "/profile/birthdate")),
        (imported(canary={"action": "incr", "value": "x"}), ("t1", 1, 400, "invalid_function", "/profile/custom/*")),
        (imported(**{"79511059000": {"0": {"action": "incr", "value": "x"}}}), ("t1", 1, 200, "", "")),
        (
            imported(subscriptions=[{}, {"channel": "canary"}]),
            ("t1", 1, 400, "invalid_field", "/subscriptions/0/channel"),
        ),
        (imported(email=7), ("t1", 1, 400, "invalid_field", "/profile/email")),
        ({"path": IMPORT, "json": {**ALTCRAFT, "token": "only-reads"}}, ("t2", 1, 403, "missing_right", "")),
        ({"path": IMPORT, "json": {**ALTCRAFT, "token": "was-revoked"}}, ("", None, 403, "unknown_token", "")),
        (
            {"path": IMPORT, "json": {**ALTCRAFT, "token": "of-database-2", "data": {}}},
            ("t6", 2, 404, "unknown_database", "/database"),
        ),
        (
            {"path": "/api/profiles?fields[profile]=canary", "method": "GET", "headers": KLAVIYO},
            ("t1", 1, 400, "invalid_parameter", "/parameter/fields[profile]"),
        ),
        (
            {
                "path": "/api/profiles",
                "headers": KLAVIYO,
                "json": {"data": {"type": "profile", "attributes": {"canary": 1, "properties": {}}}},
            },
            ("t1", 1, 400, "unknown_field", "/data/attributes/*"),
        ),
        (
            {
                "path": "/client/profiles?company_id=demo",
                "headers": {"revision": "2025-10-15"},
                "json": {"data": {"type": "profile", "id": "canary", "attributes": {"title": "Canary"}}},
            },
            ("company demo", 1, 202, "profile_not_found", ""),
        ),
    ],
)
def test_a_row_names_token_database_and_the_place_of_the_fault(
    log_capture: LogCapture, request_: dict[str, Any], row: tuple[Any, ...]
) -> None:
    async def run_in_process(client: httpx.AsyncClient) -> httpx.Response:
        return await client.request(request_.pop("method", "POST"), request_.pop("path"), **request_)

    start = len(log_capture.lines)
    request_ = dict(request_)
    _, [logged] = lines_after(log_capture, run_in_process)
    assert tuple(logged[name] for name in ("token", "database", "status", "fault", "pointer")) == row
    assert "canary" not in "".join(log_capture.lines[start:]).lower()


@pytest.mark.parametrize(
    ("pointer", "masked"),
    [
        ("", ""),
        ("/profile/custom/", "/profile/custom/*"),
        ("/profile/custom/a~1b/0", "/profile/custom/*/*"),
        ("/12/profile/email", "/12/profile/email"),
        ("/updates/3/subscriptions/0/email", "/updates/3/subscriptions/0/email"),
        ("/nested/subscriptions/0/email", "/nested/subscriptions/0/email"),
        ("/79511059000", "/*"),
        ("/profile/custom/points", "/profile/custom/points"),
        ("/profile/custom/tags/12", "/profile/custom/tags/12"),
        ("/profile/custom/points/12", "/profile/custom/points/*"),
        ("/profile/custom/tags/79511059000", "/profile/custom/tags/*"),
        ("/profile/custom/tags/\u0661", "/profile/custom/tags/*"),
        ("/subscriptions/0/custom_fields/level", "/subscriptions/0/custom_fields/level"),
        ("/subscriptions/0/custom_fields/other", "/subscriptions/0/custom_fields/*"),
        ("/data/attributes/profiles/data/3/attributes/email", "/data/attributes/profiles/data/3/attributes/email"),
    ],
)
def test_a_pointer_contains_declared_names_alone(pointer: str, masked: str) -> None:
    fields = {"properties": {"points": {"type": "integer"}, "tags": {"$ref": "#/$defs/tags"}}}
    fields["$defs"] = {"tags": {"anyOf": [{"type": ["array", "null"]}, {"type": "string"}]}}
    resource = Resource(1, "news", (), {"properties": {"level": {"type": "string", "enum": ["other"]}}})
    assert PointerMask(Database(1, "one", fields=fields, resources={1: resource})).mask(pointer) == masked


@pytest.mark.parametrize(
    ("sent", "is_kept"),
    [
        ("a", True),
        ("c9a646d3-9c61-4cb7-bfcd-ee2522c8f633" + "x" * 92, True),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", True),
        ("olly@example.com", False),
        ("+79511059000", False),
        ("x" * 129, False),
        ("two words", False),
        ("caf\xe9", False),
        ("", False),
    ],
)
def test_a_request_keeps_its_own_id_if_it_is_safe(log_capture: LogCapture, sent: str, is_kept: bool) -> None:
    async def run_in_process(client: httpx.AsyncClient) -> httpx.Response:
        return await client.post(IMPORT, json=UPDATE, headers=[(b"x-request-id", sent.encode("latin-1"))])

    reply, [row] = lines_after(log_capture, run_in_process)
    assert row["id"] == reply.headers["x-request-id"]
    assert (row["id"] == sent) is is_kept


CANARY = "a-canary-of-ours@example.com"
CARRYING = (
    *("user-agent", "referer", "cookie", "from", "origin", "forwarded", "x-forwarded-for", "x-real-ip"),
    *("authorization", "accept", "content-type", "content-encoding", "accept-language", "if-match", "prefer"),
    *("idempotency-key", "x-idempotency-expiration", "revision", "x-request-id", CANARY.replace("@", "-")),
)
"""Headers that get a canary as their value; the name of the last one is one too."""


def test_headers_paths_and_queries_stay_out_of_log_and_metrics(log_capture: LogCapture) -> None:
    async def run_in_process(client: httpx.AsyncClient) -> str:
        paths = (IMPORT, f"/profiles/{CANARY}", f"/api/profiles/{CANARY}", "/client/profiles", f"/{CANARY}", "/docs")
        for path in paths:
            for method in ("GET", "POST", "PATCH", "DELETE", "PROPFIND"):
                await client.request(method, f"{path}?token={CANARY}&company_id={CANARY}&filter={CANARY}&{CANARY}=1")
                for header in CARRYING:
                    await client.request(method, path, headers={header: CANARY}, content=CANARY.encode())
        return (await client.get("/metrics", headers=BEARER)).text

    start = len(log_capture.lines)
    metrics = asked(run_in_process, asyncio.run(seeded_store()), SEEN)
    logged = "".join(log_capture.lines[start:])
    assert '"route":"/profiles/{recipient_id}"' in logged
    assert 'route="/profiles/{recipient_id}"' in metrics
    assert "canary" not in (logged + metrics).lower()


def row_of(number: int) -> RecordedResponse:
    return RecordedResponse(0.0, "", "", "", "", "", number, 0.0, "", "", "", None, 0, 0)


def test_a_slow_reader_blocks_nothing_and_gets_the_number_of_lost_lines() -> None:
    free, written = Event(), []

    def write(lines: bytes) -> None:
        free.wait(10)
        written.append(lines)

    async def run() -> None:
        log = AccessLog(write)
        for number in range(MAX_QUEUED_BATCHES + 10):
            log.add(row_of(number))
            log._enqueue()
        free.set()
        while log._queue.qsize():
            await asyncio.sleep(0.01)
        log.add(row_of(-1))
        log.close()

    asyncio.run(run())
    rows = [json.loads(line) for line in b"".join(written).splitlines()]
    numbers = [row["status"] for row in rows if "status" in row]
    [lost] = [row["lost"] for row in rows if "lost" in row]
    assert numbers == [*range(MAX_QUEUED_BATCHES + 10 - lost), -1]
    assert lost > 0


def test_the_access_log_can_be_disabled(log_capture: LogCapture) -> None:
    async def run_in_process(client: httpx.AsyncClient) -> httpx.Response:
        return await client.post(IMPORT, json=UPDATE)

    start = len(log_capture.lines)
    assert asked(run_in_process, asyncio.run(seeded_store()), Settings(access_log=False)).headers["x-request-id"]
    assert log_capture.lines[start:] == []


def test_metrics_require_their_token() -> None:
    async def run_in_process(client: httpx.AsyncClient) -> list[httpx.Response]:
        await client.post(IMPORT, json=UPDATE)
        await client.post(IMPORT, json={**UPDATE, "token": "another"})
        wrong = {"authorization": "Bearer \xe9".encode("latin-1")}
        return [await client.get("/metrics", headers=headers) for headers in ({}, wrong, BEARER)]

    without, wrong, right = asked(run_in_process, asyncio.run(seeded_store()), SEEN)
    assert (without.status_code, wrong.status_code, right.status_code) == (401, 401, 200)
    call = f'method="POST",route="{IMPORT}"'
    for line in (
        f'gateway_requests_total{{dialect="altcraft",fault="",{call},status="200"}} 1.0',
        f'gateway_requests_total{{dialect="altcraft",fault="unknown_token",{call},status="403"}} 1.0',
        f'gateway_request_seconds_count{{dialect="altcraft",{call}}} 2.0',
        "gateway_connections 0.0",
    ):
        assert line in right.text.splitlines()
    assert "text/plain" in right.headers["content-type"]


def test_metrics_have_the_stages_and_the_groups_of_changes(tmp_path: Path) -> None:
    async def run_in_process(client: httpx.AsyncClient) -> str:
        for token in (UPDATE["token"], "another"):
            await client.post(IMPORT, json={**UPDATE, "token": token})
        return (await client.get("/metrics", headers=BEARER)).text

    async def sqlite() -> Store:
        store = await open_store(f"sqlite:///{tmp_path}/gateway.db", create=True)
        await seed_store(store, Case(tmp_path, "json", {}))
        return store

    counted = dict(line.rsplit(" ", 1) for line in asked(run_in_process, asyncio.run(sqlite()), SEEN).splitlines())
    stages = ("receive", "prepare", "store", "render")
    # The second request is rejected while it is prepared.
    assert [counted[f'gateway_stage_seconds_count{{stage="{stage}"}}'] for stage in stages] == [
        "2.0",
        "2.0",
        "1.0",
        "1.0",
    ]
    # Housekeeping may store steps too.
    assert float(counted["gateway_group_steps_sum"]) >= float(counted["gateway_group_steps_count"]) >= 1
    assert counted["gateway_waiting_calls"] == "0.0"
    assert float(counted["gateway_commit_seconds_count"]) >= 1


def test_without_a_token_there_are_no_metrics() -> None:
    async def run_in_process(client: httpx.AsyncClient) -> httpx.Response:
        return await client.get("/metrics")

    assert asked(run_in_process, asyncio.run(seeded_store())).status_code == 404


def test_an_outage_is_logged_once_and_its_end_too(caplog: pytest.LogCaptureFixture) -> None:
    store = asyncio.run(seeded_store())
    change, away = store.change, failing(Unavailable(), "change").change

    async def run_in_process(client: httpx.AsyncClient) -> list[int]:
        statuses = []
        for method in (change, away, away, away, change, change, away, change):
            store.change = method  # type: ignore[method-assign]
            statuses.append((await client.post(IMPORT, json=UPDATE)).status_code)
        return statuses

    assert asked(run_in_process, store) == [200, 503, 503, 503, 200, 200, 503, 200]
    said = [record.getMessage() for record in caplog.records if record.name == "gateway"]
    assert said == ["the store is unavailable: Unavailable", "the store answers again"] * 2


def test_a_message_has_a_time_and_its_request_id(caplog: pytest.LogCaptureFixture) -> None:
    async def converse(client: httpx.AsyncClient) -> httpx.Response:
        return await client.post(IMPORT, json=UPDATE, headers={"x-request-id": "the-id"})

    asked(converse, failing(RuntimeError(), "change"))
    [record] = [record for record in caplog.records if record.name == "gateway"]
    line = LogFormatter().format(record)
    time = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    assert re.fullmatch(rf"{time} ERROR unexpected RuntimeError at .* \[request the-id\]", line)


def test_metrics_contain_nothing_of_the_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """conftest.py checks the logs of all tests."""
    metrics = Metrics()
    monkeypatch.setattr("gateway.server.metrics.Metrics", lambda: metrics)
    monkeypatch.setattr("gateway.testkit.embedded.create", partial(_with_metrics, create))
    for case in islice(cases("altcraft", "courier", "klaviyo"), 0, None, 25):
        asyncio.run(run_in_process(case))
    exposed = metrics.exposition().decode()
    assert "gateway_requests_total" in exposed
    assert {"abcdefghijklmnqrstuvwxyz", "Olly"} <= canaries()
    assert [canary for canary in canaries() if canary in exposed] == []


def _with_metrics(make: Callable[..., Starlette], settings: Settings, **rest: Any) -> Starlette:
    return make(replace(settings, metrics_token="s3cret"), **rest)
