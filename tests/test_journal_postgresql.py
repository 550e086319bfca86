"""The journal in PostgreSQL: no entry is skipped, and those of a profile have the order of its versions."""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import psycopg
import pytest

from gateway.core.model import Identity, JournalEntry
from gateway.stores import open_store
from gateway.stores.postgresql import locks
from gateway.stores.postgresql.connections import Connection
from gateway.stores.protocol import Store
from gateway.stores.registry import Statement
from tests.stores import ANN, BOB, add_databases, alter, change, create, increment, journal_entries, postgresql

pytestmark = pytest.mark.anyio

LATE_ENTRY = """INSERT INTO journal (database, profile, version, kind, time, token, dialect, request, triggers, members)
    VALUES (1, 'late', 1, 'update', 0, 't', 'd', '', true, '[]')"""


@pytest.fixture
def url() -> str:
    return postgresql.fresh()


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    store = await add_databases(await open_store(url, create=True))
    yield store
    await store.close()


@pytest.fixture
async def other(url: str, store: Store) -> AsyncIterator[Store]:  # noqa: ARG001  # has the databases
    """A store with a queue and connections of its own, as another process has it."""
    other = await open_store(url)
    yield other
    await other.close()


async def read_until(store: Store, count: int, read: list[JournalEntry]) -> None:
    """Continue to read until there are so many entries."""
    async with asyncio.timeout(60):
        while len(read) < count:
            read += await store.journal(1, read[-1].position if read else 0, 7)
            await asyncio.sleep(0.002)


async def test_an_entry_that_is_committed_late_is_not_skipped(store: Store, url: str) -> None:
    read: list[JournalEntry] = []
    with psycopg.connect(url) as late:
        late.execute(LATE_ENTRY)
        await store.change([change(create("a", ANN), ANN)])
        await store.change([change(increment(ANN), ANN)])
        assert await store.journal(1, 0, 10) == []
        assert (await store.journal_range(1)).newest == 0
        assert [each.version for each in await store.journal(1, 0, 10, "a")] == [1, 2]
    await read_until(store, 3, read)
    assert [(each.profile, each.version) for each in read] == [("late", 1), ("a", 1), ("a", 2)]


async def test_a_reader_beside_writers_and_long_transactions_reads_each_entry_once(
    store: Store, other: Store, url: str
) -> None:
    await store.change([change(create("a", ANN)), change(create("b", BOB))])
    read: list[JournalEntry] = []
    reader = asyncio.create_task(read_until(other, 2 + 5 * (1 + 2 * 12), read))
    for _ in range(5):
        with psycopg.connect(url) as late:
            late.execute(LATE_ENTRY)
            writers = [each.change([change(increment(key), key)]) for key in (ANN, BOB) for each in (store, other)]
            await asyncio.gather(*writers, *(store.change([change(increment(ANN), ANN)]) for _ in range(20)))
            await asyncio.sleep(0.01)
    await reader
    assert read == await journal_entries(store)
    for profile, count in (("a", 1 + 5 * 22), ("b", 1 + 5 * 2)):
        assert [each.version for each in read if each.profile == profile] == list(range(1, count + 1))


async def test_transactions_have_the_order_of_their_numbers(store: Store, url: str) -> None:
    """As texts, 10 comes before 9."""
    await store.change([change(create("a", ANN), ANN)])
    for _ in range(3):
        await store.change([change(increment(ANN), ANN)])
    with psycopg.connect(url) as connection:
        for version, transaction in enumerate((9, 10, 99, 100), 1):
            values = str(transaction), f"a-{version}", version
            connection.execute(
                "UPDATE journal SET transaction = %s::xid8, kind = 'remove', merge = %s WHERE version = %s", values
            )
    entries = await store.journal(1, 0, 10)
    assert [each.version for each in entries] == [1, 2, 3, 4]
    assert entries == await store.journal(1, 0, 10, "a") == await store.removals(1, 0, 10)
    assert entries == await journal_entries(store)
    kept = await store.journal_range(1)
    assert (kept.oldest, kept.newest) == (entries[0].position, entries[-1].position)
    merges = await store.merges(1, None, 10)
    assert [each.entry for each in merges] == entries[::-1]
    for before, after in pairwise(entries):
        assert await store.journal(1, before.position, 1) == [after]
        assert [each.entry for each in await store.merges(1, after.position, 1)] == [before]


async def watch_locks(connection: Connection, *statements: Statement) -> list[list[Any]]:
    """Fail where a transaction locks a key after it got its id, which it gets with its first write or row lock."""
    texts = [sql for sql, _ in statements]
    last = max((place for place, sql in enumerate(texts) if sql in (locks.LOCK, locks.TRY_TO_LOCK)), default=-1)
    assert set(texts[:last]) <= {"BEGIN", locks.LOCK, locks.TRY_TO_LOCK}
    if last >= 0 and texts[0] != "BEGIN":
        cursor = await connection.execute("SELECT pg_current_xact_id_if_assigned()::text")
        assert await cursor.fetchall() == [(None,)]
    return await execute_in_pipeline(connection, *statements)


execute_in_pipeline = locks.execute_in_pipeline


async def test_crossed_groups_have_the_order_of_the_versions(
    store: Store, other: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "execute_in_pipeline", watch_locks)
    names: list[Identity] = [("email", f"{n}@example.com") for n in range(6)]
    await store.change([change(create(f"p{n}", name), name) for n, name in enumerate(names)])

    async def write(each: Store, order: list[Identity]) -> None:
        for n in range(15):
            # One that names its profile, one that finds it in its step only, and one that adds an identity to it.
            gained = ("phone", f"{n} {id(each)}")
            await each.change(
                [change(increment(name), *([name] if place % 2 else [])) for place, name in enumerate(order)]
                + [change(alter(order[0], dict, gained=[gained]), order[0])]
            )

    await asyncio.gather(write(store, names), write(other, names[::-1]), write(store, names[3:] + names[:3]))
    entries = await journal_entries(store)
    for n in range(6):
        versions = [each.version for each in entries if each.profile == f"p{n}"]
        assert versions == list(range(1, len(versions) + 1))
    assert len(entries) == 6 + 3 * 15 * 7
