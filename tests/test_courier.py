"""Laws of Courier's dialect, and the public JSON Patch suite. The conversations are in `fixtures/courier`."""

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

from gateway.core.apply import merge_patch
from gateway.core.difference import difference
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
from tests.cases import TOKENS, Case, seed_store

PATCHES = Path(__file__).parents[2] / "shared" / "corpora" / "patches.jsonl"
SCHEMA = CompiledSchema(Database(1, "patches"), load_schema("courier"))
BOUNDS = PatchBounds(depth=31, nodes=10_000)
REJECTED = "rejected"


def patched_json(value: Any, patch: list[Any]) -> str:
    """Return the patched value as JSON text, in which 1, true and 1.0 differ, or REJECTED."""
    match = {"mode": "external_id", "values": {"external_id": "p"}}
    before = json.dumps(value)
    try:
        if SCHEMA.validate({"match": match, "patch": patch}, CommandType.UPDATE)[1]:
            return REJECTED
        return json.dumps(apply_patch(value, patch, BOUNDS), sort_keys=True)
    except Refusal:
        return REJECTED
    finally:
        assert json.dumps(value) == before


def patch_rows() -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in PATCHES.read_text().split("\n") if line] if PATCHES.exists() else []
    repeats_a_member = {"tests.json#85", "spec_tests.json#13"}  # The JSON codec rejects it.
    return [row for row in rows if "patch" in row["case"] and row["id"] not in repeats_a_member]


@pytest.mark.skipif(not PATCHES.exists(), reason=f"{PATCHES} is absent")
@pytest.mark.parametrize("row", patch_rows(), ids=lambda row: row["id"])
def test_the_public_suite(row: dict[str, Any]) -> None:
    case = row["case"]
    expected = REJECTED if "error" in case else json.dumps(case.get("expected", case["doc"]), sort_keys=True)
    assert patched_json(case["doc"], case["patch"]) == expected


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
def test_patches_that_the_public_suite_lacks(value: Any, patch: list[Any]) -> None:
    assert patched_json(value, patch) == REJECTED


def test_numbers_compare_by_value_and_objects_without_order() -> None:
    value = {"n": 1, "o": {"x": 1, "y": 2}}
    patch = [op("test", "/n", value=1.0), op("test", "/o", value={"y": 2, "x": 1})]
    assert patched_json(value, patch) == json.dumps(value)


def test_a_copied_value_is_independent() -> None:
    patch = [op("add", "/a", value={}), op("copy", "/b", **{"from": "/a"}), op("add", "/a/x", value=1)]
    assert patched_json({}, patch) == '{"a": {"x": 1}, "b": {}}'


def test_copies_have_a_bound() -> None:
    doubling = [op("copy", f"/c{index}", **{"from": ""}) for index in range(1000)]
    assert patched_json({"a": 1}, doubling) == REJECTED


def test_moves_have_a_bound_of_depth() -> None:
    deeper = [op("move", "/t", **{"from": "/a"}), op("add", "/a", value={}), op("move", "/a/t", **{"from": "/t"})]
    assert patched_json({"a": {}}, deeper * 5) != REJECTED
    assert patched_json({"a": {}}, deeper * 333) == REJECTED


# --- over HTTP, in process: GET returns what was written ---


