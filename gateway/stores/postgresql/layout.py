"""The tables in PostgreSQL, how a database is brought to them, and how texts are spelled in them.

The layout partitions: every key of profile data begins with the database, and no unique index lacks it.
No profile is read or written here.
"""

from hashlib import blake2b
from typing import Any, TypeAlias

from psycopg import AsyncConnection, postgres
from psycopg.abc import Buffer
from psycopg.adapt import Dumper, Loader
from psycopg.pq import Format

from gateway.stores.errors import Unavailable

Connection: TypeAlias = "AsyncConnection[tuple[Any, ...]]"

MIGRATING = 0x70726F66696C6573
"""The advisory lock of whoever changes the layout."""

LONGEST_NAME = 120

# Texts compare by code point ("C"), as Python's do. Documents are text, not json: PostgreSQL would parse each of them
# once more to check what orjson wrote, and jsonb would give numbers and the order of members back in a form of its own.
# The key of a change is its place in time, so one index both orders and partitions; `number` says which of two in the
# same millisecond came first. Pages of profiles keep some room, where an update then stays (HOT) and touches no index.
MIGRATIONS = (
    """
    CREATE TABLE databases (
        id bigint PRIMARY KEY, name text NOT NULL, closed boolean NOT NULL, fields text NOT NULL, company_id text UNIQUE
    );
    CREATE TABLE tokens (
        hash text PRIMARY KEY, id text COLLATE "C" NOT NULL UNIQUE, database bigint NOT NULL REFERENCES databases,
        rights text NOT NULL, created bigint NOT NULL, revoked boolean NOT NULL
    );
    CREATE TABLE resources (
        database bigint NOT NULL REFERENCES databases, id bigint NOT NULL, name text NOT NULL,
        categories text NOT NULL, fields text NOT NULL, PRIMARY KEY (database, id)
    );
    CREATE TABLE segments (
        database bigint NOT NULL REFERENCES databases, id bigint NOT NULL, name text NOT NULL,
        PRIMARY KEY (database, id)
    );
    CREATE TABLE epoch (number bigint NOT NULL);
    INSERT INTO epoch VALUES (1);
    CREATE TABLE profiles (
        database bigint NOT NULL, id text COLLATE "C" NOT NULL, document text NOT NULL, version bigint NOT NULL,
        created bigint NOT NULL, updated bigint NOT NULL, PRIMARY KEY (database, id)
    ) WITH (fillfactor = 85);
    CREATE TABLE identities (
        database bigint NOT NULL, kind text COLLATE "C" NOT NULL, value text COLLATE "C" NOT NULL,
        profile text COLLATE "C" NOT NULL, PRIMARY KEY (database, kind, value, profile)
    );
    CREATE TABLE changes (
        database bigint NOT NULL, time bigint NOT NULL, number bigint GENERATED ALWAYS AS IDENTITY,
        profile text COLLATE "C" NOT NULL, version bigint NOT NULL, token text NOT NULL, dialect text NOT NULL,
        triggers boolean NOT NULL, patch text NOT NULL, PRIMARY KEY (database, time, number)
    );
    CREATE TABLE jobs (
        database bigint NOT NULL, id text COLLATE "C" NOT NULL, created bigint NOT NULL, total bigint NOT NULL,
        failed bigint NOT NULL, outcome text NOT NULL, PRIMARY KEY (database, id)
    );
    CREATE INDEX jobs_in_time ON jobs (database, created, id);
    CREATE TABLE once (
        database bigint NOT NULL, key text COLLATE "C" NOT NULL, fingerprint text NOT NULL, until bigint NOT NULL,
        profile text NOT NULL, PRIMARY KEY (database, key)
    );
    CREATE INDEX once_in_time ON once (database, until);
    """,
    "ALTER TABLE jobs ADD COLUMN kind text NOT NULL DEFAULT 'import'",
)
"""The way from nothing to this version's layout. A released step is never altered: a change is a further step."""


async def migrate(connection: Connection) -> None:
    """Brings the database to this version's layout. Raises `Unavailable` where a newer version wrote it."""
    async with connection.transaction():
        # Of several processes that open a fresh database at once, the others find the work done.
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATING,))
        version = await _version(connection)
        if version > len(MIGRATIONS):
            known = len(MIGRATIONS)
            raise Unavailable(f"the database has layout {version}, this version knows {known}: use a newer one")
        for step in MIGRATIONS[version:]:
            await connection.execute(step)
        await connection.execute("UPDATE layout SET version = %s WHERE version <> %s", (len(MIGRATIONS),) * 2)


async def _version(connection: Connection) -> int:
    cursor = await connection.execute("SELECT to_regclass('layout') IS NULL")
    if (await cursor.fetchall())[0][0]:
        await connection.execute("CREATE TABLE layout (version bigint NOT NULL)")
        await connection.execute("INSERT INTO layout VALUES (0)")
    cursor = await connection.execute("SELECT version FROM layout")
    return int((await cursor.fetchall())[0][0])


def short(name: str) -> str:
    """A name that fits into an index: the long ones by their beginning and a digest. No two names share one."""
    if len(name) <= LONGEST_NAME:
        return name
    return name[:LONGEST_NAME] + blake2b(name.encode(), digest_size=32).hexdigest()


class Spelled(Dumper):
    """A text as PostgreSQL can hold it: it knows no NUL. The spelling keeps the order of texts."""

    oid = postgres.types["text"].oid

    def dump(self, obj: str) -> Buffer:
        if "\x00" in obj or "\x01" in obj:
            obj = obj.replace("\x01", "\x01\x02").replace("\x00", "\x01\x01")
        return obj.encode()


class SpelledInArrays(Spelled):
    """The same in arrays, which go in binary: as text each quotation mark of a document would have to be escaped."""

    format = Format.BINARY


class Plain(Loader):
    """The way back."""

    def load(self, data: Buffer) -> str:
        text = bytes(data).decode()
        return text.replace("\x01\x01", "\x00").replace("\x01\x02", "\x01") if "\x01" in text else text
