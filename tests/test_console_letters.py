"""The page of a dead letter: it is seen, mended, replayed and dropped, by those who may."""

import json
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.core.cursor import format_cursor
from gateway.feed.relay.relays import RELAY
from gateway.feed.webhooks.endpoints import WEBHOOK
from tests.console.sites import BLIND, OTHER, REFUSED, SCRIPT, add_relay, add_subscriber, profile
from tests.test_console import IMPORT, Site, is_escaped, sign_in, submit
from tests.webhook_receiver import Receiver, receiving

HEADERS = {"content-type": "application/json"}
PAGES = ("letter", "letter-removal", "subscriber")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def account() -> Iterator[Receiver]:
    """An account of Altcraft, which accepts everything."""
    with receiving(lambda _message: (200, HEADERS, b'{"error": 0, "profile_id": "6925d6f2a1b0c3d4e5f60718"}')) as found:
        yield found


async def give_up(client: httpx.AsyncClient, site: Site, url: str, key: Path) -> dict[str, str]:
    """Store a relay to an account, with a dead letter. Return the parameters of its page."""
    await client.post(IMPORT, json=profile("ann@example.com", "Ann"))
    id, [event] = await add_relay(site.store, url, key, 1)
    return {"id": id, "event": event}


async def dead(site: Site, id: str) -> int:
    return len(await site.store.deliveries(1, id, True, 0, 9))


def requests_of(page: str) -> list[dict[str, Any]]:
    """Return the requests of the form."""
    text = unescape(page.partition('<textarea id="requests"')[2].partition("\n")[2].partition("</textarea>")[0])
    found: list[dict[str, Any]] = json.loads(text)
    return found


def test_a_letter_of_a_relay_is_seen_mended_and_sent(site: Site, account: Receiver, tmp_path: Path) -> None:
    async def converse(client: httpx.AsyncClient) -> dict[str, Any]:
        await sign_in(client)
        letter = await give_up(client, site, account.url, tmp_path / "key")
        listed = (await client.get("/console/subscriber", params={"id": letter["id"]})).text
        page = (await client.get("/console/letter", params=letter)).text
        [request] = requests_of(page)
        request["body"]["data"]["_fname"] = f"Anna {SCRIPT}"
        text = json.dumps([request], indent=2).replace("\n", "\r\n")
        account.answers = lambda _message: (400, HEADERS, b'{"error": 400, "error_text": "no Anna"}')
        refused = await submit(client, "letter", **letter, requests=text)
        left = await dead(site, letter["id"])
        account.answers = lambda _message: (200, HEADERS, b'{"error": 0}')
        sent = await submit(client, "letter", **letter, requests=text)
        return {
            "pages": [listed, page, refused.text],
            "refused": (refused.status_code, requests_of(refused.text) == [request], left),
            "sent": (sent.status_code, sent.headers["location"] == f"subscriber?id={letter['id']}"),
            "end": (await dead(site, letter["id"]), json.loads(account.messages[-1].body) == request["body"]),
            "again": (await client.get("/console/letter", params=letter)).status_code,
        }

    seen = site.run(converse)
    listed, page, refused = seen["pages"]
    assert 'href="letter?id=rl_' in listed
    assert all(REFUSED in unescape(each) for each in (listed, page))
    assert all(map(is_escaped, seen["pages"]))
    assert "Not sent: POST /api/v1.1/profiles/import: HTTP 400" in unescape(refused)
    assert (seen["refused"], seen["sent"], seen["end"], seen["again"]) == ((400, True, 1), (303, True), (0, True), 400)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[", "The requests are not JSON"),
        ("[" * 9_000, "The requests are not JSON"),
        ("[]", "Requests: it must be a list of requests"),
        (f'[{{"method": "GET", "path": "/a", "body": {json.dumps(SCRIPT)}}}]', "Requests/0/method: it must be POST"),
        ('[{"method": "POST", "path": "//evil.example"}]', "Requests/0/path: it must begin with one /"),
    ],
)
def test_requests_that_are_wrong_are_not_sent(
    site: Site, account: Receiver, tmp_path: Path, text: str, reason: str
) -> None:
    async def converse(client: httpx.AsyncClient) -> tuple[int, str, int]:
        await sign_in(client)
        letter = await give_up(client, site, account.url, tmp_path / "key")
        reply = await submit(client, "letter", **letter, requests=text)
        return reply.status_code, reply.text, await dead(site, letter["id"])

    status, page, left = site.run(converse)
    assert (status, left, account.messages) == (400, 1, [])
    assert f"Not sent: {reason}" in unescape(page)
    assert text in unescape(page)
    assert is_escaped(page)


