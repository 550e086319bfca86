"""The pages of refused requests, without a browser: who may see and replay what."""

import asyncio
import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from tests.console.sites import BLIND, OTHER, SCRIPT, profile, settings
from tests.test_console import IMPORT, Site, form_token, sign_in, submit
from tests.test_refused import ALL

WRONG = {"_bdate": f"never {SCRIPT}"}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, replace(settings(tmp_path), keep_refused_days=3))


async def refuse(client: httpx.AsyncClient, site: Site, mail: str = "ann@example.com") -> str:
    """Send a request that is refused, and return its id once it is kept."""
    before = len(await site.store.refused(1, ALL, None, 99))
    body = profile(mail, "Ann")
    await client.post(IMPORT, json={**body, "data": {"email": mail, **WRONG}})
    for _ in range(100):
        found = await site.store.refused(1, ALL, None, 99)
        if len(found) > before:
            return found[0].id
        await asyncio.sleep(0.02)
    raise AssertionError("it is not kept")


async def page(client: httpx.AsyncClient, name: str, **query: str) -> str:
    return unescape((await client.get(f"/console/{name}", params=query)).text)


async def body_of(client: httpx.AsyncClient, id: str) -> str:
    """Return the body as the form has it."""
    html = (await client.get(f"/console/refused-request?id={id}")).text
    found = re.search(r"<textarea[^>]*>\n(.*?)</textarea>", html, re.DOTALL)
    assert found
    return unescape(found[1])


def test_a_refusal_is_listed_opened_mended_and_replayed(site: Site) -> None:
    async def converse(client: httpx.AsyncClient) -> Any:
        id = await refuse(client, site)
        await sign_in(client)
        listed = await page(client, "refused")
        opened = await page(client, "refused-request", id=id)
        mended = json.loads(await body_of(client, id)) | {"data": {"email": "ann@example.com", "_bdate": "2000-01-31"}}
        done = await submit(client, "refused-request", id=id, body=json.dumps(mended).replace(",", ",\r\n"))
        again = await submit(client, "refused-request", id=id, body="{}")
        return id, listed, opened, done.text, again.text, await site.store.find(1, [("email", "ann@example.com")])

    id, listed, opened, done, again, found = site.run(converse)
    assert f"refused-request?id={id}" in listed
    assert "/data/_bdate" in listed
    assert "There is:" in opened
    assert "Accepted" in done
    assert "was replayed at" in unescape(again)
    assert [each.document["birthdate"] for each in found] == ["2000-01-31"]
    assert all(SCRIPT not in html for html in (done, again))


def test_an_unchanged_body_is_sent_as_it_was(site: Site) -> None:
    async def converse(client: httpx.AsyncClient) -> Any:
        id = await refuse(client, site)
        await sign_in(client)
        done = await submit(client, "refused-request", id=id, body=await body_of(client, id))
        return done.text, await site.store.refused(1, ALL, None, 99)

    done, kept = site.run(converse)
    assert "Refused again" in done
    assert [each.replayed for each in kept] == [0]


def test_many_are_replayed_at_once(site: Site) -> None:
    async def converse(client: httpx.AsyncClient) -> Any:
        ids = [await refuse(client, site, f"p{number}@example.com") for number in range(3)]
        await sign_in(client)
        return ids, (await submit(client, "refused", id=ids[:2], state="waiting")).text

    ids, text = site.run(converse)
    assert text.count("refused again") == 2
    assert [f"Replay {id}" in text for id in ids] == [True] * 3  # all are still in the list


def test_the_list_is_filtered_and_divided(site: Site) -> None:
    async def converse(client: httpx.AsyncClient) -> Any:
        id = await refuse(client, site)
        await sign_in(client)
        queries: list[dict[str, str]] = [{"dialect": "courier"}, {"fault": "invalid_field"}, {"state": "replayed"}]
        found = [id in await page(client, "refused", **each) for each in queries]
        wrong = await client.get("/console/refused?before=x"), await client.get("/console/refused?state=x")
        return found, [each.status_code for each in wrong]

    assert site.run(converse) == ([False, True, False], [400, 400])


def test_values_are_masked_and_nothing_is_replayed_without_the_rights(site: Site) -> None:
    async def converse(client: httpx.AsyncClient) -> Any:
        id = await refuse(client, site)
        await sign_in(client, BLIND)
        pages = [await page(client, "refused"), await page(client, "refused-request", id=id)]
        replies = [
            await submit(client, "refused-request", id=id, body=json.dumps(profile("e@x.de", "Eve"))),
            await submit(client, "refused", id=[id]),
        ]
        return pages, [each.status_code for each in replies], await site.store.refused(1, ALL, None, 9)

    pages, statuses, [kept] = site.run(converse)
    assert not any("ann@example.com" in text or "never" in text for text in pages)
    assert "•••" in pages[1]
    assert statuses == [403, 403]
    assert kept.replayed == 0


def test_another_database_has_no_such_request(site: Site) -> None:
    async def converse(client: httpx.AsyncClient) -> Any:
        id = await refuse(client, site)
        await sign_in(client, OTHER)
        replies = [
            await client.get(f"/console/refused-request?id={id}"),
            await submit(client, "refused-request", id=id),
            await submit(client, "refused", id=[id]),
        ]
        return [each.status_code for each in replies], id in await page(client, "refused")

    assert site.run(converse) == ([404, 404, 404], False)


def test_no_form_of_another_site_replays(site: Site) -> None:
    async def converse(client: httpx.AsyncClient) -> Any:
        id = await refuse(client, site)
        await sign_in(client)
        form = {"form_token": await form_token(client), "id": id}
        headers = {"sec-fetch-site": "cross-site"}
        return (await client.post("/console/refused", data=form, headers=headers)).status_code

    assert site.run(converse) == 403


def test_the_traffic_leads_to_the_request(site: Site) -> None:
    async def converse(client: httpx.AsyncClient) -> Any:
        await refuse(client, site)
        await sign_in(client)
        [link] = re.findall(r'href="(refused\?request=[^"]+)"', (await client.get("/console/traffic")).text)
        return (await client.get(f"/console/{unescape(link)}")).text

    assert "invalid_field" in site.run(converse)


def test_the_page_names_the_setting_where_nothing_is_kept(tmp_path: Path) -> None:
    async def converse(client: httpx.AsyncClient) -> Any:
        await client.post(IMPORT, json={**profile("a@x.de", "A"), "db_id": "x"})
        await sign_in(client)
        return await page(client, "refused"), await page(client, "traffic")

    listed, traffic = Site(tmp_path).run(converse)
    assert "GATEWAY_KEEP_REFUSED_DAYS is 0" in listed
    assert "refused?request=" not in traffic