class Gateway:
    """A gateway with an empty store, and a client for Courier's calls."""

    def __init__(self, runner: asyncio.Runner, http: httpx.AsyncClient) -> None:
        self._runner = runner
        self._http = http
        self._recipients = iter(range(10**9))

    def recipient(self) -> str:
        return f"/profiles/{next(self._recipients)}"

    def send(self, method: str, path: str, body: Any, **headers: str) -> None:
        reply = self.request(method, path, body, **headers)
        assert reply.status_code == 200, reply.text

    def request(self, method: str, path: str, body: Any, **headers: str) -> httpx.Response:
        encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
        media_type = "application/xml" if isinstance(body, bytes) else "application/json"
        headers_by_name = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._request(method, path, content=encoded, headers={"content-type": media_type, **headers_by_name})

    def profile(self, path: str) -> str:
        return json_text(self._request("GET", path).json()["profile"])

    def _request(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self._runner.run(self._http.request(method, path, **more))


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with asyncio.Runner() as runner:
        store = runner.run(open_store("memory:", create=True))
        runner.run(seed_store(store, Case(tmp_path_factory.mktemp("courier"), "json", {})))

        async def opened(_url: str) -> Any:
            return store

        seconds = itertools.count(1_767_225_600_000, 1000)
        app = create(Settings(), now=lambda: next(seconds), open_store=opened)
        lifespan = app.router.lifespan_context(app)
        runner.run(lifespan.__aenter__())
        transport, headers = httpx.ASGITransport(app), {"authorization": f"Bearer {next(iter(TOKENS))}"}
        yield Gateway(runner, httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=headers))
        runner.run(lifespan.__aexit__(None, None, None))


def json_text(value: Any) -> str:
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
def test_get_returns_what_put_wrote(gateway: Gateway, first: dict[str, Any], second: dict[str, Any]) -> None:
    path = gateway.recipient()
    for profile in (first, second):
        gateway.send("PUT", path, {"profile": profile})
        assert gateway.profile(path) == json_text(profile)


@pytest.mark.law
@given(first=profiles, second=profiles)
def test_get_returns_what_post_merged(gateway: Gateway, first: dict[str, Any], second: dict[str, Any]) -> None:
    path = gateway.recipient()
    gateway.send("PUT", path, {"profile": first})
    gateway.send("POST", path, {"profile": second})
    assert gateway.profile(path) == json_text(merge_patch(first, second))


@pytest.mark.law
@given(first=profiles, second=profiles)
def test_get_returns_what_patch_made(gateway: Gateway, first: dict[str, Any], second: dict[str, Any]) -> None:
    path = gateway.recipient()
    gateway.send("PUT", path, {"profile": first})
    gateway.send("PATCH", path, {"patch": difference(first, second)})
    assert gateway.profile(path) == json_text(second)


xml_texts = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=8)
xml_values = st.recursive(
    xml_texts,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3) | st.dictionaries(xml_texts.filter(bool), inner, min_size=1, max_size=3)
    ),
    max_leaves=6,
)
flags = {"email_verified", "phone_number_verified", "airship"}
other_names = xml_texts.filter(bool).filter(lambda name: name not in FIELDS and name not in flags)


@pytest.mark.law
@given(profile=st.dictionaries(other_names, xml_values, min_size=1, max_size=4))
def test_xml_and_json_have_the_same_effect(gateway: Gateway, profile: dict[str, Any]) -> None:
    path = gateway.recipient()
    gateway.send("PUT", path, xml.encode({"profile": profile}))
    assert gateway.profile(path) == json_text(profile)


@given(id=texts.filter(bool).filter(lambda id: "\ufffd" not in id))
def test_every_id_is_its_own_recipient(gateway: Gateway, id: str) -> None:
    if id in (".", ".."):
        return  # An HTTP client resolves dot segments.
    path = f"/profiles/{quote(id, safe='')}"
    gateway.send("PUT", path, {"profile": {"id": id}})
    assert gateway.profile(path) == json_text({"id": id})


def test_an_idempotency_key_makes_a_subscription_once(gateway: Gateway) -> None:
    path = f"{gateway.recipient()}/lists"
    for body in ({"lists": [{"listId": "news"}]}, b"<xml><lists><listId>news</listId></lists></xml>"):
        gateway.send("POST", path, body, idempotency_key="once")
    other = gateway.request("POST", path, {"lists": [{"listId": "jobs"}]}, idempotency_key="once")
    assert (other.status_code, other.headers["x-should-retry"]) == (409, "false")
    assert other.json()["type"] == "invalid_request_error"
