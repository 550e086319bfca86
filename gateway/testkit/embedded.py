"""A gateway of its own for each case: a store that holds what the case begins with, a clock that stands, ids in order.

No case here ever sees what another one left.
"""

import itertools
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
from starlette.applications import Starlette

from gateway.core.fingerprint import fingerprint
from gateway.core.matching import identities
from gateway.core.model import Change, Database, EditResult, Job, Origin, Profile, Resource, Segment, Token, Write
from gateway.core.profile_tables import ProfileTables
from gateway.schema.field_declarations import declaration_problems
from gateway.schema.files import load_schema
from gateway.schema.profile_tables import profile_tables
from gateway.server.app import create
from gateway.settings import Settings
from gateway.stores import open_store
from gateway.stores.protocol import Store
from gateway.testkit.case import HOST, Case, IllFormed
from gateway.testkit.server_thread import Host
from gateway.testkit.verdict import Answer

NOW = 1_767_225_600_000
YESTERDAY = NOW - 24 * 60 * 60 * 1000
IDENTIFIERS = {"type": "object", "properties": {"customer_id": {"type": "string", "x-identifier": True}}}
TOKENS = {
    "abcdefghijklmnqrstuvwxyz": (1, ("read", "write", "delete")),
    "only-reads": (1, ("read",)),
    "only-writes": (1, ("write",)),
    "only-deletes": (1, ("delete",)),
    "was-revoked": (1, ("read", "write", "delete")),
    "of-database-2": (2, ("read", "write", "delete")),
}


async def converse(case: Case) -> tuple[Answer, list[dict[str, Any]]]:
    """The answer to a case, and the profiles that it leaves. Raises `IllFormed`."""
    store = await open_store("memory:")
    await furnish(store, case)
    app = application(case, store)
    async with app.router.lifespan_context(app):
        reply = await _sent(case, httpx.ASGITransport(app))
        return answer_of(reply), await stored(store)


async def _sent(case: Case, transport: httpx.AsyncBaseTransport) -> httpx.Response:
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}") as client:
        method, path = case.about["method"], case.about["path"]
        return await client.request(method, path, content=case.request, headers=case.headers)


def answer_of(reply: httpx.Response) -> Answer:
    return Answer(reply.status_code, reply.headers, reply.content)


def application(case: Case, store: Store) -> Starlette:
    """The gateway over a store, with the settings of a case. Raises `IllFormed`."""
    numbers = ids()
    return create(_settings(case), now=lambda: NOW, new_id=lambda: next(numbers), open_store=_always(store))


def _settings(case: Case) -> Settings:
    try:
        given = Settings(**{"access_log": False, **case.about.get("settings", {})})
        return msgspec.convert(msgspec.to_builtins(given), Settings)
    except (TypeError, msgspec.ValidationError) as reason:
        raise IllFormed(case.folder / "case.json", f"/settings: {reason}") from None


def ids() -> Iterator[str]:
    return (f"{0xA1 + number:024x}" for number in itertools.count())


def _always(store: Store) -> Callable[[str], Awaitable[Store]]:
    async def opened(_url: str) -> Store:
        return store

    return opened


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The URL of a real server over an empty SQLite store in a folder; clock and ids are those of service."""
    host = Host()
    store = host.run(open_store(f"sqlite:///{folder}/gateway.db"))
    host.run(furnish(store, Case(folder, "json", {})))
    try:
        with host.serving(create(Settings(access_log=False), open_store=_always(store))):
            yield host.url
    finally:
        host.close()


async def furnish(store: Store, case: Case) -> None:
    """Puts into an empty store what a case begins with. Raises `IllFormed`."""
    described = case.about.get("database", {})
    if problems := list(declaration_problems(described["fields"]) if "fields" in described else ()):
        raise IllFormed(case.folder / "case.json", f"/database/fields: {'; '.join(problems)}")
    await store.add_database(database_of(described))
    await store.add_database(Database(2, "second"))
    for resource in described.get("resources", ()):
        categories = tuple(resource.get("categories", ()))
        await store.add_resource(1, Resource(resource["id"], resource["name"], categories, resource.get("fields", {})))
    for segment in described.get("segments", ()):
        await store.add_segment(1, Segment(**segment))
    for secret, (database, rights) in TOKENS.items():
        hashed = fingerprint(secret)
        await store.add_token(Token(secret, hashed, database, frozenset(rights), YESTERDAY))
    await store.revoke_token("was-revoked")
    tables = profile_tables(load_schema("profile"), database_of(described).fields.get("properties", {}))
    for row in case.value("jobs.json", []):
        await store.add_job(1, _job(case, row))
    for row in case.value("before.json", []):
        await _put(store, row, tables)


def database_of(described: Mapping[str, Any]) -> Database:
    """Database 1 as a case describes it."""
    fields = described.get("fields", IDENTIFIERS)
    return Database(1, "default", described.get("closed", False), fields, company_id="demo")


def _job(case: Case, row: Mapping[str, Any]) -> Job:
    try:
        return Job(**{**row, "profiles": tuple(row["profiles"]), "failures": tuple(row["failures"])})
    except TypeError as reason:
        raise IllFormed(case.folder / "jobs.json", str(reason)) from None


async def _put(store: Store, row: Mapping[str, Any], tables: ProfileTables) -> None:
    profile = Profile(row["id"], row["document"], 1, YESTERDAY, YESTERDAY)
    write = Write(None, profile, identities(profile.document, tables))
    edited = EditResult(profile, (write,))
    await store.change([Change(1, (), lambda _find: edited, Origin("fixture", "fixture", YESTERDAY))])


async def stored(store: Store) -> list[dict[str, Any]]:
    """The profiles of database 1, read back through the record of changes: every id that was ever written."""
    seen: dict[str, None] = {}
    async for change in store.changes(1):
        seen[change.profile] = None
    found = [await store.find(1, [("id", name)]) for name in seen]
    return [{"id": profile.id, "document": profile.document} for profiles in found for profile in profiles]
