"""Races over real HTTP: clients of all dialects make one new person at the same moment, at several processes.

Each creation pauses between what it found and what it keeps. Without the stores' locks the same races must be seen.
"""

import asyncio
import itertools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import pytest

from gateway.stores import open_store
from tests.gateways import PROCESSES, TOKEN, gateways, url_of

CLIENTS = 32


pytestmark = pytest.mark.xdist_group("gateways")


@dataclass(frozen=True)
class Person:
    """Somebody nobody has heard of."""

    id: str
    email: str
    phone: str


Call: TypeAlias = dict[str, Any]
"""A request, as httpx takes it."""

Way: TypeAlias = Callable[[Person], Call]
"""How a client makes a person, unless there is one."""


# --- Altcraft ---


def email(person: Person) -> Any:
    return {"matching": "email", "email": person.email, "data": {"phones": [person.phone]}}


def phone(person: Person) -> Any:
    return {"matching": "phone", "phone": person.phone, "data": {"email": person.email}}


def email_and_phone(person: Person) -> Any:
    return {"matching": "email_phone", "email": person.email, "phone": person.phone, "data": {}}


def phone_and_email(person: Person) -> Any:
    return {"matching": "email_phone", "phone": person.phone, "email": person.email, "data": {"phones": [person.phone]}}


def own_field(person: Person) -> Any:
    return {"matching": "custom", "field_name": "customer_id", "field_value": person.id, "data": {}}


def in_json(members: Callable[[Person], Any]) -> Way:
    def way(person: Person) -> Call:
        return altcraft(json={"token": TOKEN, "db_id": 1, **members(person)})

    return way


def in_xml(members: Callable[[Person], Any]) -> Way:
    def way(person: Person) -> Call:
        text = f"<xml><token>{TOKEN}</token><db_id>1</db_id>{elements(members(person))}</xml>"
        return altcraft(content=text, headers={"content-type": "application/xml"})

    return way


def in_a_batch(matching: str) -> Way:
    def way(person: Person) -> Call:
        element = {"email": person.email, "phone": person.phone, "phones": [person.phone]}
        members = {"matching": matching, "data": [element, element]}
        return altcraft("_batch", json={"token": TOKEN, "db_id": 1, **members})

    return way


def altcraft(batch: str = "", **sent: Any) -> Call:
    return {"method": "POST", "url": f"/api/v1.1/profiles/import{batch}", **sent}


def elements(members: dict[str, Any]) -> str:
    def text(value: Any) -> str:
        return elements(value) if isinstance(value, dict) else str(*value if isinstance(value, list) else [value])

    return "".join(f"<{name}>{text(value)}</{name}>" for name, value in members.items())


# --- Courier ---


def courier(method: str, path: str = "", **body: Any) -> Way:
    def way(person: Person) -> Call:
        known = body or {"profile": {"email": person.email, "phone_number": person.phone}}
        headers = {"authorization": f"Bearer {TOKEN}"}
        return {"method": method, "url": f"/profiles/{person.id}{path}", "json": known, "headers": headers}

    return way


# --- Klaviyo ---

REVISION = {"revision": "2025-10-15"}
KEY = {"authorization": f"Klaviyo-API-Key {TOKEN}", **REVISION}
PLACES = {"email": "email", "phone_number": "phone", "external_id": "id"}


def klaviyo(path: str, *names: str) -> Way:
    def way(person: Person) -> Call:
        attributes = {name: getattr(person, PLACES[name]) for name in names}
        data = {"type": "profile", "attributes": attributes}
        headers = REVISION if path.startswith("client") else KEY
        return {"method": "POST", "url": f"/{path}", "json": {"data": data}, "headers": headers}

    return way


def as_a_job(*names: str) -> Way:
    def way(person: Person) -> Call:
        one = klaviyo("api/profile-bulk-import-jobs", *names)(person)
        attributes = {"profiles": {"data": [one["json"]["data"]]}}
        return {**one, "json": {"data": {"type": "profile-bulk-import-job", "attributes": attributes}}}

    return way


IMPORT, CLIENT = "api/profile-import", "client/profiles?company_id=demo"
EITHER = ["email", "external_id"], ["phone_number", "external_id"], ["email", "phone_number"], ["phone_number", "email"]

