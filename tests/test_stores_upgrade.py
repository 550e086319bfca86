"""A store of each earlier layout, with a row of every kind that it had: everything is there after the upgrade."""

from pathlib import Path
from typing import Any

import apsw
import orjson
import psycopg
import pytest
from msgspec import structs

from gateway.core.model import Database, EditResult, Fact, IdempotencyKey, Ledger, Profile, Resource, Token, Write
from gateway.core.segments import Segment
from gateway.stores import open_store
from gateway.stores.postgresql import layout as postgresql_layout
from gateway.stores.protocol import Store
from gateway.stores.sqlite import layout as sqlite_layout
from tests.stores import change, postgresql

pytestmark = pytest.mark.anyio


OPT_OUT = {"channel": "email", "email": "ann@x.de", "status": "unsubscribed"}
DOCUMENT = {"email": "ann@x.de", "subscriptions": [OPT_OUT], "custom": {"long": 2**53, "é": [1.5, None, "\u2028"]}}
ANN = Profile("ann", DOCUMENT, 3, 10, 20)
JOB = {"profiles": ["ann"], "failures": [{"index": 1, "faults": [], "sent": {"b": 1}}], "lists": [5]}
LEDGER = Ledger(1, {"": {"unsubscribed": Fact(20, 1)}})

ROWS: dict[str, dict[str, Any]] = {
    "databases": {"id": 1, "name": "one", "closed": 0, "fields": '{"type":"object"}', "company_id": "demo"},
    "tokens": {"hash": "h", "id": "t1", "database": 1, "rights": "read write", "created": 1, "revoked": 0, "name": ""},
    "resources": {"database": 1, "id": 5, "name": "news", "categories": '["a"]', "fields": "{}"},
    "segments": {"database": 1, "id": 7, "name": "vip"},
    "profiles": {
        "database": 1,
        "id": "ann",
        "document": orjson.dumps(DOCUMENT).decode(),
        "version": 3,
        "created": 10,
        "updated": 20,
    },
    "identities": {"database": 1, "kind": "email", "value": "ann@x.de", "profile": "ann"},
    "changes": {
        "database": 1,
        "time": 20,
        "profile": "ann",
        "version": 3,
        "token": "t1",
        "dialect": "altcraft",
        "triggers": 1,
        "patch": '[{"op":"add","path":"/email","value":"ann@x.de"}]',
    },
    "jobs": {
        "database": 1,
        "id": "j1",
        "created": 5,
        "total": 2,
        "failed": 1,
        "outcome": orjson.dumps(JOB).decode(),
        "kind": "import",
    },
    "once": {
        "database": 1,
        "key": "/k",
        "fingerprint": "2:f",
        "until": 2**40,
        "profile": orjson.dumps(
            [False, {"id": "ann", "document": {}, "version": 3, "created": 10, "updated": 20}]
        ).decode(),
    },
    "ledgers": {
        "database": 1,
        "key": "email:ann@x.de",
        "address": "email:ann@x.de",
        "ledger": orjson.dumps({"number": 1, "facts": {"": {"unsubscribed": {"time": 20, "number": 1}}}}).decode(),
    },
}
"""By table, a row. An older layout has fewer tables and columns."""


def make_sqlite(folder: Path, version: int) -> str:
    file = folder / "old.db"
    connection = apsw.Connection(str(file))
    for step in sqlite_layout.MIGRATIONS[:version]:
        connection.execute(step)
    connection.pragma("user_version", version)
    for table, row in ROWS.items():
        columns = [name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")]
        if known := {name: value for name, value in row.items() if name in columns}:
            marks = ", ".join("?" * len(known))
            connection.execute(f"INSERT INTO {table} ({', '.join(known)}) VALUES ({marks})", tuple(known.values()))
    connection.close()
    return f"sqlite:///{file}"


def make_postgresql(_folder: Path, version: int) -> str:
    url = postgresql.fresh()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE layout (version bigint NOT NULL)")
        connection.execute("INSERT INTO layout VALUES (%s)", (version,))
        for step in postgresql_layout.MIGRATIONS[:version]:
            connection.execute(step)
        for table, row in ROWS.items():
            types = dict(
                connection.execute(
                    """SELECT attname, atttypid::regtype::text FROM pg_attribute
                    WHERE attrelid = to_regclass(%s) AND attnum > 0""",
                    (table,),
                ).fetchall()
            )
            if known := {name: _value(value, types[name]) for name, value in row.items() if name in types}:
                marks = ", ".join(["%s"] * len(known))
                statement = f"INSERT INTO {table} ({', '.join(known)}) VALUES ({marks})"
                connection.execute(statement.encode(), tuple(known.values()))
    return url


def _value(value: Any, type: str) -> Any:
    return bool(value) if type == "boolean" else value


MAKERS = {"sqlite": (make_sqlite, sqlite_layout), "postgresql": (make_postgresql, postgresql_layout)}


EARLIER_LAYOUTS = [
    (engine, version) for engine, (_, layout) in MAKERS.items() for version in range(1, len(layout.MIGRATIONS))
]


@pytest.mark.parametrize(("engine", "version"), EARLIER_LAYOUTS)
async def test_everything_of_an_earlier_layout_is_there_after_the_upgrade(
    engine: str, version: int, tmp_path: Path
) -> None:
    make, layout = MAKERS[engine]
    url = make(tmp_path, version)
    for _ in range(2):
        store = await open_store(url)
        await require_rows(store, tables_of(layout.MIGRATIONS[:version]))
        await store.close()
    store = await open_store(url)
    await require_writable(store)
    await store.close()


def tables_of(steps: tuple[str, ...]) -> set[str]:
    return {table for table in ROWS if any(f"CREATE TABLE {table} (" in step for step in steps)}


async def require_rows(store: Store, tables: set[str]) -> None:
    resources, segments = {5: Resource(5, "news", ("a",))}, {7: Segment(7, "vip")}
    assert await store.databases() == [Database(1, "one", False, {"type": "object"}, "demo", resources, segments)]
    assert await store.tokens() == [Token("t1", "h", 1, frozenset({"read", "write"}), 1)]
    assert await store.find(1, [("email", "ann@x.de")]) == [ANN]
    # A layout without ledgers had the opt-out in the profile alone.
    assert await store.ledgers(1, ["email:ann@x.de"]) == {"email:ann@x.de": LEDGER}
    if "jobs" in tables:
        job = await store.job(1, "j1")
        assert job is not None
        assert (job.total, job.failed, job.profiles, job.lists, job.kind) == (2, 1, ("ann",), (5,), "import")
    if "once" in tables:
        repeated = structs.replace(change(lambda _: EditResult(None)), once=IdempotencyKey("/k", "2:f", 2**40))
        [result] = await store.change([repeated])
        assert isinstance(result, EditResult)
        assert result.profile is not None
        assert result.profile.id == "ann"


async def require_writable(store: Store) -> None:
    """Write to the upgraded store, and read it from the profile and from the journal."""
    bob = Profile("bob", {"email": "bob@x.de"}, 1, 30, 30)
    write = Write(None, bob, frozenset({("email", "bob@x.de")}))
    await store.change([change(lambda _: EditResult(bob, (write,)), ("email", "bob@x.de"))])
    assert await store.find(1, [("email", "bob@x.de")]) == [bob]
    entries = await store.journal(1, 0, 10)
    assert entries[-1].profile == "bob"
