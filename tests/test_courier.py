"""Courier's dialect by its laws and by the public JSON Patch suite. Conversations stand in `fixtures/courier`."""

import asyncio
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.apply import difference, merge_patch
from gateway.core.faults import Refusal
from gateway.core.model import CommandType, Database
from gateway.dialects.courier.fields import FIELDS, OBJECT_FIELDS
from gateway.dialects.courier.json_patch import PatchBounds, apply_patch
from gateway.media import xml
from gateway.schema.compiled import CompiledSchema
from gateway.schema.files import load_schema
from gateway.server.app import create
from gateway.settings import Settings
from gateway.stores import open_store
from tests.cases import TOKENS, Case, furnish

PATCHES = Path(__file__).parents[2] / "shared" / "corpora" / "patches.jsonl"
FORM = CompiledSchema(Database(1, "patches"), load_schema("courier"))
BOUNDS = PatchBounds(depth=31, nodes=10_000)
REFUSED = "refused"


def outcome(value: Any, patch: list[Any]) -> str:
    """What becomes of a value, as JSON text: equality that tells 1 from true and from 1.0."""
    match = {"mode": "external_id", "values": {"external_id": "p"}}
    before = json.dumps(value)
    try:
        if FORM.validate({"match": match, "patch": patch}, CommandType.UPDATE):
            return REFUSED
        return json.dumps(apply_patch(value, patch, BOUNDS), sort_keys=True)
    except Refusal:
        return REFUSED
    finally:
        assert json.dumps(value) == before


def patch_rows() -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in PATCHES.read_text().split("\n") if line] if PATCHES.exists() else []
    repeats_a_member = {"tests.json#85", "spec_tests.json#13"}  # which the JSON codec refuses, before it is a patch
    return [row for row in rows if "patch" in row["case"] and row["id"] not in repeats_a_member]


@pytest.mark.skipif(not PATCHES.exists(), reason=f"{PATCHES} is absent")
@pytest.mark.parametrize("row", patch_rows(), ids=lambda row: row["id"])
def test_the_public_suite(row: dict[str, Any]) -> None:
    case = row["case"]
    expected = REFUSED if "error" in case else json.dumps(case.get("expected", case["doc"]), sort_keys=True)
    assert outcome(case["doc"], case["patch"]) == expected


def op(name: str, path: Any, **members: Any) -> dict[str, Any]:
    return {"op": name, "path": path, **members}


@pytest.mark.parametrize(
    ("value", "patch"),
    [
        ({"a": 1}, [op("test", "/a", value=True)]),
        ({"a": [{"b": 1}]}, [op("test", "/a", value=[{"b": True}])]),
        ({"a": 0}, [op("test", "/a", value=False)]),
        ({}, [op("test", "/a", value=None)]),
        ({"a": []}, [op("test", "/a/-", value=None)]),
        ({"a": "xyz"}, [op("test", "/a/0", value="x")]),
        ({"a": 1}, [op("remove", "")]),
        ({"a": [1]}, [op("remove", "/a/-")]),
        ({"a": [1, 2]}, [op("remove", "/a/+1")]),
        ({"a": list(range(11))}, [op("remove", "/a/1_0")]),
        ({"a": [1, 2]}, [op("remove", "/a/\u0661")]),
        ({"a": [1, 2]}, [op("add", "/a/" + "9" * 5000, value=1)]),
        ({"a": "x"}, [op("append", "/a", value="y")]),
        ({"a": 1}, [op("addne", "/b", value=1)]),
        ({"~2": 1}, [op("test", "/~2", value=1)]),
        ({"a": 1}, [op("test", " /a", value=1)]),
        ({"a": 1}, [op("copy", "/b", **{"from": "/#a"})]),
        ({"a": 1}, [op("copy", "/b", **{"from": "a"})]),
        ({"a": {"b": 1}}, [op("move", "/a/b", **{"from": "/a"})]),
        ({"a": 1}, [op("move", "/a", **{"from": ""})]),
        ({"a": 1}, [op("move", 1, **{"from": "/a"})]),
        ({"a": 1}, [op("copy", "/b", **{"from": ["/a"]})]),
        ({"a": 1}, [{"op": ["test"], "path": "/a", "value": 1}]),
        ({"a": [{}]}, [op("add", "/a/-/x", value=1)]),
    ],
    ids=lambda value: json.dumps(value)[:60] if isinstance(value, list) else None,
)
def test_what_the_public_suite_leaves_out(value: Any, patch: list[Any]) -> None:
    assert outcome(value, patch) == REFUSED


def test_numbers_are_tested_by_value_and_objects_without_order() -> None:
    value = {"n": 1, "o": {"x": 1, "y": 2}}
    patch = [op("test", "/n", value=1.0), op("test", "/o", value={"y": 2, "x": 1})]
    assert outcome(value, patch) == json.dumps(value)


def test_a_copied_value_is_another_one() -> None:
    patch = [op("add", "/a", value={}), op("copy", "/b", **{"from": "/a"}), op("add", "/a/x", value=1)]
    assert outcome({}, patch) == '{"a": {"x": 1}, "b": {}}'


def test_copies_are_bounded_however_they_double() -> None:
    doubling = [op("copy", f"/c{index}", **{"from": ""}) for index in range(1000)]
    assert outcome({"a": 1}, doubling) == REFUSED


def test_moves_cannot_nest_without_end() -> None:
    deeper = [op("move", "/t", **{"from": "/a"}), op("add", "/a", value={}), op("move", "/a/t", **{"from": "/t"})]
    assert outcome({"a": {}}, deeper * 5) != REFUSED
    assert outcome({"a": {}}, deeper * 333) == REFUSED


