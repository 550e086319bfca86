"""`shadow`: what differs in meaning between two servers is found, in places and types, and no client waits."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from gateway.stores import open_store
from gateway.testkit.case import Case
from gateway.testkit.embedded import create_application
from gateway.testkit.proxy import Forwarder, UpstreamServer
from gateway.testkit.shadow import Shadow
from tests.cases import cases, seed_store
from tests.test_proxies import ID, JSON, LOOKALIKES, PERSONAL, XML, answering

EVERY = 1 if os.environ.get("HYPOTHESIS_PROFILE") == "laws" else 24
SAMPLE = list(cases("altcraft", "courier", "klaviyo"))[::EVERY]


@asynccontextmanager
async def shadowed(first: Any, other: Any, waiting: int = 10) -> AsyncIterator[tuple[Any, Shadow, list[Any]]]:
    lines: list[Any] = []
    one, two = (
        UpstreamServer(url, httpx.ASGITransport(app)) for url, app in (("http://a", first), ("http://b", other))
    )
    shadow = Shadow(one, two, lambda line: lines.append(json.loads(line)), waiting=waiting)
    work = asyncio.create_task(shadow.run())
    try:
        yield Forwarder(one, shadow.enqueue), shadow, lines
    finally:
        work.cancel()


def client_of(app: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway.example")


async def _application(case: Case) -> Any:
    store = await open_store("memory:", create=True)
    await seed_store(store, case)
    return create_application(case, store)


async def _lines(case: Case) -> list[Any]:
    first, other = await _application(case), await _application(case)
    alive = first.router.lifespan_context(first), other.router.lifespan_context(other)
    async with alive[0], alive[1], shadowed(first, other) as (proxy, shadow, lines):
        async with client_of(proxy) as client:
            method, path = case.about["method"], case.about["path"]
            await client.request(method, path, content=case.request, headers=case.headers)
        await shadow.drain()
    return lines


@pytest.mark.law
@pytest.mark.parametrize("case", SAMPLE, ids=lambda case: case.name)
def test_reports_no_difference_between_two_gateways(case: Case) -> None:
    assert asyncio.run(_lines(case)) == []


ONE = {"id": ID, "email": "nina.orlova@acme.org", "tags": ["a", "b"], "visits": 5, "when": "2026-01-01T00:00:00Z"}
SAME = "<xml><id>65f1a0c2d4e8b7a19c3fffff</id><email>nina.orlova@acme.org</email><tags>a</tags><tags>b</tags>"
SAME += "<visits>5</visits><when>2026-02-02T11:11:11Z</when></xml>"


def changed(**members: Any) -> bytes:
    return json.dumps({**ONE, **members}).encode()


async def _five() -> list[Any]:
    answers = [
        (200, SAME.encode(), XML),
        (200, changed(visits="5"), JSON),
        (200, changed(tags=["a"]), JSON),
        (404, changed(), JSON),
        (200, SAME.replace("nina", "anna").encode(), XML),
        (200, json.dumps({name: ONE[name] for name in ONE if name != "visits"}).encode(), JSON),
    ]
    first = answering(*[(200, changed(), JSON)] * len(answers))
    async with shadowed(first, answering(*answers)) as (proxy, shadow, lines):
        async with client_of(proxy) as client:
            for _ in answers:
                await client.get(f"/api/profiles/{ID}?email=nina.orlova@acme.org")
        await shadow.drain()
    return lines


def test_reports_five_differences_without_personal_values() -> None:
    lines = asyncio.run(_five())
    assert [line["differences"] for line in lines] == [
        [{"at": "answer /visits", "to": "number", "compare": "text"}],
        [{"at": "answer /tags/1", "to": "text", "compare": "nothing"}],
        [{"at": "status", "to": 200, "compare": 404}],
        [{"at": "answer /email", "to": "text", "compare": "text"}],
        [{"at": "answer /visits", "to": "number", "compare": "nothing"}],
    ]
    assert [value for value in PERSONAL if value in json.dumps(lines, ensure_ascii=False)] == []


LATER, TIMES = {"created": 1_767_225_600_000}, {"created": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("first", "other", "differences"),
    [
        (LOOKALIKES, LOOKALIKES, []),
        ({"id": ID}, {"id": 7}, [{"at": "answer /id", "to": "text", "compare": "number"}]),
        (LATER, TIMES, [{"at": "answer /created", "to": "number", "compare": "text"}]),
        (TIMES, LATER, [{"at": "answer /created", "to": "text", "compare": "number"}]),
        ({"a": {"$any": True}}, {"a": 1}, [{"at": "answer /a", "to": "object", "compare": "number"}]),
        ({"a": {"$type": "b"}}, {"a": {"$type": 1}}, [{"at": "answer /a/$type", "to": "text", "compare": "number"}]),
        ({"a": [{"$any": 1}]}, {}, [{"at": "answer /a", "to": "list", "compare": "nothing"}]),
    ],
)
def test_the_types_of_a_report_are_those_of_the_answers(first: Any, other: Any, differences: list[Any]) -> None:
    async def run() -> list[Any]:
        answers = [(200, json.dumps(each).encode(), JSON) for each in (first, other)]
        async with shadowed(answering(answers[0]), answering(answers[1])) as (proxy, shadow, lines):
            async with client_of(proxy) as client:
                await client.get("/api/profiles")
            await shadow.drain()
        return [each for line in lines for each in line["differences"]]

    assert asyncio.run(run()) == differences


def test_the_charset_of_an_answer_counts() -> None:
    async def run() -> list[Any]:
        answers = [
            (200, '{"a": "Готово"}'.encode(charset), (b"content-type", f"text/json; charset={charset}".encode()))
            for charset in ("windows-1251", "utf-8")
        ]
        async with shadowed(answering(answers[0]), answering(answers[1])) as (proxy, shadow, lines):
            async with client_of(proxy) as client:
                await client.get("/api/profiles")
            await shadow.drain()
        return lines

    assert asyncio.run(run()) == []


async def _slow_and_away() -> tuple[list[int], list[Any], list[Any]]:
    reached = asyncio.Event()

    async def never(_scope: Any, _receive: Any, _send: Any) -> None:
        reached.set()
        await asyncio.Event().wait()

    async def absent(_scope: Any, _receive: Any, _send: Any) -> None:
        raise httpx.ConnectError("gone")

    statuses = []
    for other in (never, absent):
        first = answering(*[(200, b"{}", JSON)] * 9)
        async with shadowed(first, other, waiting=2) as (proxy, shadow, lines):
            async with client_of(proxy) as client:
                statuses += [(await asyncio.wait_for(client.get("/"), 5)).status_code for _ in range(9)]
            if other is never:
                await reached.wait()
                slow = shadow._skipped
            else:
                await shadow.drain()
    return statuses, [slow], lines


def test_a_slow_or_absent_server_never_keeps_a_client_waiting() -> None:
    statuses, slow, lines = asyncio.run(_slow_and_away())
    assert statuses == [200] * 18
    assert slow[0] >= 5
    assert "b does not answer: ConnectError" in lines[0]["problem"]
    assert sum(line.get("left_out", 1) for line in lines) == 9


async def _later_ids() -> list[bytes]:
    theirs = ID[:-4] + "ffff"
    asked: list[bytes] = []

    async def other(scope: Any, _receive: Any, send: Any) -> None:
        asked.append(scope["raw_path"])
        await answering((200, json.dumps({"id": theirs}).encode(), JSON))(scope, _receive, send)

    first = answering(*[(200, json.dumps({"id": ID}).encode(), JSON)] * 2)
    async with shadowed(first, other) as (proxy, shadow, lines), client_of(proxy) as client:
        for path in ("/api/profiles", f"/api/profiles/{ID}"):
            await client.get(path)
            await shadow.drain()
    assert lines == []
    return asked


def test_the_other_server_is_asked_by_its_own_ids() -> None:
    assert asyncio.run(_later_ids()) == [b"/api/profiles", f"/api/profiles/{ID[:-4]}ffff".encode()]
