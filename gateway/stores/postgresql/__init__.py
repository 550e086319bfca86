"""The engine for more than one machine: PostgreSQL, on one server or a cluster of which one can be written to.

Any number of processes may use it. Changes go through the one queue of this process, all else straight to the server.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import orjson
import psycopg

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
from gateway.stores.postgresql.connections import Engine, closed_on_failure, transaction
from gateway.stores.postgresql.epoch import Epoch, follow, move
from gateway.stores.postgresql.group import run_together, text
from gateway.stores.postgresql.layout import Connection, migrate
from gateway.stores.postgresql.listing import ADD_JOB, JOB, jobs_of, profiles_of
from gateway.stores.postgresql.locks import spelled
from gateway.stores.postgresql.snapshot import BEGIN, Snapshot, restore
from gateway.stores.protocol import Past
from gateway.stores.rows import job_of, job_row, recorded_of, settled

FIND = """SELECT id, document, version, created, updated FROM profiles WHERE database = %(database)s AND id = ANY (
    SELECT profile FROM unnest(%(kinds)b::text[], %(values)b::text[]) AS wanted (kind, value)
        JOIN identities USING (kind, value) WHERE database = %(database)s
    UNION SELECT unnest(%(ids)b::text[])) ORDER BY id"""
CHANGES = """SELECT time, number, profile, version, token, dialect, triggers, patch FROM changes
    WHERE database = %s AND (time, number) > (%s, %s) ORDER BY time, number LIMIT %s"""
PRUNE = """WITH old AS (SELECT old.* FROM databases, LATERAL (
        SELECT database, time, number FROM changes WHERE database = databases.id AND time < %(before)s
        LIMIT %(limit)s FOR UPDATE SKIP LOCKED) AS old LIMIT %(limit)s)
    DELETE FROM changes USING old
    WHERE changes.database = old.database AND changes.time = old.time AND changes.number = old.number"""
PRUNE_JOBS = """WITH old AS (SELECT old.* FROM databases, LATERAL (
        SELECT database, id FROM jobs WHERE database = databases.id AND created < %(before)s
        LIMIT %(limit)s FOR UPDATE SKIP LOCKED) AS old LIMIT %(limit)s)
    DELETE FROM jobs USING old WHERE jobs.database = old.database AND jobs.id = old.id"""
ADD_DATABASE = "INSERT INTO databases VALUES (%s, %s, %s, %s, %s)"
ADD_RESOURCE = "INSERT INTO resources VALUES (%s, %s, %s, %s, %s)"
ADD_SEGMENT = "INSERT INTO segments VALUES (%s, %s, %s)"
ADD_TOKEN = "INSERT INTO tokens VALUES (%s, %s, %s, %s, %s, %s)"
REVOKE_TOKEN = "UPDATE tokens SET revoked = true WHERE id = %s"

CHANGES_AT_ONCE = 500
LISTED_AT_ONCE = 2
"""Pages, which may read through a whole database: they leave connections to all who want little."""

Statement: TypeAlias = "tuple[str, tuple[Any, ...] | dict[str, Any]]"

LARGEST_GROUP = 256
"""A change takes some locks, for which the server has limited room: see max_locks_per_transaction."""


async def open(url: str) -> "Postgresql":
    """The store of `postgresql://user:password@host:port,host:port/name`; its tables are made or migrated where needed.

    The URL is libpq's, which may name several hosts: the one that can be written to is used. Raises `ValueError` on
    another URL, `Unavailable` where no server can be used or a newer version wrote the database.
    """
    engine = Engine(url)
    try:
        connection = await engine.connect()
        async with closed_on_failure(connection):
            await migrate(connection)
            return Postgresql(engine, await follow(engine, connection))
    except psycopg.Error as error:
        raise Unavailable(str(error)) from error


class Postgresql:
    """A `Store` on some connections, one of which listens for moves of the epoch."""

    def __init__(self, engine: Engine, epoch: Epoch) -> None:
        self._engine = engine
        self._epoch = epoch
        self._listing = asyncio.Semaphore(LISTED_AT_ONCE)
        self._queue = GroupCommit(self._run, LARGEST_GROUP)

    async def change(self, changes: Sequence[Change]) -> list[EditResult | Refusal]:
        return settled(await self._queue.run(changes))

    async def find(self, database: int, identities: Sequence[Identity]) -> list[Profile]:
        wanted = [spelled((database, kind, value))[1:] for kind, value in identities]
        values = {
            "database": database,
            "ids": [value for kind, value in identities if kind == "id"],
            "kinds": [kind for kind, _ in wanted],
            "values": [value for _, value in wanted],
        }
        return [_profile(row) for row in await self._read(FIND, values)]

    async def page(self, database: int, query: Query) -> list[Profile]:
        async with self._listing:
            return [_profile(row) for row in await self._read(*profiles_of(database, query))]

    async def add_job(self, database: int, job: Job) -> None:
        await self._write((ADD_JOB, job_row(database, job)))

    async def job(self, database: int, id: str) -> Job | None:
        rows = await self._read(JOB, (database, id))
        return job_of(rows[0]) if rows else None

    async def jobs(self, database: int, kind: str, query: Query) -> list[Job]:
        async with self._listing:
            return [
                Job(id, created, total, failed, kind=kind)
                for id, created, total, failed in await self._read(*jobs_of(database, kind, query))
            ]

    async def changes(self, database: int, since: int = 0) -> AsyncIterator[ChangeRecord]:
        # Page by page: a transaction held open over a consumer's pauses would keep VACUUM from its work.
        after = (since, 0)
        while rows := await self._read(CHANGES, (database, *after, CHANGES_AT_ONCE)):
            for time, _, *rest in rows:
                yield recorded_of((database, time, *rest))
            after = rows[-1][:2]

    async def prune(self, before: int, limit: int) -> int:
        values = {"before": before, "limit": limit}
        return await self._write((PRUNE, values), (PRUNE_JOBS, values))

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        try:
            connection = await self._engine.connect()
            async with closed_on_failure(connection):
                await connection.execute(BEGIN)
        except psycopg.Error as error:
            raise Unavailable(str(error)) from error
        try:
            yield Snapshot(connection)
        finally:
            await connection.close()

    async def restore(self, database: int, past: Sequence[Past]) -> int:
        async def put_back(connection: Connection) -> int:
            async with transaction(connection):
                return await restore(connection, database, past)

        return await self._engine.run(put_back)

    def epoch(self) -> int:
        return self._epoch.number()

    async def databases(self) -> list[Database]:
        resources: dict[int, dict[int, Resource]] = defaultdict(dict)
        for database, id, name, categories, fields in await self._read("SELECT * FROM resources ORDER BY database, id"):
            known = tuple(orjson.loads(categories))
            resources[database][id] = Resource(id, name, known, orjson.loads(fields))
        segments: dict[int, dict[int, Segment]] = defaultdict(dict)
        for database, id, name in await self._read("SELECT * FROM segments ORDER BY database, id"):
            segments[database][id] = Segment(id, name)
        return [
            Database(id, name, closed, orjson.loads(fields), company_id, resources[id], segments[id])
            for id, name, closed, fields, company_id in await self._read("SELECT * FROM databases ORDER BY id")
        ]

    async def tokens(self) -> list[Token]:
        rows = await self._read("SELECT * FROM tokens ORDER BY created, id")
        return [
            Token(id, hash, database, frozenset(rights.split()), created, revoked)
            for hash, id, database, rights, created, revoked in rows
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
        await self._register((ADD_TOKEN, (token.hash, token.id, token.database, rights, token.created, token.revoked)))

    async def revoke_token(self, id: str) -> None:
        await self._register((REVOKE_TOKEN, (id,)))

    async def add_resource(self, database: int, resource: Resource) -> None:
        await self._register(_adding_resource(database, resource))

    async def add_segment(self, database: int, segment: Segment) -> None:
        await self._register(_adding_segment(database, segment))

    async def ready(self) -> None:
        # A server that is only read from answers too, and takes no change.
        [[is_read_only]] = await self._read("SELECT current_setting('transaction_read_only') = 'on'")
        if is_read_only:
            raise Unavailable("the server cannot be written to")

    async def close(self) -> None:
        await self._queue.close()
        await self._epoch.close()
        await self._engine.close()

    async def _run(self, changes: Sequence[Change]) -> list[Any]:
        """Runs the changes, together where that is not too much, and answers what each came to."""
        answers: list[Any] = []
        while len(answers) < len(changes):
            answers += await self._together(changes[len(answers) :])
        return answers

    async def _together(self, changes: Sequence[Change]) -> list[Any]:
        """Runs the first of the changes together, else all in halves."""
        try:
            return await self._engine.run(lambda connection: run_together(connection, changes))
        except Unavailable as error:
            return [error for _ in changes]
        except Exception as error:
            # One change failed and took its neighbours' work back with it, or they need more locks than the server has.
            # Nothing was kept, and edits may be rerun: so they are parted until a change can hurt itself alone.
            half = len(changes) // 2
            return [*await self._run(changes[:half]), *await self._run(changes[half:])] if half else [_failure(error)]

    async def _read(self, sql: str, values: Any = ()) -> list[tuple[Any, ...]]:
        async def read(connection: Connection) -> list[tuple[Any, ...]]:
            return await (await connection.execute(sql, values)).fetchall()

        return await self._engine.run(read)

    async def _write(self, *statements: Statement) -> int:
        """Runs the statements in one step, and tells how many rows they wrote."""

        async def write(connection: Connection) -> int:
            async with transaction(connection):
                return await _written(connection, statements)

        return await self._engine.run(write)

    async def _register(self, *statements: Statement) -> None:
        """Runs the statements in one step that also moves the epoch. Raises `Duplicate` or `Missing`."""

        async def register(connection: Connection) -> int:
            async with transaction(connection):
                if not await _written(connection, statements):
                    raise Missing("there is no such row")
                return await move(connection)

        try:
            self._epoch.moved(await self._engine.run(register))
        except psycopg.errors.UniqueViolation as error:
            raise Duplicate(str(error)) from error
        except psycopg.errors.ForeignKeyViolation as error:
            raise Missing(str(error)) from error


async def _written(connection: Connection, statements: Sequence[Statement]) -> int:
    """Runs the statements, and tells how many rows they wrote."""
    return sum([(await connection.execute(sql, values)).rowcount for sql, values in statements])


def _failure(error: Exception) -> Exception:
    """What a change that failed alone is answered with."""
    return Unavailable(str(error)) if isinstance(error, psycopg.errors.OutOfMemory) else error


def _profile(row: tuple[Any, ...]) -> Profile:
    id, document, version, created, updated = row
    return Profile(id, orjson.loads(document), version, created, updated)


def _adding_resource(database: int, resource: Resource) -> Statement:
    return ADD_RESOURCE, (database, resource.id, resource.name, text(resource.categories), text(resource.fields))


def _adding_segment(database: int, segment: Segment) -> Statement:
    return ADD_SEGMENT, (database, segment.id, segment.name)
