"""A fourth dialect is one file: here a toy that is made in a test, and one conversation in both media types."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from gateway.core.faults import Fault, refuse
from gateway.core.model import WRITE, Document, Profile
from gateway.dialects.protocol import (
    CONTENT_TYPES,
    UPDATE,
    Call,
    Credential,
    ParsedCommand,
    ParsedRequest,
    Reply,
    Request,
    Result,
)
from gateway.server.app import create
from gateway.settings import Settings
from gateway.stores import open_store
from gateway.stores.protocol import Store
from tests.cases import FIXTURES, Case, furnish, stored

TOKEN = "abcdefghijklmnqrstuvwxyz"


class Toy:
    """Says `{"mail": …, "first": …}` to /toy, and is answered `{"done": id}`."""

    name = "toy"
    prefixes = ("/toy",)
    content_types = CONTENT_TYPES
    fields: Mapping[str, Sequence[str]] = {"mail": ("email",), "first": ("given_name",)}
    constraints = None

    def __init__(self) -> None:
        self.calls = (Call("POST", "/toy", UPDATE, WRITE, self._read, self._write),)

    def media_type(self, _incoming: Request) -> str | None:
        return None

    def credential(self, incoming: Request) -> Credential:
        return Credential(incoming.headers.get("x-toy", ""))

    def apply_patch(self, _document: Document, _patch: Sequence[Any]) -> Document:
        raise refuse("invalid_patch")

    def render_faults(self, faults: Sequence[Fault]) -> Reply:
        return Reply(faults[0].row.status, {"refused": [fault.text for fault in faults]})

    def _read(self, incoming: Request) -> ParsedRequest:
        profile = {self.fields[name][0]: value for name, value in incoming.tree.items() if name in self.fields}
        match = {"mode": "email", "values": {"email": profile.get("email")}}
        return ParsedRequest(None, [ParsedCommand({"match": match, "if_absent": "create", "profile": profile})])

    def _write(self, answer: Result) -> Reply:
        (profile,) = answer.outcomes
        assert isinstance(profile, Profile)
        return Reply(200, {"done": profile.id})


async def _converse() -> tuple[list[httpx.Response], list[dict[str, Any]]]:
    store = await open_store("memory:")
    await furnish(store, Case(FIXTURES, "json", {}))

    async def opened(_url: str) -> Store:
        return store

    app = create(Settings(), dialects=[Toy()], new_id=lambda: f"{0xA1:024x}", open_store=opened)
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway")
    async with app.router.lifespan_context(app), client:
        in_json = await client.post("/toy", json={"mail": "a@example.com", "first": "Ann"}, headers={"x-toy": TOKEN})
        xml = {"x-toy": TOKEN, "content-type": "application/xml"}
        body = "<xml><mail>a@example.com</mail><first>Eve</first></xml>"
        in_xml = await client.post("/toy/", content=body, headers=xml)
        refused = await client.post("/toy", json={"first": 5}, headers={"x-toy": TOKEN})
        stranger = await client.post("/toy", json={"mail": "a@example.com"}, headers={"x-toy": "nobody"})
        return [in_json, in_xml, refused, stranger], await stored(store)


def test_a_fourth_dialect_is_one_file() -> None:
    (in_json, in_xml, refused, stranger), profiles = asyncio.run(_converse())
    assert (in_json.status_code, in_json.json()) == (200, {"done": f"{0xA1:024x}"})
    assert (in_xml.status_code, in_xml.headers["content-type"]) == (200, "application/xml")
    assert b"<done>0000000000000000000000a1</done>" in in_xml.content
    assert refused.status_code == 400
    assert stranger.status_code == 403
    assert [row["document"] for row in profiles] == [{"email": "a@example.com", "given_name": "Eve"}]