RACES: dict[str, list[Way]] = {
    "altcraft by e-mail": [in_json(email), in_xml(email)],
    "altcraft by phone": [in_json(phone), in_xml(phone)],
    "altcraft by e-mail or phone": [in_json(email), in_xml(phone), in_json(phone), in_xml(email)],
    "altcraft by both in both orders": [in_json(email_and_phone), in_xml(phone_and_email)],
    "altcraft by an own field": [in_json(own_field), in_xml(own_field)],
    "altcraft in batches": [in_a_batch("email"), in_a_batch("phone")],
    "courier by id": [courier("POST"), courier("PUT")],
    "courier by a patch or a list": [courier("PATCH", patch=[]), courier("POST", "/lists", lists=[{"listId": "vip"}])],
    "klaviyo by e-mail": [klaviyo(IMPORT, "email"), klaviyo(CLIENT, "email"), as_a_job("email")],
    "klaviyo by phone": [klaviyo(IMPORT, "phone_number"), klaviyo(CLIENT, "phone_number")],
    "klaviyo by either": [klaviyo(IMPORT, *names) for names in EITHER],
    "klaviyo from browsers by either": [klaviyo(CLIENT, *names) for names in EITHER],
    "altcraft and klaviyo by either": [in_json(email), klaviyo(IMPORT, "phone_number", "email"), in_xml(phone)],
    "courier and klaviyo by id": [courier("POST"), klaviyo(IMPORT, "external_id", "email"), courier("PUT")],
}


# --- the races ---

_numbers = itertools.count()


def somebody() -> Person:
    number = next(_numbers)
    return Person(f"person-{number}", f"person-{number}@example.com", f"+7951{number:07}")


async def race(addresses: list[str], ways: list[Way], person: Person) -> list[httpx.Response]:
    """The answers to many clients that all ask at the same moment, each way at each process."""
    async with httpx.AsyncClient(timeout=60, verify=False) as client:
        await asyncio.gather(*(client.get(f"{addresses[n % len(addresses)]}/healthz") for n in range(CLIENTS)))
        calls = [ways[n // len(addresses) % len(ways)](person) for n in range(CLIENTS)]
        urls = [addresses[n % len(addresses)] + call.pop("url") for n, call in enumerate(calls)]
        return await asyncio.gather(*(client.request(url=url, **call) for url, call in zip(urls, calls, strict=True)))


async def people(url: str, person: Person) -> list[str]:
    """The ids of all that any of a person's identities names."""
    store = await open_store(url)
    named = (
        ("email", person.email),
        ("phone", person.phone),
        ("external_id", person.id),
        ("custom/customer_id", person.id),
    )
    found = await store.find(1, named)
    await store.close()
    return [profile.id for profile in found]


def outcome(url: str, addresses: list[str], ways: list[Way]) -> tuple[set[int], int]:
    """Of one race: the statuses of those who were refused, and how many people it made."""
    person = somebody()
    answers = asyncio.run(race(addresses, ways, person))
    return {each.status_code for each in answers if is_refused(each)}, len(asyncio.run(people(url, person)))


def is_refused(answer: httpx.Response) -> bool:
    """Also where one element of a batch or a job is, which as a whole is not."""
    return not answer.is_success or bool(re.search(r'"(error|failed_count)":[^0]', answer.text))


SEEN = "altcraft by e-mail or phone", "courier by id", "klaviyo by either"
"""Those that are also run without a lock."""

At: TypeAlias = tuple[str, list[str]]
"""A store's URL, and the addresses of the gateways on it."""


@contextmanager
def raced(engine: str, folder: Path, *faults: str) -> Iterator[At]:
    url = url_of(engine, folder)
    with gateways(url, PROCESSES[engine], "slow-creations", *faults) as addresses:
        yield url, addresses


@pytest.fixture(scope="module", params=PROCESSES)
def at(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[At]:
    with raced(request.param, tmp_path_factory.mktemp("locked")) as at:
        yield at


@pytest.fixture(scope="module", params=PROCESSES)
def unlocked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[At]:
    with raced(request.param, tmp_path_factory.mktemp("unlocked"), "no-lock") as at:
        yield at


@pytest.mark.parametrize("name", RACES)
def test_one_person_is_made_once(at: At, name: str) -> None:
    assert outcome(*at, RACES[name]) == (set(), 1)


def test_whoever_must_make_a_new_person_is_refused_but_one(at: At) -> None:
    ways = [klaviyo("api/profiles", "email", "phone_number"), klaviyo("api/profiles", "phone_number", "email")]
    assert outcome(*at, ways) == ({409}, 1)


@pytest.mark.parametrize("name", SEEN)
def test_without_a_lock_the_race_is_seen(unlocked: At, name: str) -> None:
    assert any(outcome(*unlocked, RACES[name]) != (set(), 1) for _ in range(10))
