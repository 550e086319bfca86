"""A fourth dialect is one file and entries in `schemas/`: a toy vendor, in both media types.

The vendor has an identity and a namespace of its own, which no module of the gateway names.
"""

import asyncio
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import httpx
import pytest

from gateway.core.faults import Fault, refuse
from gateway.core.model import Document, Profile, Update
from gateway.core.rights import WRITE
from gateway.dialects.protocol import (
    CONTENT_TYPES,
    NO_LOCATED_FIELDS,
    UPDATE,
    Call,
    Credential,
    ParsedCommand,
    ParsedRequest,
    Reply,
    Request,
    RequestNames,
    Result,
)
from gateway.schema import compiled, files
from gateway.server.app import create
from gateway.settings import Settings
from gateway.stores import open_store
from gateway.stores.protocol import Store
from tests.cases import FIXTURES, Case, seed_store, stored_profiles

TOKEN = "abcdefghijklmnqrstuvwxyz"
SCHEMAS = Path(__file__).parents[1] / "schemas"

TOY = {
    "type": "object",
    "x-namespace": True,
    "properties": {"badge": {"type": "string", "minLength": 1, "x-identity": {"kind": "badge", "unique": True}}},
    "additionalProperties": False,
}


class Toy:
    """Accepts `{"mail": …, "first": …, "badge": …}` at /toy and replies `{"done": id}`."""

    name = "toy"
    prefixes = ("/toy",)
    slash_merging_prefix = None
    content_types = CONTENT_TYPES
    fields: Mapping[str, Sequence[str]] = {"mail": ("email",), "first": ("given_name",), "badge": ("toy", "badge")}
    reserved_names = ()
    located_fields = NO_LOCATED_FIELDS
    constraints = None
    file_rows = None
    outgoing = None
    request_names = RequestNames()

    def __init__(self) -> None:
        self.calls = (Call("POST", "/toy", UPDATE, WRITE, self._parse, self._render),)

    def media_type(self, _incoming: Request) -> str | None:
        return None

    def credential(self, incoming: Request) -> Credential:
        return Credential(incoming.headers.get("x-toy", ""))

    def resolve_patch(self, _document: Document, _update: Update) -> Update:
        raise refuse("invalid_patch")

    def render_faults(self, faults: Sequence[Fault]) -> Reply:
        return Reply(faults[0].status, {"refused": [fault.text for fault in faults]})

    def body_pointer(self, pointer: str) -> str:
        return pointer

    def _parse(self, incoming: Request) -> ParsedRequest:
        tree = incoming.tree
        profile = {self.fields[name][0]: tree[name] for name in ("mail", "first") if name in tree}
        if "badge" in tree:
            profile["toy"] = {"badge": tree["badge"] or None}
        values = {name: tree[key] for key, name in (("mail", "email"), ("badge", "badge")) if tree.get(key)}
        match = {"mode": "identifiers", "values": values}
        update = {"match": match, "if_absent": "create", "on_conflict": {"badge": "reject"}, "profile": profile}
        return ParsedRequest(None, [ParsedCommand(update)])

    def _render(self, result: Result) -> Reply:
        (profile,) = result.outcomes
        assert isinstance(profile, Profile)
        return Reply(200, {"done": profile.id})


@pytest.fixture
def _toy_schemas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The schemas, with the toy's entries."""
    for file in SCHEMAS.glob("*.schema.json"):
        shutil.copy(file, tmp_path)
    _extend(tmp_path / "profile.schema.json", ["properties"], {"toy": TOY})
    values = ["$defs", "match", "properties", "values", "properties"]
    _extend(tmp_path / "command.schema.json", values, {"badge": {"type": "string"}})
    monkeypatch.setattr(files, "FOLDER", tmp_path)
    monkeypatch.setattr(compiled, "_compiled", WeakValueDictionary())  # those in use are compiled from the real files
    files.load_schema.cache_clear()
    yield
    files.load_schema.cache_clear()


def _extend(file: Path, place: Sequence[str], members: Mapping[str, Any]) -> None:
    schema = json.loads(file.read_text())
    target = schema
    for name in place:
        target = target[name]
    target.update(members)
    file.write_text(json.dumps(schema))


async def _converse(*requests: Mapping[str, Any]) -> tuple[list[httpx.Response], list[dict[str, Any]]]:
    """The replies to requests, and the documents after them."""
    store = await open_store("memory:", create=True)
    await seed_store(store, Case(FIXTURES, "json", {}))

    async def opened(_url: str) -> Store:
        return store

    ids = iter(range(0xA1, 0xFF))
    app = create(Settings(), dialects=[Toy()], new_id=lambda: f"{next(ids):024x}", open_store=opened)
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway", headers={"x-toy": TOKEN})
    async with app.router.lifespan_context(app), client:
        replies = [await client.post(**{"url": "/toy", **request}) for request in requests]
        return replies, [row["document"] for row in await stored_profiles(store)]


def test_a_fourth_dialect_is_one_file() -> None:
    xml = {"content-type": "application/xml"}
    (in_json, in_xml, refused, stranger), documents = asyncio.run(
        _converse(
            {"json": {"mail": "a@example.com", "first": "Ann"}},
            {"url": "/toy/", "content": "<xml><mail>a@example.com</mail><first>Eve</first></xml>", "headers": xml},
            {"json": {"mail": "b@example.com", "first": 5}},
            {"json": {"mail": "a@example.com"}, "headers": {"x-toy": "nobody"}},
        )
    )
    assert (in_json.status_code, in_json.json()) == (200, {"done": f"{0xA1:024x}"})
    assert (in_xml.status_code, in_xml.headers["content-type"]) == (200, "application/xml")
    assert b"<done>0000000000000000000000a1</done>" in in_xml.content
    assert refused.status_code == 400
    assert stranger.status_code == 403
    assert documents == [{"email": "a@example.com", "given_name": "Eve"}]


@pytest.mark.usefixtures("_toy_schemas")
def test_an_identity_and_a_namespace_are_entries_of_the_schemas() -> None:
    xml = {"content-type": "application/xml"}
    replies, documents = asyncio.run(
        _converse(
            {"json": {"badge": "7", "first": "Ann"}},
            {"content": "<xml><badge>7</badge><mail>a@example.com</mail></xml>", "headers": xml},
            {"json": {"badge": "8", "mail": "b@example.com"}},
            {"json": {"mail": "b@example.com", "badge": None}},
        )
    )
    assert [reply.status_code for reply in replies] == [200] * 4
    assert documents == [
        {"given_name": "Ann", "email": "a@example.com", "toy": {"badge": "7"}},
        {"email": "b@example.com"},
    ]


@pytest.mark.usefixtures("_toy_schemas")
def test_a_unique_identity_of_the_schemas_belongs_to_one_profile() -> None:
    replies, _ = asyncio.run(
        _converse(
            {"json": {"badge": "7"}},
            {"json": {"mail": "b@example.com"}},
            {"json": {"badge": "7", "mail": "b@example.com"}},
        )
    )
    assert [reply.status_code for reply in replies] == [200, 200, 409]
