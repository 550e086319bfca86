"""The proof of erasure: values of persons, written by every dialect and media type, are found nowhere afterwards.

GATEWAY_TEST_PERSONS sets the number of persons.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from msgspec import Struct

from gateway.cli.main import main
from gateway.core.erasure import normal_forms
from gateway.core.refused_requests import RefusedFilter, RefusedRequest
from gateway.core.subscribers import Delivery, DeliveryResult, Subscriber
from gateway.server.app import create
from gateway.service.bootstrap import bootstrap
from gateway.settings import Settings
from gateway.stores import open_store
from gateway.stores.protocol import Store
from tests.stores import postgresql

pytestmark = pytest.mark.anyio

TOKEN = "token-of-the-proof"
KLAVIYO = {"authorization": f"Klaviyo-API-Key {TOKEN}", "revision": "2026-07-15"}
COURIER = {"authorization": f"Bearer {TOKEN}"}
COUNT = int(os.environ.get("GATEWAY_TEST_PERSONS", "5"))
SYLLABLES = ("ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lo", "mu", "na", "pe", "ri", "so", "tu", "wä", "xé", "yi")


class Person(Struct, frozen=True):
    """Values that nobody else has. `name` is not ASCII, and has characters that JSON escapes."""

    name: str
    mail: str
    phone: str
    key: str

    @property
    def values(self) -> list[str]:
        return [self.name, self.mail, self.phone, self.key, f"wrong {self.mail}"]


def person(random: Random) -> Person:
    word = "".join(random.choices(SYLLABLES, k=7))
    ascii_word = word.replace("ä", "a").replace("é", "e")
    number = f"+7 (9{random.randrange(10):d}1) {random.randrange(10**6, 10**7)}"
    return Person(f'{word.title()} "Q" \\ {word}', f"{ascii_word.title()}@Example.com", number, f"k-{ascii_word}")


class Traffic:
    """Sends what concerns one person, in every way."""

    def __init__(self, client: httpx.AsyncClient, who: Person) -> None:
        self._client, self._who = client, who
        self.replies: list[int] = []

    async def send(self, method: str, path: str, **request: Any) -> None:
        # The key of a job belongs to all of its rows, and stays until it expires.
        key = f"job-{id(self)}" if path.endswith("jobs") else f"{self._who.key}-{path}"
        headers = {"idempotency-key": key, "x-request-id": f"{self._who.key}-{method}"}
        headers |= request.pop("headers", {})
        self.replies.append((await self._client.request(method, path, headers=headers, **request)).status_code)

    async def send_all(self) -> None:
        who = self._who
        match = {"token": TOKEN, "db_id": 1, "matching": "email", "email": who.mail}
        data = {"email": who.mail, "phones": [who.phone], "_fname": who.name, "note": who.name}
        await self.send("POST", "/api/v1.1/profiles/import", json={**match, "data": data})
        xml = f"""<xml><token>{TOKEN}</token><db_id>1</db_id><matching>email</matching><email>{who.mail}</email>
            <data><email>{who.mail}</email><_lname><![CDATA[{who.name}]]></_lname></data></xml>"""
        xml_type = {"content-type": "application/xml"}
        await self.send("POST", "/api/v1.1/profiles/import/", content=xml.encode(), headers=xml_type)
        await self.send("POST", "/api/v1.1/profiles/update", json={**match, "data": {"_bdate": who.name}})
        await self.send("POST", "/api/v1.1/profiles/import", content=xml.encode()[:-9], headers={**xml_type, **COURIER})
        await self.send("POST", f"/profiles/{who.key}", json={"profile": {"birthdate": 5}}, headers=COURIER)
        courier = {"profile": {"email": who.mail, "phone_number": who.phone, "name": who.name}}
        await self.send("POST", f"/profiles/{who.key}", json=courier, headers=COURIER)
        attributes = {"email": who.mail, "external_id": who.key, "first_name": who.name, "properties": {"a": who.name}}
        profile = {"type": "profile", "attributes": attributes}
        await self.send("POST", "/api/profile-import", json={"data": profile}, headers=KLAVIYO)
        wrong = {"type": "profile", "attributes": {**attributes, "phone_number": f"wrong {who.mail}"}}
        job = {"type": "profile-bulk-import-job", "attributes": {"profiles": {"data": [profile, wrong]}}}
        await self.send("POST", "/api/profile-bulk-import-jobs", json={"data": job}, headers=KLAVIYO)
        consent = {"email": {"marketing": {"consent": "SUBSCRIBED"}}}
        row = {"type": "profile", "attributes": {"email": who.mail, "subscriptions": consent}}
        job = {"type": "profile-subscription-bulk-create-job", "attributes": {"profiles": {"data": [row]}}}
        await self.send("POST", "/api/profile-subscription-bulk-create-jobs", json={"data": job}, headers=KLAVIYO)


async def erase_by(client: httpx.AsyncClient, who: Person) -> None:
    """Erase by e-mail what Altcraft and Klaviyo wrote, and by the id what Courier did, if that is another profile."""
    profile = {"type": "profile", "attributes": {"email": who.mail}}
    job = {"data": {"type": "data-privacy-deletion-job", "attributes": {"profile": {"data": profile}}}}
    reply = await client.post("/api/data-privacy-deletion-jobs", json=job, headers=KLAVIYO)
    assert reply.status_code == 202


@asynccontextmanager
async def gateway(url: str, secret: Path) -> AsyncIterator[tuple[httpx.AsyncClient, Store]]:
    store = await open_store(url, create=True)
    if not await store.databases():
        await bootstrap(store, Settings(bootstrap_token=TOKEN), 0)
    await store.close()
    settings = Settings(store=url, access_log=False, rate_limits=0, secret_file=str(secret), keep_refused_days=3)
    app = create(settings)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway.example") as client,
    ):
        yield client, app.state.store


async def add_deliveries(store: Store) -> None:
    """Add a subscriber that has not got any event, as one that is down for long."""
    await store.add_subscriber(Subscriber(1, "s", "test", 5, {}, "secret", 0))
    found = await store.lease_subscriber(1, "s", "me", 0, 10**15)
    assert found
    entries = await store.journal(1, 0, 10_000)
    undelivered = [Delivery(entry.position, entry.profile, is_dead=bool(n % 2)) for n, entry in enumerate(entries)]
    await store.settle(DeliveryResult(found, (), undelivered), "me")


async def refused_requests(store: Store, count: int) -> list[RefusedRequest]:
    """Return the kept requests, after waiting for this number of them."""
    for _ in range(40):
        found = await store.refused(1, RefusedFilter(), None, 10_000)
        if len(found) >= count:
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(f"{len(found)} refused requests, not {count}")


def in_tables(found: dict[str, int]) -> dict[str, int]:
    """Return what is in tables. SQLite leaves copies in the free space of pages that it divided."""
    return {place: count for place, count in found.items() if place.startswith("table")}


URLS: dict[str, Callable[[Path], str]] = {
    "sqlite": lambda folder: f"sqlite:///{folder}/g.db",
    "postgresql": lambda _: postgresql.fresh(),
}


@pytest.mark.parametrize("engine", URLS)
async def test_nothing_of_the_persons_is_found_and_old_traffic_creates_no_profile(engine: str, tmp_path: Path) -> None:
    random = Random(15)
    persons = [person(random) for _ in range(COUNT)]
    others = [person(random) for _ in range(2)]
    url = URLS[engine](tmp_path)
    async with gateway(url, tmp_path / "key") as (client, store):
        before = [Traffic(client, who) for who in [*persons, *others]]
        for traffic in before:
            await traffic.send_all()
        assert {status for traffic in before for status in traffic.replies} <= {200, 201, 202, 400, 409}
        await add_deliveries(store)
        await refused_requests(store, 3 * len(before))
        for who in persons:
            await erase_by(client, who)
        forms = set().union(*(normal_forms(value) for who in persons for value in who.values))
        assert not in_tables(await store.occurrences(forms))
        assert await store.occurrences(others[0].values)
        for who in persons:
            await Traffic(client, who).send_all()
        assert not in_tables(await store.occurrences(forms))
        await store.compact()
        assert await store.occurrences(forms) == {}
        for who in others:
            assert await store.find(1, [("email", who.mail.lower())])


async def test_the_command_finds_a_value_and_prints_none(tmp_path: Path) -> None:
    who, url = person(Random(1)), f"sqlite:///{tmp_path}/g.db"
    async with gateway(url, tmp_path / "g.db.secret") as (client, _):
        await Traffic(client, who).send_all()

        def run(*arguments: str, given: str = "") -> Any:
            return CliRunner().invoke(main, [*arguments, "--store", url], input=given)

        found = await asyncio.to_thread(run, "erasure", "verify", "--value", who.mail)
        assert found.exit_code == 1
        assert not any(value in found.output for value in normal_forms(who.mail))
        erased = await asyncio.to_thread(run, "erase", "--database", "1", "--match", f"email={who.mail}")
        assert (erased.exit_code, erased.output) == (0, "2 profiles erased\n")
        assert (await asyncio.to_thread(run, "erasure", "compact")).exit_code == 0
        clean = await asyncio.to_thread(run, "erasure", "verify", "-", given="\n".join(who.values))
        assert clean.output.endswith("found nowhere\n")
        assert clean.exit_code == 0
        assert (await asyncio.to_thread(run, "erasure", "verify")).exit_code == 2
        for match in ("email", "email=", "shoe=1", "custom/=1", "email=no"):
            assert (await asyncio.to_thread(run, "erase", "--database", "1", "--match", match)).exit_code == 2
