"""Every conversation of `fixtures/`, in each of its media types, in process on memory and over real HTTP on SQLite."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
from lxml import etree
from starlette.applications import Starlette

from gateway.app import create
from gateway.schema import published
from gateway.settings import Settings
from gateway.stores import Store, open_store
from tests.cases import FIXTURES, NOW, Case, cases, furnish, ids, stored
from tests.servers import Host

DIALECTS = [folder.name for folder in sorted(FIXTURES.iterdir()) if any(folder.glob("*/case.json"))]
CASES = list(cases(*DIALECTS))


def each_case(run: Callable[..., None]) -> Callable[..., None]:
    marked = [pytest.param(case, marks=_expected_failure(case), id=case.name) for case in CASES]
    return pytest.mark.parametrize("case", marked)(run)


def _expected_failure(case: Case) -> list[pytest.MarkDecorator]:
    file = case.folder / "xfail"
    return [pytest.mark.xfail(reason=file.read_text().strip(), strict=True)] if file.exists() else []


@each_case
def test_in_process_on_memory(case: Case) -> None:
    _judge(case, *asyncio.run(converse_in_process(case)))


@each_case
def test_over_http_on_sqlite(case: Case, host: Host, tmp_path: Path) -> None:
    store = host.run(open_store(f"sqlite:///{tmp_path}/cases.db"))
    host.run(furnish(store, case))
    with host.serving(_application(case, store)):
        with httpx.Client(base_url=host.url) as client:
            reply = client.request(case.about["method"], case.about["path"], content=case.request, headers=case.headers)
        profiles = host.run(stored(store))
    _judge(case, reply, profiles)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_is_well_described(case: Case) -> None:
    jsonschema.validate(case.about, published("case"))
    assert (case.folder / f"response.{case.reply}").exists()


async def converse_in_process(case: Case) -> tuple[httpx.Response, list[dict[str, Any]]]:
    """The reply to a case, and the profiles that it leaves."""
    store = await open_store("memory:")
    await furnish(store, case)
    app = _application(case, store)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            method, path = case.about["method"], case.about["path"]
            reply = await client.request(method, path, content=case.request, headers=case.headers)
        return reply, await stored(store)


def _application(case: Case, store: Store) -> Starlette:
    numbers = ids()
    settings = Settings(**case.about.get("settings", {}))
    return create(settings, now=lambda: NOW, new_id=lambda: next(numbers), opened=_always(store))


def _always(store: Store) -> Callable[[str], Awaitable[Store]]:
    async def opened(_url: str) -> Store:
        return store

    return opened


def _judge(case: Case, reply: httpx.Response, profiles: list[dict[str, Any]]) -> None:
    assert (reply.status_code, _meaning(case.reply, reply.content)) == (
        case.about["status"],
        _meaning(case.reply, case.response),
    )
    for name, value in case.about.get("response_headers", {}).items():
        assert reply.headers.get(name) == value
    assert sorted(profiles, key=_id) == sorted(case.after, key=_id)


def _id(row: dict[str, Any]) -> str:
    return row["id"]


def _meaning(media: str, body: bytes) -> Any:
    """What a body says: JSON by its value, with types told apart; XML in canonical form; nothing where it is empty."""
    if not body:
        return ""
    if media == "json":
        return json.dumps(json.loads(body), sort_keys=True)
    parser = etree.XMLParser(remove_blank_text=True)
    return etree.tostring(etree.fromstring(body, parser), method="c14n").decode()
