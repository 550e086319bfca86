"""The pages of merges and their undo, without a browser: what they preview, what they do, and for whom."""

from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.core.model import Profile
from gateway.service.bootstrap import token
from tests.console.sites import BLIND, OTHER, SCRIPT, profile
from tests.test_console import IMPORT, Site, sign_in, submit

ANN, BEN = "ann@example.com", "ben@example.com"
UNREADING = "of-one-who-merges-without-reading"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


async def people(client: httpx.AsyncClient, site: Site) -> list[Profile]:
    """Return two profiles."""
    for mail, name in ((ANN, "Zebedee"), (BEN, f"Yolanda {SCRIPT}")):
        await client.post(IMPORT, json=profile(mail, name))
    return [await stored(site, mail) for mail in (ANN, BEN)]


async def stored(site: Site, mail: str) -> Profile:
    [found] = await site.store.find(1, [("email", mail)])
    return found


async def merge(client: httpx.AsyncClient, into: str, source: str, action: str = "merge") -> httpx.Response:
    return await submit(client, "merge", id=into, source=source, action=action, remove_source="true")


async def undo_page(client: httpx.AsyncClient, merge: str) -> httpx.Response:
    return await client.get("/console/undo", params={"merge": merge})


def test_a_merge_and_its_undo_are_previewed_and_leave_what_was_there(site: Site) -> None:
    async def converse(client: httpx.AsyncClient) -> dict[str, Any]:
        ann, ben = await people(client, site)
        await sign_in(client)
        seen: dict[str, Any] = {"form": (await client.get("/console/merge", params={"id": ann.id})).text}
        seen["found"] = (await submit(client, "merge", id=ann.id, q=f" {BEN.upper()}", action="find")).text
        seen["preview"] = (await merge(client, ann.id, ben.id, "preview")).text
        assert [await stored(site, ANN), await stored(site, BEN)] == [ann, ben]
        done = await merge(client, ann.id, ben.id)
        seen["done"] = (done.status_code, done.headers["location"] == f"person?id={ann.id}")
        assert (await stored(site, BEN)).id == ann.id
        seen["person"] = (await client.get("/console/person", params={"id": ben.id})).text
        merge_id = f"{ann.id}-{ann.version + 1}"
        seen["undo"] = (await undo_page(client, merge_id)).text
        assert (await stored(site, BEN)).id == ann.id
        undone = await submit(client, "undo", merge=merge_id)
        seen["undone"] = (undone.status_code, undone.headers["location"] == f"person?id={ann.id}")
        assert [each.document for each in (await stored(site, ANN), await stored(site, BEN))] == [
            *(ann.document, ben.document)
        ]
        seen["again"] = await undo_page(client, merge_id)
        seen["link"] = f'href="undo?merge={merge_id}"'
        seen["after"] = (await client.get("/console/person", params={"id": ann.id})).text
        return seen | {"ids": (ann.id, ben.id)}

    seen = site.run(converse)
    ann, ben = seen["ids"]
    assert f'value="{ben}" checked' in seen["found"]
    assert "Merge now" not in seen["form"] + seen["found"]
    assert all(text in seen["preview"] for text in ("Merge now", f">{ben}</a> is removed", f">{ann}</a> changes"))
    assert BEN in seen["preview"]
    assert (seen["done"], seen["undone"]) == ((303, True), (303, True))
    assert seen["link"] in seen["person"]
    assert all(text in seen["undo"] for text in ("Undo now", f">{ben}</a> returns", f">{ann}</a> changes"))
    assert (seen["again"].status_code, "merge_undone" in seen["again"].text) == (409, True)
    assert "Undo now" not in seen["again"].text
    assert seen["link"] not in seen["after"]
    for page in (seen["preview"], seen["person"], seen["undo"]):
        assert "<script>" not in page.replace('<script src="static/console.js" defer></script>', "")
    assert SCRIPT in unescape(seen["undo"])


def test_a_refusal_of_an_undo_names_what_prevents_it(site: Site) -> None:
    async def converse(client: httpx.AsyncClient) -> list[httpx.Response]:
        ann, ben = await people(client, site)
        await sign_in(client)
        await merge(client, ann.id, ben.id)
        merge_id = f"{ann.id}-{ann.version + 1}"
        await client.post(IMPORT, json=profile("cat@example.com", "Cat"))
        cat = await stored(site, "cat@example.com")
        await merge(client, cat.id, ann.id)
        conflict = [await undo_page(client, merge_id), await submit(client, "undo", merge=merge_id)]
        await submit(client, "undo", merge=f"{cat.id}-{cat.version + 1}")
        await site.store.prune(site.now + 1, 1_000)
        return [*conflict, await undo_page(client, merge_id), await undo_page(client, "nothing")]

    pages = site.run(converse)
    assert [each.status_code for each in pages] == [409, 409, 410, 404]
    assert all("Undo now" not in each.text for each in pages)
    assert "undo the later merge" in pages[0].text


@pytest.mark.parametrize(
    ("form", "status"),
    [({"action": "erase"}, 400), ({"action": "preview"}, 400), ({"action": "merge", "source": SCRIPT}, 400)],
)
def test_a_merge_needs_another_profile(site: Site, form: dict[str, str], status: int) -> None:
    async def converse(client: httpx.AsyncClient) -> int:
        ann, _ = await people(client, site)
        await sign_in(client)
        return (await submit(client, "merge", id=ann.id, **form)).status_code

    assert site.run(converse) == status


@pytest.mark.parametrize(("secret", "statuses"), [(BLIND, [403] * 4), (OTHER, [404] * 4)])
def test_merges_need_the_rights_and_the_database(site: Site, secret: str, statuses: list[int]) -> None:
    async def converse(client: httpx.AsyncClient) -> list[int]:
        ann, ben = await people(client, site)
        await sign_in(client)
        await merge(client, ann.id, ben.id)
        merged, merge_id = await stored(site, ANN), f"{ann.id}-{ann.version + 1}"
        await sign_in(client, secret)
        replies = [
            await client.get("/console/merge", params={"id": ann.id}),
            await merge(client, ann.id, ben.id, "preview"),
            await undo_page(client, merge_id),
            await submit(client, "undo", merge=merge_id),
        ]
        assert await stored(site, ANN) == merged
        return [each.status_code for each in replies]

    assert site.run(converse) == statuses


def test_previews_are_masked_without_the_right_to_read(site: Site) -> None:
    async def converse(client: httpx.AsyncClient) -> list[str]:
        ann, ben = await people(client, site)
        new = token(UNREADING, 1, ("console", "write", "delete"), 9)
        await site.store.add_token(replace(new, id="unreading"))
        await sign_in(client, UNREADING)
        pages = [
            await submit(client, "merge", id=ann.id, q=BEN, action="find"),
            await merge(client, ann.id, ben.id, "preview"),
        ]
        assert (await merge(client, ann.id, ben.id)).status_code == 303
        pages.append(await undo_page(client, f"{ann.id}-{ann.version + 1}"))
        return [each.text.replace(f'value="{BEN}"', "") for each in pages]

    pages = site.run(converse)
    assert "Merge now" in pages[1]
    assert "Undo now" in pages[2]
    for page in pages:
        assert all(value not in page for value in ("Zebedee", "Yolanda", "example.com"))