def test_a_letter_of_a_webhook_is_seen_and_not_edited(site: Site) -> None:
    async def converse(client: httpx.AsyncClient) -> list[Any]:
        await client.post(IMPORT, json=profile("ann@example.com", SCRIPT))
        positions = [each.position for each in await site.store.journal(1, 0, 3)]
        await add_subscriber(site.store, WEBHOOK, [0, *positions])
        await sign_in(client)
        letter = {"id": "s1", "event": format_cursor(site.store.id, positions[0])}
        page = await client.get("/console/letter", params=letter)
        edited = await submit(client, "letter", **letter, requests="[]")
        return [page.text, edited.status_code, await dead(site, "s1")]

    page, status, left = site.run(converse)
    assert '"specversion": "1.0"' in unescape(page)
    assert "<textarea" not in page
    assert is_escaped(page)
    assert (status, left) == (400, 1)


def test_the_secret_of_another_key_is_explained(site: Site, account: Receiver, tmp_path: Path) -> None:
    (other := tmp_path / "other").write_text("01" * 32)

    async def converse(client: httpx.AsyncClient) -> list[httpx.Response]:
        await sign_in(client)
        letter = await give_up(client, site, account.url, other)
        request = '[{"method": "POST", "path": "/a"}]'
        return [
            await client.get("/console/letter", params=letter),
            await submit(client, "letter", **letter, requests=request),
        ]

    seen, sent = site.run(converse)
    assert (seen.status_code, sent.status_code) == (200, 400)
    assert all("encrypted with another key" in each.text for each in (seen, sent))


def test_letters_are_dropped(site: Site) -> None:
    async def converse(client: httpx.AsyncClient) -> list[Any]:
        for number in range(3):
            await client.post(IMPORT, json=profile(f"p{number}@example.com", "Ann"))
        positions = [each.position for each in await site.store.journal(1, 0, 3)]
        await add_subscriber(site.store, WEBHOOK, positions)
        retried, *given_up = (format_cursor(site.store.id, each) for each in positions)
        await sign_in(client)
        statuses = [
            (await submit(client, "letter-removal", id="s1", **form)).status_code
            for form in ({}, {"event": "nothing"}, {"event": retried}, {"event": given_up[0]})
        ]
        [state] = [each.state for each in await site.store.subscribers()]
        left = [len(await site.store.deliveries(1, "s1", is_dead, 0, 9)) for is_dead in (False, True)]
        return [statuses, left, state]

    assert site.run(converse) == [[400, 400, 303, 303], [1, 1], "disabled"]


@pytest.mark.parametrize(("secret", "status"), [(BLIND, 403), (OTHER, 404)])
def test_letters_need_the_rights_and_the_database(
    site: Site, account: Receiver, tmp_path: Path, secret: str, status: int
) -> None:
    async def converse(client: httpx.AsyncClient) -> list[int]:
        await sign_in(client)
        letter = await give_up(client, site, account.url, tmp_path / "key")
        await sign_in(client, secret)
        request = '[{"method": "POST", "path": "/a"}]'
        found = [await client.get("/console/letter", params=letter)]
        found += [await submit(client, page, **letter, requests=request) for page in PAGES]
        return [*(each.status_code for each in found), await dead(site, letter["id"])]

    assert site.run(converse) == [status] * 4 + [1]
    assert account.messages == []


@pytest.mark.parametrize("kind", [WEBHOOK, RELAY])
@pytest.mark.parametrize("event", ["", "x", "{store}-0", "{store}-999", f"{{store}}-1{SCRIPT}"])
def test_a_letter_that_is_none_is_refused(site: Site, kind: str, event: str) -> None:
    async def converse(client: httpx.AsyncClient) -> list[httpx.Response]:
        await add_subscriber(site.store, kind, [1, 2])
        await sign_in(client)
        letter = {"id": "s1", "event": event.format(store=site.store.id)}
        return [await client.get("/console/letter", params=letter), await submit(client, "letter", **letter)]

    for reply in site.run(converse):
        assert reply.status_code == 400
        assert is_escaped(reply.text)
