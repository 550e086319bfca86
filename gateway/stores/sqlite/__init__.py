"""The embedded engine: one SQLite file with a write-ahead log, synced at every commit.

Changes and the registry's writes go through the one writer of this process; other processes may use the same file.
Reads are made where they are asked for: finding a profile costs less than the hop to another thread and back.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote, urlsplit

import apsw
import orjson

from gateway.core.faults import Refusal
from gateway.core.model import (
    Change,
    ChangeRecord,
    Database,
    EditResult,
    Identity,
    Job,
    Profile,
    Query,
    Resource,
    Segment,
    Token,
)
from gateway.stores.errors import Duplicate, Missing, Unavailable
from gateway.stores.group_commit import GroupCommit
from gateway.stores.protocol import Past
from gateway.stores.rows import job_of, job_row, recorded_of, settled
from gateway.stores.sqlite.group import by_id, look_up, text
from gateway.stores.sqlite.layout import CACHE, CACHE_OF_WRITER, OUT_OF_ORDER, connect, migrate
from gateway.stores.sqlite.listing import ADD_JOB, JOB, PRUNE_JOBS, jobs_of, profiles_of
from gateway.stores.sqlite.snapshot import Snapshot, restore
from gateway.stores.sqlite.writer import Checkpoints, Writer

CHANGES = """SELECT time, rowid, profile, version, token, dialect, triggers, patch FROM changes
    WHERE database = ? AND (time, rowid) > (?, ?) ORDER BY time, rowid LIMIT ?"""
PRUNE = """DELETE FROM changes WHERE rowid IN (
    SELECT changes.rowid FROM databases CROSS JOIN changes ON database = databases.id WHERE time < ? LIMIT ?)"""
ADD_DATABASE = "INSERT INTO databases VALUES (?, ?, ?, ?, ?)"
ADD_RESOURCE = "INSERT INTO resources VALUES (?, ?, ?, ?, ?)"
ADD_SEGMENT = "INSERT INTO segments VALUES (?, ?, ?)"
ADD_TOKEN = "INSERT INTO tokens VALUES (?, ?, ?, ?, ?, ?)"
REVOKE_TOKEN = "UPDATE tokens SET revoked = 1 WHERE id = ?"

CHANGES_AT_ONCE = 500

LARGEST_GROUP = 128
"""Changes in one transaction: they have the event loop for some 5 ms, and then others have it."""

BROKEN = {
    apsw.SQLITE_CONSTRAINT_PRIMARYKEY: Duplicate,
    apsw.SQLITE_CONSTRAINT_UNIQUE: Duplicate,
    apsw.SQLITE_CONSTRAINT_FOREIGNKEY: Missing,
}
"""What a broken constraint of the registry means."""

Statement: TypeAlias = "tuple[str, tuple[Any, ...]]"


async def open(url: str) -> "Sqlite":
    """The store of `sqlite:///relative.db` or `sqlite:////absolute.db`; the file is made or migrated where needed.

    Raises `ValueError` on another URL, `Unavailable` where the file cannot be used or was written by a newer version.
    """
    file = _file_of(url)
    try:
        connections = [connect(file, cache) for cache in (CACHE_OF_WRITER, CACHE, CACHE, CACHE)]
        migrate(connections[0])
    except OUT_OF_ORDER as error:
        raise Unavailable(f"{file}: {error}") from error
    return Sqlite(*connections)


def _file_of(url: str) -> str:
    parts = urlsplit(url)
    if parts.netloc or not parts.path[1:] or parts.query:
        raise ValueError(f"{url!r} is no store: use sqlite:///FILE, with four strokes where FILE begins with one")
    return str(Path(unquote(parts.path[1:])).absolute())


class Sqlite:
    """A `Store` on four connections to one file: one writes, one finds, one lists, one moves the log into the file."""

    def __init__(
        self, writing: apsw.Connection, reading: apsw.Connection, listing: apsw.Connection, moving: apsw.Connection
    ) -> None:
        self._connections = writing, reading, listing, moving
        self._reader, self._lister = reading, listing
        self._reader.pragma("query_only", True)
        self._lister.pragma("query_only", True)
        self._listing = asyncio.Lock()
        self._checkpoints = Checkpoints(writing, moving)
        self._writer = Writer(writing, self._checkpoints)
        self._queue = GroupCommit(self._writer.run, LARGEST_GROUP)

    async def change(self, changes: Sequence[Change]) -> list[EditResult | Refusal]:
        return settled(await self._queue.run(changes))

    async def find(self, database: int, identities: Sequence[Identity]) -> list[Profile]:
        found = look_up(self._read, [(database, kind, value) for kind, value in identities])
        return by_id(chain(*found.values()))

    async def page(self, database: int, query: Query) -> list[Profile]:
        rows = await self._list(*profiles_of(database, query))
        return [Profile(id, orjson.loads(document), *rest) for id, document, *rest in rows]

    async def add_job(self, database: int, job: Job) -> None:
        def add(connection: apsw.Connection) -> None:
            connection.execute(ADD_JOB, job_row(database, job))

        settled(await self._queue.run([add]))

    async def job(self, database: int, id: str) -> Job | None:
        rows = self._read(JOB, (database, id))
        return job_of(rows[0]) if rows else None

    async def jobs(self, database: int, kind: str, query: Query) -> list[Job]:
        return [
            Job(id, created, total, failed, kind=kind)
            for id, created, total, failed in await self._list(*jobs_of(database, kind, query))
        ]

    async def changes(self, database: int, since: int = 0) -> AsyncIterator[ChangeRecord]:
        # Page by page: a read transaction held open over a consumer's pauses would keep the log from being emptied.
        after = (since, 0)
        while rows := self._read(CHANGES, (database, *after, CHANGES_AT_ONCE)):
            for time, _, *rest in rows:
                yield recorded_of((database, time, *rest))
            after = rows[-1][:2]

    async def prune(self, before: int, limit: int) -> int:
        def forget(connection: apsw.Connection) -> int:
            connection.execute(PRUNE, (before, limit))
            gone = connection.changes()
            connection.execute(PRUNE_JOBS, (before, limit))
            return gone + connection.changes()

        [gone] = settled(await self._queue.run([forget]))
        return int(gone)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        try:
            connection = connect(self._reader.filename)
            connection.execute("BEGIN; SELECT number FROM epoch")
        except OUT_OF_ORDER as error:
            raise Unavailable(str(error)) from error
        with closing(connection):
            yield Snapshot(connection)

    async def restore(self, database: int, past: Sequence[Past]) -> int:
        [new] = settled(await self._queue.run([lambda connection: restore(connection, database, past)]))
        return int(new)

    def epoch(self) -> int:
        [[number]] = self._read("SELECT number FROM epoch")
        return int(number)

    async def databases(self) -> list[Database]:
        resources: dict[int, dict[int, Resource]] = defaultdict(dict)
        for database, id, name, categories, fields in self._read("SELECT * FROM resources ORDER BY database, id"):
            known = tuple(orjson.loads(categories))
            resources[database][id] = Resource(id, name, known, orjson.loads(fields))
        segments: dict[int, dict[int, Segment]] = defaultdict(dict)
        for database, id, name in self._read("SELECT * FROM segments ORDER BY database, id"):
            segments[database][id] = Segment(id, name)
        return [
            Database(id, name, bool(closed), orjson.loads(fields), company_id, resources[id], segments[id])
            for id, name, closed, fields, company_id in self._read("SELECT * FROM databases ORDER BY id")
        ]

    async def tokens(self) -> list[Token]:
        return [
            Token(id, hash, database, frozenset(rights.split()), created, bool(revoked))
            for hash, id, database, rights, created, revoked in self._read("SELECT * FROM tokens ORDER BY created, id")
        ]

    async def add_database(self, database: Database) -> None:
        fields = text(database.fields)
        await self._register(
            (ADD_DATABASE, (database.id, database.name, database.closed, fields, database.company_id)),
            *(_adding_resource(database.id, resource) for resource in database.resources.values()),
            *(_adding_segment(database.id, segment) for segment in database.segments.values()),
        )

    async def add_token(self, token: Token) -> None:
        rights = " ".join(sorted(token.rights))
        values = token.hash, token.id, token.database, rights, token.created, token.revoked
        await self._register((ADD_TOKEN, values))

    async def revoke_token(self, id: str) -> None:
        await self._register((REVOKE_TOKEN, (id,)))

    async def add_resource(self, database: int, resource: Resource) -> None:
        await self._register(_adding_resource(database, resource))

    async def add_segment(self, database: int, segment: Segment) -> None:
        await self._register(_adding_segment(database, segment))

    async def ready(self) -> None:
        # An empty step takes the write lock and commits: whoever waits for changes gets as far as this.
        settled(await self._queue.run([lambda _connection: None]))

    async def close(self) -> None:
        await self._queue.close()
        await asyncio.to_thread(self._let_go)

    def _let_go(self) -> None:
        self._writer.close()
        self._checkpoints.close()
        for connection in self._connections:
            # Where no other process has the file open, SQLite moves the log into it now and removes the log.
            connection.close()

    async def _list(self, sql: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
        """Reads beside the event loop: a page may read through a whole database."""
        async with self._listing:
            try:
                return await asyncio.to_thread(lambda: self._lister.execute(sql, values).fetchall())
            except OUT_OF_ORDER as error:
                raise Unavailable(str(error)) from error

    def _read(self, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        try:
            return self._reader.execute(sql, values).fetchall()
        except OUT_OF_ORDER as error:
            raise Unavailable(str(error)) from error

    async def _register(self, *statements: Statement) -> None:
        """Runs the statements in one step that also moves the epoch. Raises `Duplicate` or `Missing`."""

        def register(connection: apsw.Connection) -> None:
            try:
                for sql, values in statements:
                    connection.execute(sql, values)
            except apsw.ConstraintError as error:
                meaning = BROKEN.get(error.extendedresult, type(error))  # type: ignore[attr-defined]  # not in its stubs
                raise meaning(str(error)) from error
            if not connection.changes():
                raise Missing("there is no such row")
            connection.execute("UPDATE epoch SET number = number + 1")

        settled(await self._queue.run([register]))


def _adding_resource(database: int, resource: Resource) -> Statement:
    return ADD_RESOURCE, (database, resource.id, resource.name, text(resource.categories), text(resource.fields))


def _adding_segment(database: int, segment: Segment) -> Statement:
    return ADD_SEGMENT, (database, segment.id, segment.name)
