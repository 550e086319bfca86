"""Races over real HTTP: clients of all dialects create one person at the same moment, at several processes.

Each creation pauses between its look-up and its writes. Without the stores' locks, the same races must create several.
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
    """The identities of a person without a profile."""

    id: str
    email: str
    phone: str


Call: TypeAlias = dict[str, Any]
"""The arguments of a request for httpx."""

Creation: TypeAlias = Callable[[Person], Call]
"""A request that creates a person, unless the person exists."""


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


def in_json(members: Callable[[Person], Any]) -> Creation:
    def creation(person: Person) -> Call:
        return altcraft(json={"token": TOKEN, "db_id": 1, **members(person)})

    return creation


def in_xml(members: Callable[[Person], Any]) -> Creation:
    def creation(person: Person) -> Call:
        text = f"<xml><token>{TOKEN}</token><db_id>1</db_id>{elements(members(person))}</xml>"
        return altcraft(content=text, headers={"content-type": "application/xml"})

    return creation


def in_a_batch(matching: str) -> Creation:
    def creation(person: Person) -> Call:
        element = {"email": person.email, "phone": person.phone, "phones": [person.phone]}
        members = {"matching": matching, "data": [element, element]}
        return altcraft("_batch", json={"token": TOKEN, "db_id": 1, **members})

    return creation


def altcraft(batch: str = "", **sent: Any) -> Call:
    return {"method": "POST", "url": f"/api/v1.1/profiles/import{batch}", **sent}


def elements(members: dict[str, Any]) -> str:
    def text(value: Any) -> str:
        return elements(value) if isinstance(value, dict) else str(*value if isinstance(value, list) else [value])

    return "".join(f"<{name}>{text(value)}</{name}>" for name, value in members.items())


# --- Courier ---


def courier(method: str, path: str = "", **body: Any) -> Creation:
    def creation(person: Person) -> Call:
        known = body or {"profile": {"email": person.email, "phone_number": person.phone}}
        headers = {"authorization": f"Bearer {TOKEN}"}
        return {"method": method, "url": f"/profiles/{person.id}{path}", "json": known, "headers": headers}

    return creation


# --- Klaviyo ---

REVISION = {"revision": "2025-10-15"}
KEY = {"authorization": f"Klaviyo-API-Key {TOKEN}", **REVISION}
PLACES = {"email": "email", "phone_number": "phone", "external_id": "id"}


def klaviyo(path: str, *names: str) -> Creation:
    def creation(person: Person) -> Call:
        attributes = {name: getattr(person, PLACES[name]) for name in names}
        data = {"type": "profile", "attributes": attributes}
        headers = REVISION if path.startswith("client") else KEY
        return {"method": "POST", "url": f"/{path}", "json": {"data": data}, "headers": headers}

    return creation


def as_a_job(*names: str) -> Creation:
    def creation(person: Person) -> Call:
        one = klaviyo("api/profile-bulk-import-jobs", *names)(person)
        attributes = {"profiles": {"data": [one["json"]["data"]]}}
        return {**one, "json": {"data": {"type": "profile-bulk-import-job", "attributes": attributes}}}

    return creation


IMPORT, CLIENT = "api/profile-import", "client/profiles?company_id=demo"
EITHER = ["email", "external_id"], ["phone_number", "external_id"], ["email", "phone_number"], ["phone_number", "email"]

RACES: dict[str, list[Creation]] = {
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


def new_person() -> Person:
    number = next(_numbers)
    return Person(f"person-{number}", f"person-{number}@example.com", f"+7951{number:07}")


async def race(addresses: list[str], creations: list[Creation], person: Person) -> list[httpx.Response]:
    """Return the responses to many clients that send at the same moment, each request at each process."""
    async with httpx.AsyncClient(timeout=60, verify=False) as client:
        await asyncio.gather(*(client.get(f"{addresses[n % len(addresses)]}/healthz") for n in range(CLIENTS)))
        calls = [creations[n // len(addresses) % len(creations)](person) for n in range(CLIENTS)]
        urls = [addresses[n % len(addresses)] + call.pop("url") for n, call in enumerate(calls)]
        return await asyncio.gather(*(client.request(url=url, **call) for url, call in zip(urls, calls, strict=True)))


async def people(url: str, person: Person) -> list[str]:
    """Return the ids of the profiles that any of a person's identities names."""
    store = await open_store(url, create=True)
    named = (
        ("email", person.email),
        ("phone", person.phone),
        ("external_id", person.id),
        ("custom/customer_id", person.id),
    )
    found = await store.find(1, named)
    await store.close()
    return [profile.id for profile in found]


def run_race(url: str, addresses: list[str], creations: list[Creation]) -> tuple[set[int], int]:
    """Run one race. Return the statuses of refusals, and the number of profiles."""
    person = new_person()
    answers = asyncio.run(race(addresses, creations, person))
    return {each.status_code for each in answers if is_refused(each)}, len(asyncio.run(people(url, person)))


def is_refused(answer: httpx.Response) -> bool:
    """Return whether a response, or one element of a batch or a job, is a refusal."""
    return not answer.is_success or bool(re.search(r'"(error|failed_count)":[^0]', answer.text))


UNLOCKED_RACES = "altcraft by e-mail or phone", "courier by id", "klaviyo by either"
"""The races that also run without locks."""

At: TypeAlias = tuple[str, list[str]]
"""A store's URL, and the addresses of the gateways on it."""


@contextmanager
def racing_gateways(engine: str, folder: Path, *faults: str) -> Iterator[At]:
    url = url_of(engine, folder)
    with gateways(url, PROCESSES[engine], "slow-creations", *faults) as addresses:
        yield url, addresses


@pytest.fixture(scope="module", params=PROCESSES)
def at(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[At]:
    with racing_gateways(request.param, tmp_path_factory.mktemp("locked")) as at:
        yield at


@pytest.fixture(scope="module", params=PROCESSES)
def unlocked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[At]:
    with racing_gateways(request.param, tmp_path_factory.mktemp("unlocked"), "no-lock") as at:
        yield at


@pytest.mark.parametrize("name", RACES)
def test_one_person_is_created_once(at: At, name: str) -> None:
    assert run_race(*at, RACES[name]) == (set(), 1)


def test_all_strict_creations_but_one_are_refused(at: At) -> None:
    creations = [klaviyo("api/profiles", "email", "phone_number"), klaviyo("api/profiles", "phone_number", "email")]
    assert run_race(*at, creations) == ({409}, 1)


@pytest.mark.parametrize("name", UNLOCKED_RACES)
def test_without_locks_the_race_creates_several(unlocked: At, name: str) -> None:
    assert any(run_race(*unlocked, RACES[name]) != (set(), 1) for _ in range(10))
