"""Tests of PostgreSQL alone: races of several stores and processes, lost connections, kills, failover."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from msgspec import structs

from gateway.core.model import (
    Change,
    Database,
    EditResult,
    Find,
    IdempotencyKey,
    Identity,
    Job,
    JournalEntry,
    Origin,
    Profile,
    Query,
    Write,
)
from gateway.stores import open_store
from gateway.stores.errors import Unavailable, Unusable
from gateway.stores.postgresql import connections, group, layout, locks, text_encoding
from gateway.stores.protocol import Store
from tests.stores import (
    ANN,
    BOB,
    PHONE,
    add_databases,
    alter,
    change,
    content_of,
    create,
    creation,
    increment,
    journal_entries,
    one,
    postgresql,
    remove,
)
from tests.stores.processes import results, start_child

pytestmark = pytest.mark.anyio


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
    """Another process, as far as the server can send_line: a store with a queue and connections of its own."""
    other = await open_store(url, create=True)
    yield other
    await other.close()


@pytest.fixture
def admin(url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


@contextmanager
def server_stop() -> Iterator[None]:
    """Crash the session's own server, and start it again at the end."""
    postgresql.server().stop()
    try:
        yield
    finally:
        postgresql.server().start()


@pytest.fixture
def own_url() -> str:
    """The URL of a store on the session's own server, which a test may stop."""
    return postgresql.fresh(postgresql.server().url)


def identity(number: int) -> Identity:
    return "email", f"{number}@example.com"


OWN_CONNECTIONS = "FROM pg_stat_activity WHERE application_name = current_schema() AND pid <> pg_backend_pid()"
"""The connections of the test's stores."""


def kill(admin: psycopg.Connection[Any]) -> None:
    """Terminate every connection of the stores."""
    admin.execute(f"SELECT pg_terminate_backend(pid) {OWN_CONNECTIONS}")


# Opening


@pytest.mark.parametrize("query", ["?nonsense=1", "?target_session_attrs", "/%zz"])
async def test_a_url_that_libpq_cannot_read_is_refused(query: str) -> None:
    with pytest.raises(ValueError, match="is no store"):
        await open_store(f"postgresql://host/name{query}", create=True)


async def test_a_missing_server_is_unavailable_with_the_reason() -> None:
    with pytest.raises(Unavailable, match="No such file"):
        await open_store("postgresql:///name?host=/nowhere", create=True)


async def test_a_read_only_server_is_not_used(url: str) -> None:
    with pytest.raises(Unavailable, match="read-only"):
        await open_store(url.replace("options=", "options=-cdefault_transaction_read_only%3Don%20"))


async def test_the_first_host_that_responds_is_used(own_url: str) -> None:
    folder = quote(str(postgresql.server().folder), safe="")
    store = await add_databases(await open_store(own_url.replace(folder, f"%2Fnowhere,{folder}"), create=True))
    await store.change([change(create("a", ANN))])
    assert (await one(store, ANN)).id == "a"
    await store.close()


@pytest.mark.usefixtures("store")
async def test_a_database_of_a_newer_version_is_refused(url: str, admin: psycopg.Connection[Any]) -> None:
    admin.execute("UPDATE layout SET version = version + 1")
    with pytest.raises(Unavailable, match="newer"):
        await open_store(url, create=True)


async def test_a_store_that_a_newer_version_migrates_is_not_ready(store: Store, admin: psycopg.Connection[Any]) -> None:
    admin.execute("UPDATE layout SET version = version + 1")
    with pytest.raises(Unusable, match="a newer version wrote layout"):
        await store.ready()
    await store.change([change(create("a", ANN))])


async def test_a_database_without_a_store_is_refused_and_not_altered() -> None:
    url = postgresql.fresh()
    with pytest.raises(Unavailable, match="there is no store in the database"):
        await open_store(url)
    await (await open_store(url, create=True)).close()
    await (await open_store(url)).close()


FULL_DISK = """CREATE FUNCTION fail() RETURNS trigger AS $$ BEGIN
    RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$ LANGUAGE plpgsql;
    CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON profiles FOR EACH ROW EXECUTE FUNCTION fail();
    CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON epoch FOR EACH ROW EXECUTE FUNCTION fail();"""


