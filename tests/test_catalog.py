"""The catalog when the registry changes: what it keeps, and what threads and slow reads of an earlier registry do."""

import asyncio
import gc
import threading
import weakref
from typing import Any

import pytest

from gateway.core.faults import Refusal
from gateway.core.fingerprint import fingerprint
from gateway.core.model import Database, Token
from gateway.core.rights import WRITE
from gateway.core.segments import Segment
from gateway.dialects import load_dialects
from gateway.dialects.protocol import Credential
from gateway.schema.compiled import CompiledSchema, compile_schema
from gateway.service import catalog as catalog_module
from gateway.service.catalog import Catalog
from gateway.stores import open_store
from gateway.stores.protocol import Store

pytestmark = pytest.mark.anyio

DIALECTS = load_dialects({})
(ALTCRAFT,) = (each for each in DIALECTS if each.name == "altcraft")


@pytest.fixture
async def store() -> Store:
    """A store with the database, and a token of it."""
    store = await open_store("memory:", create=True)
    await store.add_database(Database(1, "one", segments={3: Segment(3, "buyers")}))
    await store.add_token(Token("id", fingerprint("secret"), 1, frozenset({WRITE}), 0))
    return store


async def schema_now(catalog: Catalog) -> CompiledSchema:
    """Return the schema of the next request."""
    await catalog.refresh()
    return catalog.grant(Credential("secret"), ALTCRAFT).schema


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


async def test_a_schema_that_the_registry_no_longer_needs_is_freed(store: Store) -> None:
    catalog = Catalog(store, DIALECTS)
    before = weakref.ref(await schema_now(catalog))
    await store.archive_segment(1, 3, 5)
    await schema_now(catalog)
    gc.collect()
    assert before() is None


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


async def test_a_token_is_revoked_whatever_an_earlier_refresh_read(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog, is_revoked, is_checked = Catalog(store, DIALECTS), asyncio.Event(), asyncio.Event()
    read_tokens, read_databases = store.tokens, store.databases

    async def tokens_of_before() -> list[Token]:
        tokens = await read_tokens()
        await is_revoked.wait()
        return tokens

    async def databases_later() -> list[Database]:
        await is_checked.wait()
        return await read_databases()

    with monkeypatch.context() as slow:
        slow.setattr(store, "tokens", tokens_of_before)
        earlier = asyncio.create_task(catalog.refresh())
        await asyncio.sleep(0)
    await store.revoke_token("id")
    await catalog.refresh()
    monkeypatch.setattr(store, "databases", databases_later)
    is_revoked.set()
    await asyncio.sleep(0)
    for _ in range(2):
        with pytest.raises(Refusal, match="unknown_token"):
            catalog.grant(Credential("secret"), ALTCRAFT)
        is_checked.set()
        await earlier
        await catalog.refresh()
