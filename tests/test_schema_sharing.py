"""Databases that declare the same have one compiled schema, whatever else of the registry differs or changes."""

import asyncio
import gc
import threading
import weakref
from typing import Any

import pytest

from gateway.core.faults import Refusal
from gateway.core.fingerprint import fingerprint
from gateway.core.model import Database, Resource, Token
from gateway.core.rights import WRITE
from gateway.core.segments import Segment
from gateway.dialects import load_dialects
from gateway.dialects.protocol import Credential
from gateway.schema.compiled import CompiledSchema, compile_schema
from gateway.service import catalog as catalog_module
from gateway.service.catalog import Catalog
from gateway.stores import open_store
from gateway.stores.protocol import Store

DIALECTS = load_dialects({})
(ALTCRAFT,) = (each for each in DIALECTS if each.name == "altcraft")
FIELDS = {"type": "object", "properties": {"level": {"type": "integer"}}}
ONE: dict[str, Any] = {
    "fields": FIELDS,
    "resources": {1: Resource(1, "mail", ("a",), FIELDS)},
    "segments": {3: Segment(3, "buyers")},
}


@pytest.mark.parametrize(
    "other",
    [
        {**ONE, "company_id": "shop"},
        {**ONE, "resources": {1: Resource(1, "letters", ("a",), FIELDS, "hash", "key")}},
        {**ONE, "segments": {}},
        {**ONE, "segments": {3: Segment(3, "clients", created=5), "3": Segment("3", "text")}},
    ],
)
def test_databases_that_declare_the_same_share_a_schema(other: dict[str, Any]) -> None:
    assert compile_schema(Database(1, "one", **ONE), {}) is compile_schema(Database(2, "two", **other), {})


@pytest.mark.parametrize(
    ("database", "constraints"),
    [
        ({**ONE, "fields": {"type": "object", "properties": {"level": {"type": "number"}}}}, {}),
        ({**ONE, "resources": {1: Resource(1, "mail", ("b",), FIELDS)}}, {}),
        ({**ONE, "resources": {1: Resource(1, "mail", ("a",))}}, {}),
        ({**ONE, "segments": {3: Segment(3, "buyers", archived=5)}}, {}),
        ({**ONE, "segments": {"3": Segment("3", "buyers", archived=5)}}, {}),
        ({**ONE, "closed": True}, {}),
        ({**ONE, "closed": True, "segments": {"3": Segment("3", "buyers")}}, {}),
        (ONE, {"properties": {"profile": {"required": ["email"]}}}),
    ],
)
def test_databases_that_declare_something_else_have_schemas_of_their_own(
    database: dict[str, Any], constraints: dict[str, Any]
) -> None:
    own = compile_schema(Database(1, "one", **database), constraints)
    assert own is not compile_schema(Database(1, "one", **ONE), {})


def test_equal_numbers_and_texts_of_segments_differ_in_a_closed_database() -> None:
    number, text = ({**ONE, "closed": True, "segments": {id: Segment(id, "buyers")}} for id in (3, "3"))
    assert compile_schema(Database(1, "one", **number), {}) is not compile_schema(Database(1, "one", **text), {})


@pytest.fixture
async def store() -> Store:
    """A store with the database, and a token of it."""
    store = await open_store("memory:", create=True)
    await store.add_database(Database(1, "one", **ONE))
    await store.add_token(Token("id", fingerprint("secret"), 1, frozenset({WRITE}), 0))
    return store


async def schema_now(catalog: Catalog) -> CompiledSchema:
    """Return the schema of the next request."""
    await catalog.refresh()
    return catalog.grant(Credential("secret"), ALTCRAFT).schema


@pytest.mark.anyio
async def test_a_change_of_the_registry_that_declares_nothing_compiles_nothing(store: Store) -> None:
    catalog = Catalog(store, DIALECTS)
    before = weakref.ref(await schema_now(catalog))
    for id in (4, 5):
        await store.add_segment(1, Segment(id, "more"))
        assert await catalog.refresh()
    gc.collect()
    assert await schema_now(catalog) is before()
    await store.archive_segment(1, 4, 5)
    assert await schema_now(catalog) is not before()


@pytest.mark.anyio
async def test_a_schema_that_the_registry_no_longer_needs_is_freed(store: Store) -> None:
    catalog = Catalog(store, DIALECTS)
    before = weakref.ref(await schema_now(catalog))
    await store.archive_segment(1, 3, 5)
    await schema_now(catalog)
    gc.collect()
    assert before() is None


@pytest.mark.anyio
async def test_a_token_that_is_revoked_while_a_thread_grants_it_is_unknown(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = Catalog(store, DIALECTS)
    await catalog.refresh()
    has_begun, is_revoked = threading.Event(), threading.Event()

    def compile_slowly(*source: Any) -> CompiledSchema:
        has_begun.set()
        assert is_revoked.wait(10)
        return compile_schema(*source)

    monkeypatch.setattr(catalog_module, "compile_schema", compile_slowly)
    granting = asyncio.create_task(asyncio.to_thread(catalog.grant, Credential("secret"), ALTCRAFT))
    assert await asyncio.to_thread(has_begun.wait, 10)
    await store.revoke_token("id")
    await catalog.refresh()
    is_revoked.set()
    await granting
    with pytest.raises(Refusal, match="unknown_token"):
        catalog.grant(Credential("secret"), ALTCRAFT)
