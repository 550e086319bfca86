"""Stores of older layouts: their profiles stay, what they say against messages becomes ledgers, records the journal."""

from collections.abc import Callable
from io import BytesIO
from operator import itemgetter
from pathlib import Path
from typing import Any

import apsw
import msgspec
import orjson
import psycopg
import pytest

from gateway.core.model import (
    Database,
    Fact,
    JournalEntry,
    JournalKind,
    Ledger,
    MemberChange,
    Origin,
    Profile,
    Query,
    Token,
)
from gateway.stores import open_store
from gateway.stores.postgresql import layout as postgresql_layout
from gateway.stores.protocol import Store
from gateway.stores.sqlite import layout as sqlite_layout
from gateway.transfer import ExistingProfiles, Loader, dump_lines
from tests.stores import postgresql, unplaced_entries

pytestmark = pytest.mark.anyio


def entry(
    database: int, profile: str, version: int, kind: JournalKind, origin: Origin, *members: MemberChange
) -> JournalEntry:
    return JournalEntry(0, database, profile, version, kind, origin, members)


def email(address: str, status: Any = None, **members: Any) -> dict[str, Any]:
    return {"channel": "email", "email": address, **({} if status is None else {"status": status}), **members}


def sms(phone: str, status: Any) -> dict[str, Any]:
    return {"channel": "sms", "phone": phone, "status": status}


SEGMENTS = [7, "\x00", "vip" * 99]
SUPPRESSION = {"reason": "USER_SUPPRESSED", "timestamp": 5}

PROFILES = {
    1: [
        Profile("words", {"subscriptions": [email("a@x.de", "unsubscribed"), email("b@x.de", "complained")]}, 1, 1, 10),
        Profile("numbers", {"subscriptions": [email("C@x.de", 1), email("d@x.de", 2), email("e@x.de", 3)]}, 2, 1, 20),
        Profile("more", {"subscriptions": [email("f@x.de", "hardbounced"), sms("+79510000000", "invalid")]}, 1, 1, 30),
        Profile("six", {"subscriptions": [sms("+79510000001", 6), email("a@x.de", 3, resource_id=7)]}, 1, 1, 40),
        Profile("late", {"subscriptions": [email("a@x.de", "unsubscribed"), email("g@x.de", "subscribed")]}, 1, 1, 50),
        Profile("mute", {"email": "H@x.de", "klaviyo": {"suppression": SUPPRESSION, "title": "Dr"}}, 1, 1, 60),
        Profile("open", {"subscriptions": [email("i@x.de"), email("j@x.de", 0), email("k@x.de", 4)]}, 1, 1, 70),
        Profile("vip", {"segments": SEGMENTS}, 1, 1, 75),
    ],
    2: [Profile("words", {"subscriptions": [email("g@x.de", "unsubscribed")]}, 1, 1, 80)],
}
"""Profiles of two databases, as versions without ledgers stored them."""


RECORDS = [
    (
        1,
        20,
        "more",
        2,
        "t1",
        "courier",
        False,
        '[{"op":"replace","path":"/a~1b","value":1.0},{"op":"remove","path":"/c"}]',
    ),
    (1, 10, "more", 1, "t1", "altcraft", True, '[{"op":"add","path":"","value":{"c":"é"}}]'),
    (1, 20, "more", 3, "t1", "courier", True, '[{"op":"remove","path":""}]'),
    (2, 10, "words", 1, "t2", "klaviyo", True, '[{"op":"add","path":"/n","value":null}]'),
]
"""Records of changes: database, time, profile, version, token, dialect, triggers and JSON Patch."""

ENTRIES = {
    1: [
        entry(1, "more", 1, "create", Origin("t1", "altcraft", 10), MemberChange("", after={"c": "é"})),
        entry(
            *(1, "more", 2, "update", Origin("t1", "courier", 20, triggers=False)),
            MemberChange("/a~1b", after=1.0, is_before_known=False),
            MemberChange("/c", is_before_known=False),
        ),
        entry(1, "more", 3, "remove", Origin("t1", "courier", 20), MemberChange("", is_before_known=False)),
    ],
    2: [entry(2, "words", 1, "update", Origin("t2", "klaviyo", 10), MemberChange("/n", after=None))],
}
"""The same in the journal, where a value that a record did not have is not known."""


def ledger(reason: str, time: int, resource: str = "") -> Ledger:
    return Ledger(1, {resource: {reason: Fact(time, 1)}})


LEDGERS = {
    1: {
        "email:a@x.de": Ledger(2, {"": {"unsubscribed": Fact(10, 1)}, "7": {"hardbounced": Fact(40, 2)}}),
        "email:b@x.de": ledger("complained", 10),
        "email:c@x.de": ledger("unsubscribed", 20),
        "email:d@x.de": ledger("complained", 20),
        "email:e@x.de": ledger("hardbounced", 20),
        "email:f@x.de": ledger("hardbounced", 30),
        "email:h@x.de": ledger("suppressed", 5),
        "sms:+79510000000": ledger("invalid", 30),
        "sms:+79510000001": ledger("invalid", 40),
    },
    2: {"email:g@x.de": ledger("unsubscribed", 80)},
}

TOKEN = Token("t1", "hash 1", 1, frozenset({"read"}), 1)


def rows_of_profiles() -> list[tuple[Any, ...]]:
    return [
        (database, each.id, orjson.dumps(each.document).decode(), each.version, each.created, each.updated)
        for database, profiles in PROFILES.items()
        for each in profiles
    ]


