"""The engine for several machines: PostgreSQL, one server or a cluster with one primary.

Any number of processes may use it. Changes go through the one queue of this process, all else directly to the server.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any, TypeVar

import orjson
import psycopg

from gateway.core.faults import Refusal
from gateway.core.model import (
    Address,
    Change,
    EditResult,
    Erasure,
    Identity,
    Job,
    JobCursor,
    JournalEntry,
    JournalRange,
    Ledger,
    Position,
    Profile,
    RecordedMerge,
)
from gateway.stores.erasure import erase_some
from gateway.stores.errors import Duplicate, Missing, Unavailable
from gateway.stores.group_commit import GroupCommit
from gateway.stores.listing import ADD_JOB, PageSyntax, SqlListing
from gateway.stores.observer import StoreObserver
from gateway.stores.postgresql.connections import Connection, Engine, close_on_failure, to_psycopg, transaction
from gateway.stores.postgresql.erasure import ERASURE_SQL, REFUSED_SQL, compact, occurrences, run_statements
from gateway.stores.postgresql.group import run_together
from gateway.stores.postgresql.journal import (
    RANGE,
    READ_MERGE,
    entries_statement,
    entry_of_row,
    merge_of_row,
    merges_statement,
    prune_journal,
    range_of_row,
    removals_statement,
)
from gateway.stores.postgresql.layout import migrate, require_layout
from gateway.stores.postgresql.locks import table_key
from gateway.stores.postgresql.registry_version import RegistryVersion, increment
from gateway.stores.postgresql.snapshot import BEGIN, PostgresqlSnapshot, restore
from gateway.stores.postgresql.text_encoding import index_text
from gateway.stores.protocol import Record
from gateway.stores.refused import SqlRefused
from gateway.stores.registry import SqlRegistry, Statement
from gateway.stores.rows import Row, job_row, ledger_of
from gateway.stores.statements import Statements
from gateway.stores.subscribers import SqlSubscribers

FIND = """SELECT id, document, version, created, updated FROM profiles WHERE database = %(database)s AND id = ANY (
    SELECT profile FROM unnest(%(kinds)b::text[], %(values)b::text[]) AS wanted (kind, value)
        JOIN identities USING (kind, value) WHERE database = %(database)s
    UNION SELECT unnest(%(ids)b::text[])) ORDER BY id"""
PRUNE_JOBS = """WITH old AS (SELECT old.* FROM databases, LATERAL (
        SELECT database, id FROM jobs WHERE database = databases.id AND created < %(before)s
        LIMIT %(limit)s FOR UPDATE SKIP LOCKED) AS old LIMIT %(limit)s)
    DELETE FROM jobs USING old WHERE jobs.database = old.database AND jobs.id = old.id"""
T = TypeVar("T")

STORE_ID = "SELECT id FROM store"
LEDGERS = "SELECT address, ledger FROM ledgers WHERE database = %s AND key = ANY (%s::text[])"
REWRITE_REGISTRY_VERSION = "UPDATE epoch SET number = number"
STATE = "SELECT current_setting('transaction_read_only') = 'on', (SELECT version FROM layout)"

# PostgreSQL reads no member of a document that has a NUL anywhere: the sort uses the next character instead.
MEMBER = r"""COALESCE(replace(document, '\u0000', '\u0001')::json ->> %(member)s, %(last)s) COLLATE "C" """

MAX_PAGE_READS = 2
"""Pages that are read at the same time. A page may read a whole database: the other connections are for other calls."""

MAX_GROUP_CHANGES = 256
"""Changes in one transaction. Each needs some locks, and the server's table of locks is limited: see
max_locks_per_transaction."""


async def open(url: str, create: bool) -> "PostgresqlStore":
    """Return the store of `postgresql://user:password@host:port,host:port/name`. Create or migrate its tables.

    The URL is libpq's, which may name several hosts: the one that accepts writes is used. Raises `ValueError` on
    another URL, `Unavailable` where no server can be used, where a newer version wrote the database, where its encoding
    is not UTF-8, or where it has no store and `create` is false.
    """
    engine = Engine(url)
    try:
        connection = await engine.connect()
        async with close_on_failure(connection):
            await migrate(connection, create)
            [[id]] = await (await connection.execute(STORE_ID)).fetchall()
            version = RegistryVersion(engine)
            await version.begin(connection)
            return PostgresqlStore(engine, version, id)
    except psycopg.Error as error:
        raise Unavailable(str(error)) from error


class PostgresqlStore(SqlRegistry, SqlListing, SqlSubscribers, SqlRefused):
    """A `Store` on some connections, one of which listens for changes of the registry."""

    REFUSED_SQL = REFUSED_SQL
    PAGE_SYNTAX = PageSyntax("%({})s", MEMBER, str, lambda value: value.replace("\x00", "\x01"), index_text)
    file = None
    checks_registry = False

    def __init__(self, engine: Engine, version: RegistryVersion, id: str) -> None:
        self.id = id
        self._engine = engine
        self._version = version
        self._page_room = asyncio.Semaphore(MAX_PAGE_READS)
        self._queue = GroupCommit(self._run, MAX_GROUP_CHANGES)

    def change(self, changes: Sequence[Change]) -> Awaitable[list[EditResult | Refusal]]:
        return self._queue.run(changes)

    def observe(self, observer: StoreObserver) -> None:
        self._queue.observer = observer

    async def find(self, database: int, identities: Sequence[Identity]) -> list[Profile]:
        keys = [table_key((database, kind, value))[1:] for kind, value in identities]
        values = {
            "database": database,
            "ids": [value for kind, value in identities if kind == "id"],
            "kinds": [kind for kind, _ in keys],
            "values": [value for _, value in keys],
        }
        rows = await self._fetch(FIND, values)
        return [Profile(id, orjson.loads(document), *rest) for id, document, *rest in rows]

    async def ledgers(self, database: int, addresses: Sequence[Address]) -> dict[Address, Ledger]:
        rows = await self._fetch(LEDGERS, (database, list(map(index_text, addresses))))
        return {address: ledger_of(text) for address, text in rows}

    async def add_job(self, database: int, job: Job) -> None:
        await self._write((to_psycopg(ADD_JOB), job_row(database, job)))

    async def journal(
        self, database: int, after: Position, limit: int, profile: str | None = None
    ) -> list[JournalEntry]:
        rows = await self._fetch(*entries_statement(database, after, limit, profile))
        return list(map(entry_of_row, rows))

    async def removals(self, database: int, after: Position, limit: int) -> list[JournalEntry]:
        return list(map(entry_of_row, await self._fetch(*removals_statement(database, after, limit))))

    async def merge(self, database: int, id: str) -> list[JournalEntry]:
        return list(map(entry_of_row, await self._fetch(READ_MERGE, (database, id))))

    async def merges(
        self, database: int, before: Position | None, limit: int, profile: str | None = None
    ) -> list[RecordedMerge]:
        return list(map(merge_of_row, await self._fetch(*merges_statement(database, before, limit, profile))))

    async def journal_range(self, database: int) -> JournalRange:
        [positions] = await self._fetch(RANGE, {"database": database})
        return range_of_row(positions)

    async def prune(self, before: int, limit: int, keep_from: Mapping[int, Position] = MappingProxyType({})) -> int:
        values = {"before": before, "limit": limit}

        async def remove(connection: Connection) -> int:
            async with transaction(connection):
                count = await prune_journal(connection, before, limit, keep_from)
                return count + await _execute(connection, [(PRUNE_JOBS, values)])

        return await self._engine.run(remove)

    async def erase(self, database: int, erasure: Erasure, after: JobCursor) -> JobCursor | None:
        async def run(connection: Connection) -> JobCursor | None:
            async with transaction(connection):
                return await run_statements(connection, erase_some(ERASURE_SQL, database, erasure, after))

        return await self._engine.run(run)

    async def occurrences(self, texts: Collection[str]) -> dict[str, int]:
        return await self._apart(lambda connection: occurrences(connection, texts))

    async def compact(self) -> None:
        await self._apart(compact)

    async def _apart(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Run work on a connection of its own, without the limits on the time and the plan of a statement."""
        try:
            connection = await self._engine.connect()
            try:
                await connection.execute("RESET ALL")
                return await work(connection)
            finally:
                await connection.close()
        except psycopg.Error as error:
            raise Unavailable(str(error)) from error

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[PostgresqlSnapshot]:
        try:
            connection = await self._engine.connect()
            async with close_on_failure(connection):
                await connection.execute(BEGIN)
        except psycopg.Error as error:
            raise Unavailable(str(error)) from error
        snapshot = PostgresqlSnapshot(connection)
        try:
            yield snapshot
        finally:
            await snapshot.close()

    async def restore(self, database: int, records: Sequence[Record]) -> int:
        async def run(connection: Connection) -> int:
            async with transaction(connection):
                return await restore(connection, database, records)

        return await self._engine.run(run)

    def registry_version(self) -> int:
        return self._version.number()

    async def ready(self) -> None:
        # A standby responds too, but accepts no change.
        [[is_read_only, version]] = await self._fetch(STATE)
        if is_read_only:
            raise Unavailable("the server cannot be written to")
        require_layout(version)
        if self._engine.is_full:
            await self._write((REWRITE_REGISTRY_VERSION, ()))
            self._engine.is_full = False

    async def close(self) -> None:
        await self._queue.close()
        await self._version.close()
        await self._engine.close()

    async def _run(self, changes: Sequence[Change]) -> list[Any]:
        """Run the first of the changes in one transaction, or of their first half where that fails. Return the results.

        A transaction has as many changes as it should have, and one at least.
        """
        try:
            return await self._engine.run(lambda connection: run_together(connection, changes, self._queue.observer))
        except Unavailable as error:
            return [error for _ in changes]
        except Exception as error:
            # One change failed, and the rollback undid the other changes too; or they need more locks than the server
            # has. Nothing is stored, and edits may run again: so the changes are divided until the one fails alone.
            half = len(changes) // 2
            return await self._run(changes[:half]) if half else [_failure(error)]

    async def _read(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        return await self._fetch(to_psycopg(sql), values)

    async def _read_page(self, sql: str, values: Mapping[str, Any]) -> list[Row]:
        async with self._page_room:
            return await self._fetch(sql, values)

    async def _fetch(self, sql: str, values: Any = ()) -> list[Row]:
        async def fetch(connection: Connection) -> list[Row]:
            return await (await connection.execute(sql, values)).fetchall()

        return await self._engine.run(fetch)

    async def _write(self, *statements: tuple[str, Any]) -> int:
        """Run the statements in one step. Return how many rows they wrote."""

        async def write(connection: Connection) -> int:
            async with transaction(connection):
                return await _execute(connection, statements)

        return await self._engine.run(write)

    async def _alter(self, *statements: Statement) -> bool:
        async def alter(connection: Connection) -> bool:
            (sql, values), *others = statements
            async with transaction(connection):
                is_altered = (await connection.execute(to_psycopg(sql), values)).rowcount > 0
                if is_altered:
                    await _execute(connection, [(to_psycopg(sql), values) for sql, values in others])
                return is_altered

        return await self._engine.run(alter)

    async def _run_statements(self, make: Callable[[], Statements]) -> None:
        async def run(connection: Connection) -> None:
            async with transaction(connection):
                await run_statements(connection, make())

        await self._engine.run(run)

    async def _register(self, *statements: Statement) -> None:
        async def register(connection: Connection) -> int:
            async with transaction(connection):
                if not await _execute(connection, [(to_psycopg(sql), values) for sql, values in statements]):
                    raise Missing("there is no such row")
                return await increment(connection)

        try:
            self._version.advance(await self._engine.run(register))
        except psycopg.errors.UniqueViolation as error:
            raise Duplicate(str(error)) from error
        except psycopg.errors.ForeignKeyViolation as error:
            raise Missing(str(error)) from error


async def _execute(connection: Connection, statements: Sequence[tuple[str, Any]]) -> int:
    """Run the statements. Return how many rows they wrote."""
    return sum([(await connection.execute(sql, values)).rowcount for sql, values in statements])


def _failure(error: Exception) -> Exception:
    """Return the exception of a change that failed alone."""
    return Unavailable(str(error)) if isinstance(error, psycopg.errors.OutOfMemory) else error
