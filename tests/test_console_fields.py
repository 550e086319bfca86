"""The page of the fields: a declaration is previewed, and changed by those who may."""

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.console import fields
from gateway.core.model import Database
from gateway.core.rights import READ, WRITE
from gateway.service.bootstrap import token
from tests.console.sites import BLIND, CLIENT, SCRIPT, profile
from tests.test_console import IMPORT, Site, is_escaped, sign_in, submit


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


IDENTIFIER = '{"properties": {"custom_note": {"type": "string", "x-identifier": true}}}'
FIELDS = '{"properties": {"custom_note": {"type": "%s"}}}'


@pytest.mark.parametrize(
    ("form", "status", "text"),
    [
        ({"fields": FIELDS % "string"}, 200, "0 of 2 profiles would become invalid"),
        ({"fields": FIELDS % "integer"}, 200, "2 of 2 profiles would become invalid"),
        ({"fields": '{"properties": {}}', "undeclared": "reject"}, 200, "2 of 2 profiles would become invalid"),
        ({"fields": IDENTIFIER}, 200, "1 would have a value"),
        ({"fields": FIELDS % SCRIPT.replace('"', "'")}, 400, "$.properties.custom_note"),
        ({"fields": "{"}, 400, "line 1"),
        ({"fields": "[" * 9_000}, 400, "levels"),
        ({"fields": '{"properties": {"_fname": {}}}'}, 400, "the API has a field of this name"),
        ({"fields": '{"properties": {"x": {"minimum": NaN}}}'}, 400, "line 1"),
        ({"fields": "{}", "undeclared": "x"}, 400, "Undeclared fields must be"),
    ],
)
def test_a_change_of_the_fields_is_previewed(site: Site, form: dict[str, str], status: int, text: str) -> None:
    async def converse(client: httpx.AsyncClient) -> httpx.Response:
        for number in range(2):
            await client.post(IMPORT, json=profile(f"p{number}@example.com", "Ann"))
        await sign_in(client)
        before = await site.store.databases()
        reply = await submit(client, "fields", **{"undeclared": "accept", **form})
        assert await site.store.databases() == before
        return reply

    reply = site.run(converse)
    words = " ".join(re.sub(r"<[^>]*>", "", reply.text).split())
    assert (reply.status_code, text in unescape(words)) == (status, True), words
    assert is_escaped(reply.text)


def test_a_preview_of_fields_needs_the_right_to_read(site: Site) -> None:
    async def converse(client: httpx.AsyncClient) -> list[int]:
        await sign_in(client, BLIND)
        opened = await client.get("/console/fields")
        reply = await submit(client, "fields", fields='{"properties": {}}', undeclared="accept")
        return [opened.status_code, reply.status_code]

    assert site.run(converse) == [200, 403]


def hidden(page: str) -> dict[str, str]:
    """Return the hidden inputs of the form that changes the declaration."""
    [_, *forms] = page.split('<form method="post" action="fields">')
    inputs = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', "".join(forms))
    return {name: unescape(value) for name, value in inputs}


async def declared(site: Site) -> Database:
    [found] = [each for each in await site.store.databases() if each.id == 1]
    return found


async def preview(client: httpx.AsyncClient, text: str, **form: str) -> httpx.Response:
    return await submit(client, "fields", **{"fields": text, "undeclared": "accept", "action": "preview", **form})


async def change(client: httpx.AsyncClient, page: httpx.Response, **form: str) -> httpx.Response:
    return await client.post("/console/fields", data={**hidden(page.text), "action": "change", **form})


def test_a_field_is_declared_changed_and_removed(site: Site) -> None:
    async def converse(client: httpx.AsyncClient) -> list[Any]:
        await sign_in(client)
        await change(client, await preview(client, '{"properties": {}}'))
        seen: list[Any] = []
        for action, name, type in [
            ("declare", "shoe_size", "integer"),
            ("declare", "born", "date"),
            ("declare", "shoe_size", "number"),
            ("remove", "born", "text"),
        ]:
            before = await declared(site)
            page = await preview(client, json.dumps(before.fields), action=action, name=name, type=type)
            assert await declared(site) == before
            seen.append(((await change(client, page)).status_code, (await declared(site)).fields["properties"]))
        wrong = {"token": CLIENT, "db_id": 1, "email": "ann@example.com", "data": {"shoe_size": "big"}}
        seen.append((await client.post(IMPORT, json=wrong)).status_code)
        return seen

    number, date = {"type": "number"}, {"type": "string", "format": "date"}
    assert site.run(converse) == [
        (303, {"shoe_size": {"type": "integer"}}),
        (303, {"shoe_size": {"type": "integer"}, "born": date}),
        (303, {"shoe_size": number, "born": date}),
        (303, {"shoe_size": number}),
        400,
    ]


def test_undeclared_fields_are_rejected_once_it_is_changed(site: Site) -> None:
    async def converse(client: httpx.AsyncClient) -> list[Any]:
        await sign_in(client)
        changed = await change(client, await preview(client, '{"properties": {}}', undeclared="reject"))
        reply = await client.post(IMPORT, json=profile("ann@example.com", "Ann"))
        return [changed.status_code, (await declared(site)).closed, reply.status_code]

    assert site.run(converse) == [303, True, 400]