def old_sqlite(folder: Path) -> str:
    """Return the URL of a file as the versions before the ledgers wrote it."""
    file = folder / "old.db"
    connection = apsw.Connection(str(file))
    for step in sqlite_layout.MIGRATIONS[: sqlite_layout.LEDGERS_VERSION - 1]:
        connection.execute(step)
    connection.pragma("user_version", sqlite_layout.LEDGERS_VERSION - 1)
    connection.execute("INSERT INTO databases VALUES (1, 'one', 0, '{}', NULL), (2, 'two', 0, '{}', NULL)")
    connection.execute("INSERT INTO tokens VALUES ('hash 1', 't1', 1, 'read', 1, 0)")
    connection.executemany("INSERT INTO profiles VALUES (?, ?, ?, ?, ?, ?)", rows_of_profiles())
    connection.executemany("INSERT INTO changes VALUES (?, ?, ?, ?, ?, ?, ?, ?)", RECORDS)
    connection.close()
    return f"sqlite:///{file}"


def old_postgresql(_folder: Path) -> str:
    """Return the URL of a schema as the versions before the ledgers wrote it."""
    url = postgresql.fresh()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE layout (version bigint NOT NULL)")
        connection.execute("INSERT INTO layout VALUES (%s)", (postgresql_layout.LEDGERS_VERSION - 1,))
        for step in postgresql_layout.MIGRATIONS[: postgresql_layout.LEDGERS_VERSION - 1]:
            connection.execute(step)
        connection.execute("INSERT INTO databases VALUES (1, 'one', false, '{}', NULL), (2, 'two', false, '{}', NULL)")
        connection.execute("INSERT INTO tokens VALUES ('hash 1', 't1', 1, 'read', 1, false)")
        for row in rows_of_profiles():
            connection.execute("INSERT INTO profiles VALUES (%s, %s, %s, %s, %s, %s)", row)
        for row in RECORDS:
            connection.execute(
                """INSERT INTO changes (database, time, profile, version, token, dialect, triggers, patch)
                VALUES (%s, %s, %s, %s, %s, %s, %s, %s)""",
                row,
            )
    return url


OLD: dict[str, Callable[[Path], str]] = {"sqlite": old_sqlite, "postgresql": old_postgresql}


async def ledgers_of(store: Store) -> dict[int, dict[str, Ledger]]:
    async with store.snapshot() as snapshot:
        return {
            database: {row.address: row.ledger async for row in snapshot.ledgers(database)} for database in PROFILES
        }


@pytest.mark.parametrize("engine", OLD)
async def test_an_old_store_gets_its_ledgers_and_keeps_the_rest(engine: str, tmp_path: Path) -> None:
    url = OLD[engine](tmp_path)
    for _ in range(2):
        store = await open_store(url)
        assert await ledgers_of(store) == LEDGERS
        assert {database: await unplaced_entries(store, database) for database in ENTRIES} == ENTRIES
        assert await store.tokens() == [TOKEN]
        assert await store.databases() == [Database(1, "one"), Database(2, "two")]
        for database, profiles in PROFILES.items():
            keys = [("id", each.id) for each in profiles]
            assert await store.find(database, keys) == sorted(profiles, key=lambda each: each.id)
        for segment in SEGMENTS:
            [member] = await store.page(1, Query(5, key=("segment", str(segment))))
            assert member.id == "vip"
        await store.close()


@pytest.mark.parametrize("engine", OLD)
async def test_a_migration_that_fails_alters_nothing(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = OLD[engine](tmp_path)
    layout = {"sqlite": sqlite_layout, "postgresql": postgresql_layout}[engine]
    with monkeypatch.context() as broken:
        broken.setattr(layout, "ledger_rows_of_profiles", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await open_store(url)
    store = await open_store(url)
    assert await ledgers_of(store) == LEDGERS
    await store.close()


async def dump_of(store: Store) -> list[bytes]:
    async with store.snapshot() as snapshot:
        return [line async for line in dump_lines(store, snapshot)]


async def load(store: Store, lines: list[bytes]) -> None:
    await Loader(store, ExistingProfiles.REFUSE).load(BytesIO(b"".join(lines)), lambda _: None)


def first_format(dump: list[bytes]) -> list[bytes]:
    """Return the dump as a version without ledgers wrote it."""
    lines = [msgspec.json.decode(line) for line in dump if not line.startswith((b'{"kind":"ledger"', b'{"kind":"jou'))]
    for database, time, profile, version, token, dialect, triggers, patch in sorted(RECORDS, key=itemgetter(0, 1)):
        origin = {"token": token, "dialect": dialect, "triggers": triggers, "patch": msgspec.json.decode(patch)}
        record = {"kind": "change", "database": database, "time": time, "profile": profile, "version": version} | origin
        place = max(at for at, line in enumerate(lines) if line.get("database") == database)
        lines.insert(place + 1, record)
    lines[0]["format"], lines[-1]["lines"] = 1, len(lines) - 1
    for line in lines:
        if line["kind"] == "token":
            del line["name"]
    return [msgspec.json.encode(line) + b"\n" for line in lines]


@pytest.mark.parametrize("engine", ["memory", *OLD])
async def test_a_dump_of_the_first_format_gets_its_ledgers(engine: str, tmp_path: Path) -> None:
    old = await open_store(old_sqlite(tmp_path))
    dump = await dump_of(old)
    await old.close()
    urls = {
        "memory": lambda: "memory:",
        "sqlite": lambda: f"sqlite:///{tmp_path}/new.db",
        "postgresql": postgresql.fresh,
    }
    store = await open_store(urls[engine](), create=True)
    for _ in range(2):
        await load(store, first_format(dump))
        assert await ledgers_of(store) == LEDGERS
        assert await dump_of(store) == dump
    await store.close()