# --- over HTTP, in process: what was written is what GET returns ---


class World:
    """A gateway with an empty store, and Courier's calls of one recipient after another."""

    def __init__(self, runner: asyncio.Runner, http: httpx.AsyncClient) -> None:
        self._runner = runner
        self._http = http
        self._recipients = iter(range(10**9))

    def recipient(self) -> str:
        return f"/profiles/{next(self._recipients)}"

    def send(self, method: str, path: str, body: Any, **headers: str) -> None:
        reply = self.answer(method, path, body, **headers)
        assert reply.status_code == 200, reply.text

    def answer(self, method: str, path: str, body: Any, **headers: str) -> httpx.Response:
        encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
        media_type = "application/xml" if isinstance(body, bytes) else "application/json"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._ask(method, path, content=encoded, headers={"content-type": media_type, **named})

    def profile(self, path: str) -> str:
        return spelled(self._ask("GET", path).json()["profile"])

    def _ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self._runner.run(self._http.request(method, path, **more))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with asyncio.Runner() as runner:
        store = runner.run(open_store("memory:"))
        runner.run(furnish(store, Case(tmp_path_factory.mktemp("courier"), "json", {})))

        async def opened(_url: str) -> Any:
            return store

        seconds = itertools.count(1_767_225_600_000, 1000)
        app = create(Settings(), now=lambda: next(seconds), open_store=opened)
        lifespan = app.router.lifespan_context(app)
        runner.run(lifespan.__aenter__())
        transport, headers = httpx.ASGITransport(app), {"authorization": f"Bearer {next(iter(TOKENS))}"}
        yield World(runner, httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=headers))
        runner.run(lifespan.__aexit__(None, None, None))


def spelled(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
fractions = st.floats(allow_nan=False, allow_infinity=False).filter(lambda number: not number.is_integer())
leaves = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | fractions | texts
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=8
)
names = texts | st.sampled_from(
    ["external_id", "segments", "courier", "klaviyo", "sub", "email_verified", "slack", "apn"]
)
others = st.dictionaries(names.filter(lambda name: name not in FIELDS), values, max_size=4)
addresses = st.dictionaries(st.sampled_from(["locality", "postal_code", "country"]), texts) | st.dictionaries(
    texts.map("x".__add__), values, max_size=3
)
claims = st.fixed_dictionaries(
    {},
    optional={
        **{name: texts for name in FIELDS if name not in OBJECT_FIELDS},
        "custom": st.dictionaries(texts.filter("customer_id".__ne__), values, max_size=3),
        "address": addresses,
    },
)
profiles = st.builds(lambda one, other: {**one, **other}, claims, others)


@pytest.mark.law
@given(first=profiles, second=profiles)
def test_put_then_get_gives_the_same(world: World, first: dict[str, Any], second: dict[str, Any]) -> None:
    path = world.recipient()
    for profile in (first, second):
        world.send("PUT", path, {"profile": profile})
        assert world.profile(path) == spelled(profile)


@pytest.mark.law
@given(first=profiles, second=profiles)
def test_post_then_get_gives_the_merge(world: World, first: dict[str, Any], second: dict[str, Any]) -> None:
    path = world.recipient()
    world.send("PUT", path, {"profile": first})
    world.send("POST", path, {"profile": second})
    assert world.profile(path) == spelled(merge_patch(first, second))


@pytest.mark.law
@given(first=profiles, second=profiles)
def test_the_patch_from_one_to_another_leads_there(world: World, first: dict[str, Any], second: dict[str, Any]) -> None:
    path = world.recipient()
    world.send("PUT", path, {"profile": first})
    world.send("PATCH", path, {"patch": difference(first, second)})
    assert world.profile(path) == spelled(second)


carried = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=8)
in_xml = st.recursive(
    carried,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3) | st.dictionaries(carried.filter(bool), inner, min_size=1, max_size=3)
    ),
    max_leaves=6,
)
flags = {"email_verified", "phone_number_verified", "airship"}
unnamed = carried.filter(bool).filter(lambda name: name not in FIELDS and name not in flags)


@pytest.mark.law
@given(profile=st.dictionaries(unnamed, in_xml, min_size=1, max_size=4))
def test_xml_says_the_same_as_json(world: World, profile: dict[str, Any]) -> None:
    path = world.recipient()
    world.send("PUT", path, xml.encode({"profile": profile}))
    assert world.profile(path) == spelled(profile)


@given(id=texts.filter(bool).filter(lambda id: "\ufffd" not in id))
def test_every_id_is_one_recipient(world: World, id: str) -> None:
    if id in (".", ".."):
        return  # which the client resolves, as every client does
    path = f"/profiles/{quote(id, safe='')}"
    world.send("PUT", path, {"profile": {"id": id}})
    assert world.profile(path) == spelled({"id": id})


def test_a_subscription_is_done_once_under_its_key_though_time_goes_on(world: World) -> None:
    path = f"{world.recipient()}/lists"
    for body in ({"lists": [{"listId": "news"}]}, b"<xml><lists><listId>news</listId></lists></xml>"):
        world.send("POST", path, body, idempotency_key="once")
    other = world.answer("POST", path, {"lists": [{"listId": "jobs"}]}, idempotency_key="once")
    assert (other.status_code, other.headers["x-should-retry"]) == (409, "false")
    assert other.json()["type"] == "invalid_request_error"