def test_what_becomes_invalid_must_be_accepted(site: Site) -> None:
    async def converse(client: httpx.AsyncClient) -> list[Any]:
        await client.post(IMPORT, json=profile("ann@example.com", "Ann"))
        await sign_in(client)
        before, page = await declared(site), await preview(client, FIELDS % "integer")
        refused = await change(client, page)
        unchanged = await declared(site) == before
        accepted = await change(client, page, accepted="true")
        return [refused.status_code, unchanged, accepted.status_code, (await declared(site)).fields]

    assert site.run(converse) == [409, True, 303, json.loads(FIELDS % "integer")]


def test_a_new_identifier_finds_the_stored_profiles(site: Site) -> None:
    async def converse(client: httpx.AsyncClient) -> list[bool]:
        await client.post(IMPORT, json=profile("ann@example.com", "Ann"))
        await sign_in(client)
        before = "person?id=" in (await submit(client, "people", q=SCRIPT)).text
        await change(client, await preview(client, IDENTIFIER))
        return [before, "person?id=" in (await submit(client, "people", q=SCRIPT)).text]

    assert site.run(converse) == [False, True]


def test_a_declaration_that_others_changed_is_not_overwritten(site: Site) -> None:
    async def converse(client: httpx.AsyncClient) -> list[Any]:
        await sign_in(client)
        page = await preview(client, FIELDS % "string")
        await change(client, await preview(client, '{"properties": {"other": {}}}'))
        return [(await change(client, page)).status_code, list((await declared(site)).fields["properties"])]

    assert site.run(converse) == [409, ["other"]]


@pytest.mark.parametrize(("is_identifier", "status"), [(True, 409), (False, 303)])
def test_of_many_profiles_the_command_changes_the_identifiers(
    site: Site, monkeypatch: pytest.MonkeyPatch, is_identifier: bool, status: int
) -> None:
    monkeypatch.setattr(fields, "MAX_PROFILES", 1)

    async def converse(client: httpx.AsyncClient) -> list[Any]:
        await client.post(IMPORT, json=profile("ann@example.com", "Ann"))
        await sign_in(client)
        before = await declared(site)
        present, properties = fields.fingerprint(before), before.fields.get("properties", {})
        text = json.dumps({"properties": {**properties, "own": {"type": "string", "x-identifier": is_identifier}}})
        page = await preview(client, text)
        reply = await preview(client, text, action="change", accepted="true", present=present)
        return ["Only the first 1 profiles" in page.text, bool(hidden(page.text)), reply.status_code]

    assert site.run(converse) == [True, status == 303, status]


@pytest.mark.parametrize("rights", [(READ,), (READ, WRITE)])
def test_a_change_needs_rights_to_all_profiles(site: Site, rights: tuple[str, ...]) -> None:
    async def converse(client: httpx.AsyncClient) -> list[Any]:
        await site.store.add_token(token("limited", 1, ["console", *rights], 9))
        await sign_in(client, "limited")
        before, page = await declared(site), await preview(client, FIELDS % "string")
        present = fields.fingerprint(before)
        reply = await preview(client, FIELDS % "string", action="change", present=present)
        return [page.status_code, hidden(page.text), reply.status_code, await declared(site) == before]

    assert site.run(converse) == [200, {}, 403, True]


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        ({"action": "declare", "name": " "}, "the field has no name"),
        ({"action": "remove", "name": SCRIPT}, f"no field {SCRIPT} is declared"),
        ({"action": "declare", "name": "x", "type": "yes or no", "identifier": "true"}, '"x-identifier": true needs'),
        ({"action": "declare", "name": "_fname", "type": "text"}, "the API has a field of this name"),
        ({"action": "declare", "name": "x", "fields": "[]"}, "expected a JSON Schema of an object"),
        ({"action": "declare", "name": "x", "type": SCRIPT}, "The type must be one of"),
        ({"action": SCRIPT}, "The action must be one of"),
    ],
)
def test_a_field_that_cannot_be_edited_is_explained(site: Site, form: dict[str, str], reason: str) -> None:
    async def converse(client: httpx.AsyncClient) -> httpx.Response:
        await sign_in(client)
        return await preview(client, **{"text": form.get("fields", '{"properties": {}}'), **form})

    reply = site.run(converse)
    assert reply.status_code == 400
    assert reason in unescape(reply.text)
    assert is_escaped(reply.text)


def test_the_name_of_a_field_is_text(site: Site) -> None:
    async def converse(client: httpx.AsyncClient) -> list[str]:
        await sign_in(client)
        page = await preview(client, '{"properties": {}}', action="declare", name=SCRIPT, type="text")
        await change(client, page)
        return [page.text, (await client.get("/console/fields")).text, (await client.get("/console/set-up")).text]

    pages = site.run(converse)
    assert all(map(is_escaped, pages))
    assert all(json.dumps(SCRIPT) in unescape(each) for each in pages[:2])
