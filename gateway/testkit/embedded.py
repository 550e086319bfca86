"""The embedded gateway: a new one for each case, with the case's profiles, a constant clock and sequential ids."""

import itertools
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
from starlette.applications import Starlette

from gateway.core.fingerprint import fingerprint
from gateway.core.journal import creation
from gateway.core.matching import identity_changes
from gateway.core.model import Change, Database, EditResult, Find, Job, Origin, Profile, Resource, Token, Write
from gateway.core.profile_tables import ProfileTables
from gateway.core.segments import Segment
from gateway.schema.field_declarations import declaration_problems
from gateway.schema.files import load_schema
from gateway.schema.profile_annotations import profile_tables
from gateway.server.app import create
from gateway.settings import Settings
from gateway.stores import open_store
from gateway.stores.consent_migration import ledgers_of_profiles
from gateway.stores.protocol import Store
from gateway.testkit.case import HOST, Case, InvalidCase
from gateway.testkit.expectations import CaseResponse
from gateway.testkit.server_thread import ServerThread

NOW = 1_767_225_600_000
YESTERDAY = NOW - 24 * 60 * 60 * 1000
IDENTIFIERS = {"type": "object", "properties": {"customer_id": {"type": "string", "x-identifier": True}}}
TOKENS = {
    "abcdefghijklmnqrstuvwxyz": (1, ("read", "write", "delete", "deliver")),
    "only-reads": (1, ("read",)),
    "only-writes": (1, ("write",)),
    "only-deletes": (1, ("delete",)),
    "was-revoked": (1, ("read", "write", "delete", "deliver")),
    "of-database-2": (2, ("read", "write", "delete", "deliver")),
    "only-delivers": (1, ("deliver",)),
    "of-user-p": (1, ("own_read", "own_write")),
}
USERS = {"of-user-p": "p"}
"""By the secret of a token that is bound to a user, the external id."""
TOKEN_IDS = {secret: f"t{number}" for number, secret in enumerate(TOKENS, 1)}


async def run_in_process(case: Case) -> tuple[CaseResponse, list[dict[str, Any]]]:
    """Return the response to a case and the profiles in the store afterwards. Raises `InvalidCase`."""
    store = await open_store("memory:", create=True)
    await seed_store(store, case)
    app = create_application(case, store)
    async with app.router.lifespan_context(app):
        reply = await _send(case, httpx.ASGITransport(app))
        return response_from_httpx(reply), await stored_profiles(store)


async def _send(case: Case, transport: httpx.AsyncBaseTransport) -> httpx.Response:
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}") as client:
        method, path = case.about["method"], case.about["path"]
        return await client.request(method, path, content=case.request, headers=case.headers)


def response_from_httpx(reply: httpx.Response) -> CaseResponse:
    """Return the response as the checks expect it."""
    return CaseResponse(reply.status_code, reply.headers, reply.content)


def create_application(case: Case, store: Store) -> Starlette:
    """Return the gateway over a store, with the settings of a case. Raises `InvalidCase`."""
    ids = sequential_ids()
    return create(_settings(case), now=lambda: NOW, new_id=lambda: next(ids), open_store=_opener(store))


def _settings(case: Case) -> Settings:
    try:
        given = Settings(**{"access_log": False, **case.about.get("settings", {})})
        return msgspec.convert(msgspec.to_builtins(given), Settings)
    except (TypeError, msgspec.ValidationError) as reason:
        raise InvalidCase(case.folder / "case.json", f"/settings: {reason}") from None


def sequential_ids() -> Iterator[str]:
    """Return endless ids in ascending order."""
    return (f"{0xA1 + number:024x}" for number in itertools.count())


def _opener(store: Store) -> Callable[[str], Awaitable[Store]]:
    async def open_it(_url: str) -> Store:
        return store

    return open_it


@contextmanager
def run_server(folder: Path) -> Iterator[str]:
    """Run a real server over an empty SQLite store in a folder, with the real clock, and yield its URL."""
    server = ServerThread()
    store = server.run(open_store(f"sqlite:///{folder}/gateway.db", create=True))
    server.run(seed_store(store, Case(folder, "json", {})))
    try:
        with server.serving(create(Settings(access_log=False), open_store=_opener(store))):
            yield server.url
    finally:
        server.close()


async def seed_store(store: Store, case: Case) -> None:
    """Write the initial state of a case to an empty store. Raises `InvalidCase`."""
    described = case.about.get("database", {})
    if problems := list(declaration_problems(described["fields"]) if "fields" in described else ()):
        raise InvalidCase(case.folder / "case.json", f"/database/fields: {'; '.join(problems)}")
    await store.add_database(database_from_case(described))
    await store.add_database(Database(2, "second"))
    for resource in described.get("resources", ()):
        await store.add_resource(1, _resource(resource))
    for segment in described.get("segments", ()):
        await store.add_segment(1, Segment(**segment))
    for secret, (database, rights) in TOKENS.items():
        await store.add_token(_token(secret, database, rights))
    await store.revoke_token(TOKEN_IDS["was-revoked"])
    tables = profile_tables(load_schema("profile"), database_from_case(described).fields.get("properties", {}))
    for row in case.value("jobs.json", []):
        await store.add_job(1, _job(case, row))
    for row in case.value("before.json", []):
        await _add_profile(store, row, tables)


def _token(secret: str, database: int, rights: Iterable[str]) -> Token:
    user_hash = fingerprint(USERS[secret]) if secret in USERS else None
    hash = fingerprint(secret)
    return Token(TOKEN_IDS[secret], hash, database, frozenset(rights), YESTERDAY, user_hash=user_hash)


def database_from_case(described: Mapping[str, Any]) -> Database:
    """Return database 1 as the case describes it."""
    fields = described.get("fields", IDENTIFIERS)
    return Database(1, "default", described.get("closed", False), fields, company_id="demo")


def _resource(described: Mapping[str, Any]) -> Resource:
    """Return a resource as the case describes it, whose token is given as it is sent."""
    categories, token = tuple(described.get("categories", ())), described.get("token")
    return Resource(
        described["id"],
        described["name"],
        categories,
        described.get("fields", {}),
        token and fingerprint(token),
        described.get("public_key"),
    )


def _job(case: Case, row: Mapping[str, Any]) -> Job:
    try:
        return Job(**{**row, "profiles": tuple(row["profiles"]), "failures": tuple(row["failures"])})
    except TypeError as reason:
        raise InvalidCase(case.folder / "jobs.json", str(reason)) from None


async def _add_profile(store: Store, row: Mapping[str, Any], tables: ProfileTables) -> None:
    profile = Profile(row["id"], row["document"], 1, YESTERDAY, YESTERDAY)
    gained, _ = identity_changes({}, profile.document, tables)
    write = Write(None, profile, gained, members=creation(profile.document), kind="create")

    def edit(find: Find) -> EditResult:
        return EditResult(profile, (write,), ledgers=ledgers_of_profiles([profile], find.ledgers))

    await store.change([Change(1, (), edit, Origin("fixture", "fixture", YESTERDAY))])


async def stored_profiles(store: Store) -> list[dict[str, Any]]:
    """Return the profiles of database 1. Their ids are those in the journal."""
    async with store.snapshot() as snapshot:
        ids = dict.fromkeys([entry.profile async for entry in snapshot.journal(1)])
    found = [await store.find(1, [("id", id)]) for id in ids]
    return [{"id": profile.id, "document": profile.document} for profiles in found for profile in profiles]