async def test_is_not_ready_while_the_disk_of_the_server_is_full(store: Store, admin: psycopg.Connection[Any]) -> None:
    admin.execute(FULL_DISK)
    async with asyncio.timeout(connections.RETRY_TIMEOUT_SECONDS - 1):  # it is not retried
        with pytest.raises(Unavailable, match="could not extend file"):
            await store.change([change(create("a", ANN))])
    for _ in range(2):
        with pytest.raises(Unavailable, match="could not extend file"):
            await store.ready()
    admin.execute("DROP FUNCTION fail CASCADE")
    await store.ready()
    await store.change([change(create("a", ANN))])


async def test_a_database_in_another_encoding_is_refused(admin: psycopg.Connection[Any]) -> None:
    admin.execute("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1'")
    try:
        url = postgresql.fresh(postgresql.server().url.replace("/postgres?", "/latin?"))
        with pytest.raises(Unavailable, match="has the encoding LATIN1"):
            await open_store(url, create=True)
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT to_regclass('layout')").fetchone() == (None,)
    finally:
        admin.execute("DROP DATABASE latin")


async def test_a_database_of_an_older_version_is_migrated(
    url: str, store: Store, admin: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.change([change(create("a", ANN))])
    monkeypatch.setattr(layout, "MIGRATIONS", (*layout.MIGRATIONS, "CREATE TABLE extra (number bigint)"))
    other = await open_store(url, create=True)
    assert (await one(other, ANN)).id == "a"
    await other.close()
    assert admin.execute("SELECT version FROM layout").fetchall() == [(len(layout.MIGRATIONS),)]
    assert admin.execute("SELECT * FROM extra").fetchall() == []


def test_several_processes_may_open_a_fresh_database_at_once(url: str) -> None:
    assert results(*(start_child("open", url) for _ in range(4))) == [["opened"]] * 4


async def test_the_content_is_the_same_after_reopening(url: str) -> None:
    store = await add_databases(await open_store(url, create=True))
    await store.change([change(create("a", ANN), ANN), change(increment(ANN), ANN)])
    before, version = await content_of(store, [ANN]), store.registry_version()
    await store.close()
    store = await open_store(url, create=True)
    assert await content_of(store, [ANN]) == before
    assert store.registry_version() == version
    await store.close()


# Values


async def test_the_layout_partitions_and_nothing_else_changes(
    url: str, store: Store, admin: psycopg.Connection[Any]
) -> None:
    await store.change([change(create("before", ANN, PHONE), ANN)])
    await store.close()
    admin.execute("SET gateway.partitions = 8")
    admin.execute((Path(layout.__file__).parent / "partitions.sql").read_text())
    partitioned = admin.execute("SELECT relname FROM pg_class WHERE relkind = 'p' AND relname::regclass = oid")
    assert {name for [name] in partitioned} == {"profiles", "identities", "journal", "jobs", "once"}
    store = await open_store(url, create=True)
    await _use(store)
    used = admin.execute("SELECT count(DISTINCT tableoid) FROM identities").fetchone()
    memory = await add_databases(await open_store("memory:", create=True))
    await memory.change([change(create("before", ANN, PHONE), ANN)])
    await _use(memory)
    keys = [ANN, BOB, PHONE, *(("email", f"{number}@example.com") for number in range(40))]
    assert await content_of(store, keys) == await content_of(memory, keys)
    assert used is not None
    assert used[0] > 1
    await store.close()


async def _use(store: Store) -> None:
    """Run each statement on the partitioned tables at least once."""
    once = IdempotencyKey("key", "same", until=5000)
    keys = [("email", f"{number}@example.com") for number in range(40)]
    await store.change([change(create(f"p{number}", key), key) for number, key in enumerate(keys)])
    await asyncio.gather(*(store.change([change(increment(key), key)]) for key in keys for _ in range(3)))
    for moment in (1000, 9000):
        await store.change([structs.replace(change(increment(ANN), ANN, time=moment), once=once)])
    await store.change([change(remove(keys[0], keys[0]), keys[0])])
    await store.change([change(alter(ANN, dict, gained=[BOB], lost=[PHONE]), ANN)])
    await store.add_job(1, Job("j", 1, 0, 0))
    await store.restore(1, [Job("j", 1, 0, 0), JournalEntry(0, 1, "p1", 1, "update", Origin("t", "d", 1000), ())])
    assert [job.id for job in await store.jobs(1, "import", Query(5, "created"))] == ["j"]
    assert [each.id for each in await store.page(1, Query(3, "id"))] == ["before", "p1", "p10"]
    assert await store.prune(before=10, limit=5) == 1


async def test_a_snapshot_leaves_no_cursor_open_where_its_reader_stops(store: Store) -> None:
    await store.change([change(create("a", ANN), ANN), change(create("b", BOB), BOB)])
    async with store.snapshot() as snapshot:
        profiles = snapshot.profiles(1)
        await anext(profiles)
        assert len(_open_cursors()) == 1
    assert _open_cursors() == []


def _open_cursors() -> list[psycopg.AsyncServerCursor[Any]]:
    return [each for each in gc.get_objects() if isinstance(each, psycopg.AsyncServerCursor) and not each.closed]


async def test_names_of_any_length_are_distinct(store: Store) -> None:
    names = ["x" * length + tail for length in (119, 120, 121, 9_999) for tail in ("", "y")]
    for number, name in enumerate(names):
        await store.change([change(create(f"p{number}", (name, name)), (name, name))])
    assert [(await one(store, (name, name))).id for name in names] == [f"p{number}" for number in range(len(names))]


def test_the_encoding_of_texts_keeps_them_distinct_and_in_order() -> None:
    texts = [
        "",
        "\x00",
        "\x00\x00",
        "\x00\x01",
        "\x00\x02",
        "\x01",
        "\x01\x00",
        "\x01\x01",
        "\x01\x02",
        "\x02",
        "a\x00",
        "b",
    ]
    encoded = [bytes(text_encoding.TextDumper(str).dump(text)) for text in texts]
    assert encoded == sorted(encoded)
    assert [text_encoding.TextLoader(25).load(each) for each in encoded] == texts


async def test_a_change_that_the_server_rejects_fails_alone(store: Store) -> None:
    await store.change([change(create("a", ANN))])
    profile = Profile("z", {}, 2**70, 0, 0)
    failing = change(lambda _: EditResult(profile, (Write(None, profile, frozenset([BOB])),)), BOB)
    calls = [store.change([each]) for each in (change(increment(ANN), ANN), failing, change(increment(ANN), ANN))]
    first, failure, second = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(failure, psycopg.DataError)
    assert [first[0].profile.version, second[0].profile.version] == [2, 3]
    assert await store.find(1, [BOB]) == []


async def test_a_group_with_more_locks_than_the_server_has_is_divided(store: Store) -> None:
    # The server's table has room for some 10,000; each of these changes needs 100 locks.
    keys = [[("k", f"{n} {m}") for m in range(100)] for n in range(250)]
    answers = await store.change([change(create(f"p{n}", *each), *each) for n, each in enumerate(keys)])
    assert [answer.profile.id for answer in answers] == [f"p{n}" for n in range(250)]


# Group commit


async def test_a_group_costs_a_handful_of_round_trips(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    trips: list[Any] = []
    execute_in_pipeline = locks.execute_in_pipeline

    async def counter(*arguments: Any) -> Any:
        trips.append(arguments)
        return await execute_in_pipeline(*arguments)

    monkeypatch.setattr(locks, "execute_in_pipeline", counter)
    keys = [(identity(n), ("phone", f"{n}")) for n in range(100)]
    for edits, expected in (
        ([create(f"p{n}", *key) for n, key in enumerate(keys)], 2),
        ([increment(p) for _, p in keys], 3),
    ):
        trips.clear()
        calls = (store.change([change(edit, *key)]) for edit, key in zip(edits, keys, strict=True))
        await asyncio.gather(*calls)
        assert len(trips) == expected  # and the commit


async def test_a_group_ends_after_a_limit_of_characters(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "MAX_WRITE_CHARACTERS", 10_000)
    commits: list[int] = []
    commit = group.commit

    async def counter(connection: Any) -> None:
        commits.append(1)
        await commit(connection)

    monkeypatch.setattr(group, "commit", counter)
    edits = [create(f"p{n}", identity(n), text="x" * 1000) for n in range(50)] + [increment(identity(0))] * 2
    answers = await store.change([change(edit, identity(n % 50)) for n, edit in enumerate(edits)])
    assert [answer.profile.id for answer in answers] == [*(f"p{n}" for n in range(50)), "p0", "p0"]
    assert (await one(store, identity(0))).document["n"] == 2
    assert 10 <= len(commits) <= 12


async def test_a_batch_lets_single_changes_through(store: Store) -> None:
    batch = [change(create(f"p{n}", identity(n)), identity(n)) for n in range(3000)]
    running = asyncio.ensure_future(store.change(batch))
    for number in range(3):
        await store.change([change(create(f"q{number}", ("phone", str(number))))])
    assert not running.done()
    assert len(await running) == 3000


# Races


async def race(store: Store, other: Store, attempts: int = 20) -> int:
    """Let two stores create the same identities at the same moment. Return how many were created twice."""
    for n in range(attempts):
        calls = (
            each.change([change(create(f"{n} {at}", identity(n)), identity(n))])
            for at, each in enumerate((store, other))
        )
        await asyncio.gather(*calls)
    return sum([len(await store.find(1, [identity(n)])) - 1 for n in range(attempts)])


async def test_two_stores_create_an_identity_once(store: Store, other: Store) -> None:
    assert await race(store, other) == 0


async def test_without_its_locks_a_store_would_create_an_identity_twice(
    store: Store, other: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for lock in ("LOCK", "TRY_TO_LOCK"):
        monkeypatch.setattr(locks, lock, "SELECT number FROM unnest(%b::bigint[]) AS number WHERE false")
    assert await race(store, other) > 0


def test_three_processes_create_an_identity_once(url: str) -> None:
    asyncio.run(create_databases(url))
    first, *others = results(*(start_child("create", url, 40) for _ in range(3)))
    assert others == [first, first]
    assert len({id.split(" of ")[1] for id in first}) > 1, "they did not race"


async def create_databases(url: str) -> None:
    await (await add_databases(await open_store(url, create=True))).close()


async def test_one_person_is_created_once_by_either_of_two_identities(store: Store, other: Store) -> None:
    for n in range(20):
        keys = identity(n), ("phone", f"{n}")
        named = (keys, keys[:1], keys[1:], keys[::-1])
        calls = [
            each.change([change(create(f"{n} {at} {which}", *keys), *names)])
            for at, each in enumerate((store, other))
            for which, names in enumerate(named)
        ]
        answers = await asyncio.gather(*calls)
        assert len({answer.profile.id for [answer] in answers}) == 1
        assert len(await store.find(1, keys)) == 1


async def test_no_increment_is_lost_whichever_key_names_the_profile(store: Store, other: Store) -> None:
    await store.change([change(create("a", ANN, PHONE))])
    keys = [ANN, PHONE, ("id", "a")]
    calls = [
        each.change([change(increment(keys[n % 3]), *keys[n % 3 : n % 3 + n % 2])])
        for n in range(60)
        for each in (store, other)
    ]
    answers = await asyncio.gather(*calls)
    assert sorted(answer.profile.document["n"] for [answer] in answers) == list(range(1, 121))
    assert len(await journal_entries(store)) == 121


async def test_edits_that_need_the_keys_of_each_other_do_not_deadlock(store: Store, other: Store) -> None:
    await store.change([change(create("a", ANN)), change(create("b", BOB))])

    def both(first: Identity, second: Identity) -> Change:
        def edit(find: Find) -> EditResult:
            find([second])
            return increment(first)(find)

        return change(edit, first)

    began = time.monotonic()
    for _ in range(20):
        await asyncio.gather(store.change([both(ANN, BOB)]), other.change([both(BOB, ANN)]))
    assert [(await one(store, key)).document["n"] for key in (ANN, BOB)] == [20, 20]
    assert time.monotonic() - began < 1, "a deadlock: the server finds one after a second"


async def test_an_identity_that_one_adds_another_does_not_create(store: Store, other: Store) -> None:
    for n in range(20):
        key = identity(n)
        await store.change([change(create(f"{n}", ("k", f"{n}")))])
        adding = change(alter(("k", f"{n}"), dict, gained=[key]), ("k", f"{n}"))
        await asyncio.gather(store.change([adding]), other.change([change(create(f"other {n}", key), key)]))
        # Either order is right: two profiles where it was created before it was added, else one.
        found = {profile.id for profile in await store.find(1, [key])}
        assert len(await journal_entries(store)) == sum(
            [1 + len(await store.find(1, [identity(m)])) for m in range(n + 1)]
        )
        assert f"{n}" in found


async def test_two_stores_run_a_change_with_a_key_once(store: Store, other: Store) -> None:
    for n in range(20):
        once = IdempotencyKey(f"key {n}", "same", until=2000)
        calls = [
            each.change([structs.replace(change(lambda _, id=f"{n} {at}": creation(id)), once=once)])
            for at, each in enumerate((store, other))
        ]
        [first], [second] = await asyncio.gather(*calls)
        assert first.profile == second.profile
    assert len(await journal_entries(store)) == 20


async def test_new_keys_remove_expired_ones(store: Store, admin: psycopg.Connection[Any]) -> None:
    for began in (1000, 2000):
        for n in range(10):
            once = IdempotencyKey(f"{began} {n}", "same", until=began + 500)
            edit = change(lambda _, n=n: creation(f"{n}"), time=began)
            await store.change([structs.replace(edit, once=once)])
    assert admin.execute("SELECT count(*), min(until) FROM once").fetchall() == [(10, 2500)]


async def test_waits_for_the_locks_of_another_process(
    url: str, admin: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    await create_databases(url)
    monkeypatch.setattr(connections, "RETRY_TIMEOUT_SECONDS", 0.3)
    store = await open_store(url, create=True)
    with admin.transaction():
        admin.execute(locks.LOCK, locks.numbers([(1, *ANN)]))
        with pytest.raises(Unavailable, match="lock"):
            await store.change([change(create("a", ANN), ANN)])
        waiting = asyncio.ensure_future(store.change([change(create("b", ANN), ANN)]))
        await asyncio.sleep(0.1)
        assert not waiting.done()
    await waiting
    assert (await one(store, ANN)).id == "b"
    await store.close()


async def test_the_locks_of_a_process_that_stops_are_released(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "IDLE_TRANSACTION_SECONDS", 0.2)
    store = await add_databases(await open_store(url, create=True))
    frozen = await connections.Engine(url).connect()
    await frozen.execute("BEGIN")
    await frozen.execute(locks.LOCK, locks.numbers([(1, *ANN)]))
    await store.change([change(create("a", ANN), ANN)])
    await frozen.close()
    await store.close()


# Lost connections


async def increment_until(store: Store, number: int, until: float) -> tuple[int, int]:
    """Increment a profile. Return how many steps were acknowledged, and how many failed."""
    acknowledged = failed = 0
    while time.monotonic() < until:
        try:
            await store.change([change(increment(identity(number)), identity(number))])
            acknowledged += 1
        except Unavailable:
            failed += 1
    return acknowledged, failed


async def assert_nothing_is_lost(store: Store, counts: list[tuple[int, int]]) -> None:
    """Each acknowledged step is stored once. A failed step may be stored or not."""
    kept = [(await one(store, identity(number))).document["n"] for number in range(len(counts))]
    for n, (acknowledged, failed) in zip(kept, counts, strict=True):
        assert 0 < acknowledged <= n <= acknowledged + failed
    assert len(await journal_entries(store)) == sum(kept) + len(kept)


async def test_killed_backends_lose_and_repeat_nothing(store: Store, admin: psycopg.Connection[Any]) -> None:
    await store.change([change(create(f"p{n}", identity(n), n=0)) for n in range(16)])
    until = time.monotonic() + 2
    running = [asyncio.create_task(increment_until(store, n, until)) for n in range(16)]
    while time.monotonic() < until:
        await asyncio.sleep(0.05)
        kill(admin)
    await assert_nothing_is_lost(store, [await each for each in running])


async def test_an_immediate_stop_loses_and_repeats_nothing(own_url: str) -> None:
    store = await add_databases(await open_store(own_url, create=True))
    await store.change([change(create(f"p{n}", identity(n), n=0)) for n in range(16)])
    until = time.monotonic() + 3
    running = [asyncio.create_task(increment_until(store, n, until)) for n in range(16)]
    for _ in range(3):
        await asyncio.sleep(0.3)
        with server_stop():
            pass
    await assert_nothing_is_lost(store, [await each for each in running])
    await store.close()


async def test_without_a_server_it_is_unavailable_and_then_recovers(
    own_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "RETRY_TIMEOUT_SECONDS", 0.3)
    store = await add_databases(await open_store(own_url, create=True))
    await store.change([change(create("a", ANN))])
    with server_stop():
        for call in (
            store.change([change(increment(ANN), ANN)]),
            store.change([change(increment(ANN), ANN) for _ in range(5000)]),
            store.find(1, [ANN]),
            store.add_database(Database(3, "three")),
            store.ready(),
        ):
            async with asyncio.timeout(2):
                with pytest.raises(Unavailable):
                    await call
        assert store.registry_version() != store.registry_version(), "a change of the registry may have been missed"
    await store.ready()
    await store.change([change(increment(ANN), ANN)])
    assert (await one(store, ANN)).document == {"n": 1}
    async with asyncio.timeout(2):
        while store.registry_version() != store.registry_version():
            await asyncio.sleep(0.01)
    await store.close()


async def test_a_connection_lost_before_the_commit_is_not_noticed(store: Store, admin: psycopg.Connection[Any]) -> None:
    def kill_and_increment(find: Find) -> EditResult:
        runs.append(1)
        if len(runs) == 1:
            kill(admin)
        return increment(ANN)(find)

    runs: list[int] = []
    await store.change([change(create("a", ANN))])
    [edited] = await store.change([change(kill_and_increment, ANN)])
    assert edited.profile.document == {"n": 1}
    assert len(runs) == 2


async def test_a_connection_lost_at_the_commit_is_unavailable_and_not_retried(
    store: Store, admin: psycopg.Connection[Any]
) -> None:
    await store.change([change(create("a", ANN))])
    admin.execute("""
        CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER die AFTER INSERT ON journal DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION die()""")
    runs: list[int] = []

    def count_and_increment(find: Find) -> EditResult:
        runs.append(1)
        return increment(ANN)(find)

    with pytest.raises(Unavailable, match="not known"):
        await store.change([change(count_and_increment, ANN)])
    assert runs == [1]
    admin.execute("DROP TRIGGER die ON journal")
    await store.change([change(count_and_increment, ANN)])
    assert (await one(store, ANN)).document == {"n": 1}


# The registry


async def test_a_change_of_the_registry_is_seen_by_others_immediately(store: Store, other: Store) -> None:
    version = other.registry_version()
    await store.add_database(Database(3, "three"))
    began = time.monotonic()
    while other.registry_version() == version:
        await asyncio.sleep(0.001)
    assert time.monotonic() - began < 0.5
    assert other.registry_version() == store.registry_version()
    assert [database.id for database in await other.databases()] == [1, 2, 3]


async def test_a_change_without_a_notification_is_seen_too(store: Store, admin: psycopg.Connection[Any]) -> None:
    version = store.registry_version()
    kill(admin)
    admin.execute("UPDATE epoch SET number = number + 1")
    async with asyncio.timeout(2):
        while store.registry_version() != version + 1:
            assert store.registry_version() is not None
            await asyncio.sleep(0.001)


# Closing


async def test_a_closed_store_is_unavailable(url: str) -> None:
    store = await add_databases(await open_store(url, create=True))
    await store.close()
    await store.close()
    for call in (store.change([change(create("a", ANN))]), store.find(1, [ANN]), store.ready()):
        with pytest.raises(Unavailable):
            await call


async def test_a_change_of_a_cancelled_caller_is_stored(store: Store) -> None:
    call = asyncio.ensure_future(store.change([change(create("a", ANN), ANN)]))
    await asyncio.sleep(0)
    call.cancel()
    await store.change([change(increment(ANN), ANN)])
    assert (await one(store, ANN)).document == {"n": 1}


async def test_closes_all_its_connections(url: str, admin: psycopg.Connection[Any]) -> None:
    store = await open_store(url, create=True)
    await asyncio.gather(*(store.find(1, [ANN]) for _ in range(50)))
    await store.close()
    async with asyncio.timeout(2):
        while admin.execute(f"SELECT count(*) {OWN_CONNECTIONS}").fetchall()[0][0] > 0:
            await asyncio.sleep(0.01)
