"""The page of the set-up, and those of webhooks and relays, without a browser."""

from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.core.cursor import format_cursor
from gateway.feed.relay.relays import RELAY
from gateway.feed.webhooks.endpoints import WEBHOOK
from tests.console.sites import BLIND, CLIENT, OTHER, SCRIPT, add_subscriber, profile
from tests.test_console import IMPORT, Site, sign_in, submit


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


async def subscribe(client: httpx.AsyncClient, site: Site, kind: str) -> list[str]:
    """Store a disabled subscriber with two dead letters and one that is retried. Return their events."""
    for number in range(3):
        await client.post(IMPORT, json=profile(f"p{number}@example.com", "Ann"))
    positions = [each.position for each in await site.store.journal(1, 0, 3)]
    await add_subscriber(site.store, kind, positions)
    return [format_cursor(site.store.id, each) for each in positions]


async def dead(site: Site) -> list[int]:
    return [each.position for each in await site.store.deliveries(1, "s1", True, 0, 9)]


@pytest.mark.parametrize("kind", [WEBHOOK, RELAY])
def test_dead_letters_are_seen_and_replayed(site: Site, kind: str) -> None:
    async def converse(client: httpx.AsyncClient) -> dict[str, Any]:
        _, second, third = await subscribe(client, site, kind)
        site.now += 60_000
        await sign_in(client)
        seen: dict[str, Any] = {"set-up": (await client.get("/console/set-up")).text}
        seen["page"] = (await client.get("/console/subscriber", params={"id": "s1"})).text
        seen["none"] = (await submit(client, "subscriber", id="s1")).status_code
        seen["foreign"] = (await submit(client, "subscriber", id="s1", event="nothing")).status_code
        before = await dead(site)
        seen["one"] = await submit(client, "subscriber", id="s1", event=third)
        seen["left"] = (before, await dead(site))
        seen["state"] = [each.state for each in await site.store.subscribers()]
        await submit(client, "subscriber", id="s1", all="true")
        return seen | {"end": await dead(site), "events": (second, third)}

    seen = site.run(converse)
    assert 'href="subscriber?id=s1"' in seen["set-up"]
    assert all(f'value="{event}"' in seen["page"] for event in seen["events"])
    assert all(text in unescape(seen["page"]) for text in (f"gave up {SCRIPT}", f"answered 500 {SCRIPT}", "60.0 s"))
    assert "<script>" not in seen["page"].replace('<script src="static/console.js" defer></script>', "")
    assert (seen["none"], seen["foreign"]) == (400, 400)
    assert (seen["one"].status_code, seen["one"].headers["location"]) == (303, "subscriber?id=s1")
    before, after = seen["left"]
    assert (len(before), after, seen["end"], seen["state"]) == (2, before[:1], [], ["active"])


@pytest.mark.parametrize(("secret", "status"), [(BLIND, 403), (OTHER, 404)])
def test_webhooks_and_relays_need_the_rights_and_the_database(site: Site, secret: str, status: int) -> None:
    async def converse(client: httpx.AsyncClient) -> list[Any]:
        await subscribe(client, site, RELAY)
        await sign_in(client, secret)
        pages = [
            await client.get("/console/subscriber", params={"id": "s1"}),
            await submit(client, "subscriber", id="s1", all="true"),
        ]
        setup = (await client.get("/console/set-up")).text
        return [*(each.status_code for each in pages), "s1" in setup, len(await dead(site))]

    assert site.run(converse) == [status, status, False, 2]


def test_a_token_is_renamed_and_its_last_use_is_known(site: Site) -> None:
    async def converse(client: httpx.AsyncClient) -> list[Any]:
        await sign_in(client)
        before = (await client.get("/console/set-up")).text.count("not lately")
        await client.post(IMPORT, json=profile("ann@example.com", "Ann"))
        after = (await client.get("/console/set-up")).text.count("not lately")
        named = await submit(client, "token-name", id="token2", name="Web shop")
        refused = [
            await submit(client, "token-name", id="token2", name="x" * 201),
            await submit(client, "token-name", id="token3", name="of database 2"),
        ]
        names = {each.id: each.name for each in await site.store.tokens()}
        return [
            before - after,
            named.status_code,
            [each.status_code for each in refused],
            names["token2"],
            names["token3"],
        ]

    used, status, refused, renamed, foreign = site.run(converse)
    assert (used, status, refused, renamed) == (1, 303, [400, 404], "Web shop")
    assert foreign == f"{OTHER} {SCRIPT}"
    assert CLIENT not in renamed
