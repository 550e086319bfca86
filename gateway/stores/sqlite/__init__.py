"""The embedded engine: one SQLite file with a write-ahead log, synced at every commit.

Changes and the registry's writes go through the one writer of this process. Other processes may use the same file.
Profiles are looked up on the event loop: that costs less than a switch to another thread and back.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import apsw

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
from gateway.stores.protocol import Record
from gateway.stores.refused import SqlRefused
from gateway.stores.registry import SqlRegistry, Statement
from gateway.stores.rows import Row, job_row
from gateway.stores.sqlite.checkpoints import Checkpoints
from gateway.stores.sqlite.connections import CACHE_KIB, ENGINE_FAILURES, WRITER_CACHE_KIB, connect
from gateway.stores.sqlite.erasure import ERASURE_SQL, REFUSED_SQL, run_statements
from gateway.stores.sqlite.file import FileCheck, create_file, has_mark, require_room, warn_of_rights
from gateway.stores.sqlite.group import REGISTRY_VERSION, find_ledgers, find_profiles
from gateway.stores.sqlite.journal import (
    prune_journal,
    read_journal,
    read_merge,
    read_merges,
    read_range,
    read_removals,
)
from gateway.stores.sqlite.layout import migrate, new_content, require_layout, require_own_tables
from gateway.stores.sqlite.search import empty_log, occurrences
from gateway.stores.sqlite.snapshot import SqliteSnapshot, restore
from gateway.stores.sqlite.writer import Writer
from gateway.stores.statements import Statements
from gateway.stores.subscribers import SqlSubscribers

PRUNE_JOBS = "DELETE FROM jobs WHERE rowid IN (SELECT rowid FROM jobs WHERE created < ? LIMIT ?)"
INCREMENT_REGISTRY_VERSION = "UPDATE epoch SET number = number + 1"
REWRITE_REGISTRY_VERSION = "UPDATE epoch SET number = number"
T = TypeVar("T")

STORE_ID = "SELECT id FROM store"
LAYOUT_VERSION = "PRAGMA user_version"

MAX_GROUP_CHANGES = 128
"""Changes in one transaction: they use the event loop for some 5 ms before other tasks continue."""

CONSTRAINT_ERRORS = {
    apsw.SQLITE_CONSTRAINT_PRIMARYKEY: Duplicate,
    apsw.SQLITE_CONSTRAINT_UNIQUE: Duplicate,
    apsw.SQLITE_CONSTRAINT_FOREIGNKEY: Missing,
}
"""The exception for each constraint of the registry."""


async def open(url: str, create: bool) -> "SqliteStore":
    """Return the store of `sqlite:///relative.db` or `sqlite:////absolute.db`. Create or migrate the file.

    Raises `ValueError` on another URL, `Unavailable` where the file cannot be used, or was written by a newer version
    or by another program, or does not exist and `create` is false.
    """
    file = _file_of(url)
    try:
        if create and not os.path.lexists(file):
            create_file(file, new_content())
        if not has_mark(file):
            require_own_tables(file)
        connections = [connect(file, cache) for cache in (WRITER_CACHE_KIB, CACHE_KIB, CACHE_KIB, CACHE_KIB)]
        migrate(connections[0])
    except OSError as error:
        raise Unavailable(f"{file}: {error.strerror}") from error
    except ENGINE_FAILURES as error:
        raise Unavailable(f"{file}: {error}") from error
    if create:
        warn_of_rights(file)  # each worker opens the file too, and need not repeat it
    return SqliteStore(*connections)


def _file_of(url: str) -> str:
    parts = urlsplit(url)
    if parts.netloc or unquote(parts.path[1:]) in ("", ":memory:") or "?" in url or "#" in url:
        form = "sqlite:///FILE or sqlite:////ABSOLUTE/FILE, with %23 for # and %3F for ?"
        raise ValueError(f"{url!r} is not the URL of a SQLite file: use {form}")
    return str(Path(unquote(parts.path[1:])).absolute())


class SqliteStore(SqlRegistry, SqlListing, SqlSubscribers, SqlRefused):
    """A `Store` on four connections to one file: for writes, look-ups, pages and checkpoints."""

    checks_registry = True
    REFUSED_SQL = REFUSED_SQL
    PAGE_SYNTAX = PageSyntax(":{}", "COALESCE(json_extract(document, :member), :last)", '$."{}"'.format, str)

    def __init__(
        self, writer: apsw.Connection, reader: apsw.Connection, pages: apsw.Connection, checkpoints: apsw.Connection
    ) -> None:
        self.file: str | None = writer.filename
        self._connections = writer, reader, pages, checkpoints
        self._reader, self._page_reader = reader, pages
        writer.pragma("temp_store", "MEMORY")  # else a statement copies the pages that it changes to a file in /var/tmp
        self._reader.pragma("query_only", True)
        self._page_reader.pragma("query_only", True)
        self._page_lock = asyncio.Lock()
        self._file_check = FileCheck(writer)
        [[self.id]] = self._execute(STORE_ID)
        self._checkpoints = Checkpoints(writer, checkpoints)
        self._writer = Writer(writer, self._checkpoints, self._file_check)
        self._queue = GroupCommit(self._writer.run, MAX_GROUP_CHANGES)
        self.change: Callable[[Sequence[Change]], Awaitable[list[EditResult | Refusal]]] = self._queue.run

    def observe(self, observer: StoreObserver) -> None:
        self._queue.observer = self._writer.observer = observer

    async def find(self, database: int, identities: Sequence[Identity]) -> list[Profile]:
        return find_profiles(self._execute, [(database, kind, value) for kind, value in identities])

    async def ledgers(self, database: int, addresses: Sequence[Address]) -> dict[Address, Ledger]:
        return find_ledgers(self._execute, database, addresses)

    async def add_job(self, database: int, job: Job) -> None:
        def add(connection: apsw.Connection) -> None:
            connection.execute(ADD_JOB, job_row(database, job))

        await self._queue.run([add])

    async def journal(
        self, database: int, after: Position, limit: int, profile: str | None = None
    ) -> list[JournalEntry]:
        return read_journal(self._execute, database, after, limit, profile)

    async def removals(self, database: int, after: Position, limit: int) -> list[JournalEntry]:
        return read_removals(self._execute, database, after, limit)

    async def merge(self, database: int, id: str) -> list[JournalEntry]:
        return read_merge(self._execute, database, id)

    async def merges(
        self, database: int, before: Position | None, limit: int, profile: str | None = None
    ) -> list[RecordedMerge]:
        return read_merges(self._execute, database, before, limit, profile)

    async def journal_range(self, database: int) -> JournalRange:
        return read_range(self._execute, database)

    async def prune(self, before: int, limit: int, keep_from: Mapping[int, Position] = MappingProxyType({})) -> int:
        def remove(connection: apsw.Connection) -> int:
            count = prune_journal(connection, before, limit, keep_from)
            connection.execute(PRUNE_JOBS, (before, limit))
            return count + connection.changes()

        [count] = await self._queue.run([remove])
        return int(count)

    async def erase(self, database: int, erasure: Erasure, after: JobCursor) -> JobCursor | None:
        def run(connection: apsw.Connection) -> JobCursor | None:
            return run_statements(connection, erase_some(ERASURE_SQL, database, erasure, after))

        [place] = await self._queue.run([run])
        return place  # type: ignore[no-any-return]  # the result of the step

    async def occurrences(self, texts: Collection[str]) -> dict[str, int]:
        return await self._apart(lambda connection: occurrences(connection, texts))

    async def compact(self) -> None:
        await self._apart(lambda connection: connection.execute("VACUUM"))

    async def _apart(self, work: Callable[[apsw.Connection], T]) -> T:
        """Run work on a thread and a connection of its own, with an empty log before and after it."""
        self._file_check.require()

        def run() -> T:
            with closing(connect(self._reader.filename)) as connection:
                empty_log(connection)
                result = work(connection)
                empty_log(connection)
                return result

        try:
            return await asyncio.to_thread(run)
        except ENGINE_FAILURES as error:
            raise Unavailable(str(error)) from error

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[SqliteSnapshot]:
        self._file_check.require()
        try:
            connection = connect(self._reader.filename)
            connection.execute(f"BEGIN; {REGISTRY_VERSION}")
        except ENGINE_FAILURES as error:
            raise Unavailable(str(error)) from error
        with closing(connection):
            yield SqliteSnapshot(connection)

    async def restore(self, database: int, records: Sequence[Record]) -> int:
        [count] = await self._queue.run([lambda connection: restore(connection, database, records)])
        return int(count)

    def registry_version(self) -> int:
        [[number]] = self._execute(REGISTRY_VERSION)
        return int(number)

    async def ready(self) -> None:
        [[version]] = self._execute(LAYOUT_VERSION)
        require_layout(version)
        if self._writer.has_failed:
            await asyncio.to_thread(require_room, self._reader.filename)
        await self._queue.run([self._probe])

    async def close(self) -> None:
        await self._queue.close()
        await asyncio.to_thread(self._close_connections)

    def _close_connections(self) -> None:
        self._writer.close()
        self._checkpoints.close()
        for connection in self._connections:
            # Where no other process has the file open, SQLite writes the log into it now and removes the log.
            connection.close()

    def _probe(self, connection: apsw.Connection) -> None:
        """A step that commits, as a change does. It writes only after a failure: each write is a sync of the disk."""
        if self._writer.has_failed:
            connection.execute(REWRITE_REGISTRY_VERSION)

    async def _read(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        return self._execute(sql, values)

    async def _read_page(self, sql: str, values: Mapping[str, Any]) -> list[Row]:
        """Read on a thread and a connection of its own: a page may read a whole database, and delays no change."""
        self._file_check.require()
        async with self._page_lock:
            try:
                return await asyncio.to_thread(lambda: self._page_reader.execute(sql, values).fetchall())
            except ENGINE_FAILURES as error:
                raise Unavailable(str(error)) from error

    def _execute(self, sql: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[Row]:
        self._file_check.require()
        try:
            return self._reader.execute(sql, values).fetchall()
        except ENGINE_FAILURES as error:
            raise Unavailable(str(error)) from error

    async def _alter(self, *statements: Statement) -> bool:
        def alter(connection: apsw.Connection) -> bool:
            first, *others = statements
            connection.execute(*first)
            if not connection.changes():
                return False
            for statement in others:
                connection.execute(*statement)
            return True

        [is_altered] = await self._queue.run([alter])
        return bool(is_altered)

    async def _run_statements(self, make: Callable[[], Statements]) -> None:
        await self._queue.run([lambda connection: run_statements(connection, make())])

    async def _register(self, *statements: Statement) -> None:
        def register(connection: apsw.Connection) -> None:
            try:
                for sql, values in statements:
                    connection.execute(sql, values)
            except apsw.ConstraintError as error:
                kind = CONSTRAINT_ERRORS.get(error.extendedresult, type(error))  # type: ignore[attr-defined]  # not in its stubs
                raise kind(str(error)) from error
            if not connection.changes():
                raise Missing("there is no such row")
            connection.execute(INCREMENT_REGISTRY_VERSION)

        await self._queue.run([register])
