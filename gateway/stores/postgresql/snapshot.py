"""Snapshots of a PostgreSQL database, and their restoration."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import psycopg
from psycopg import AsyncServerCursor

from gateway.core.model import JournalEntry, Position
from gateway.stores.errors import Unavailable
from gateway.stores.postgresql.connections import Connection, to_psycopg
from gateway.stores.postgresql.journal import ADD_ENTRIES, ALL_ENTRIES, entry_of_row, split_position
from gateway.stores.postgresql.locks import columns
from gateway.stores.protocol import Record
from gateway.stores.rows import Row
from gateway.stores.snapshot import SqlSnapshot, entry_times, rows_to_restore

# A dump reads whole tables, so the planner may choose any plan; and the consumer may take any time between two rows.
BEGIN = """BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
    SET LOCAL enable_seqscan = on; SET LOCAL enable_hashjoin = on; SET LOCAL enable_mergejoin = on;
    SET LOCAL cursor_tuple_fraction = 1; SET LOCAL idle_in_transaction_session_timeout = 0;
    SELECT number FROM epoch"""
ROWS_PER_FETCH = 500

# One restoration at a time: two that insert the same journal entry would both find it missing.
LOCK = "SELECT pg_advisory_xact_lock(%s)"
RESTORATION_LOCK = 0x726573746F72696E
EXISTING_ENTRIES = "SELECT time, profile, version FROM journal WHERE database = %s AND time = ANY (%b)"
ADD_JOBS = """INSERT INTO jobs
    SELECT * FROM unnest(%b::bigint[], %b::text[], %b::bigint[], %b::bigint[], %b::bigint[], %b::text[],
        %b::text[])
    ON CONFLICT DO NOTHING"""
ADD_ANSWERS = """INSERT INTO once SELECT * FROM unnest(%b::bigint[], %b::text[], %b::text[], %b::bigint[], %b::text[])
    ON CONFLICT DO NOTHING"""


class PostgresqlSnapshot(SqlSnapshot):
    """The content of the database in the read transaction of a connection. `close` ends it with all of its cursors.

    A reader may stop anywhere: the generators that it leaves are closed later, perhaps after the event loop.
    """

    SIZE = """SELECT coalesce(sum(greatest(reltuples, 0)), 0)
        FROM unnest(ARRAY['profiles', 'jobs', 'journal', 'once']) AS name,
            LATERAL pg_partition_tree(name::regclass) JOIN pg_class ON oid = relid WHERE isleaf"""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._cursors = set[AsyncServerCursor[Row]]()

    async def close(self) -> None:
        await self._connection.close()
        for cursor in self._cursors:
            await cursor.close()

    async def rows(self, sql: str, values: Sequence[Any] = ()) -> AsyncIterator[Row]:
        try:
            async with self._connection.cursor("rows") as cursor:
                self._cursors.add(cursor)
                cursor.itersize = ROWS_PER_FETCH
                await cursor.execute(to_psycopg(sql), values)
                async for row in cursor:
                    yield row
            self._cursors.discard(cursor)
        except psycopg.Error as error:
            raise Unavailable(str(error)) from error

    async def journal(self, database: int, after: Position = 0) -> AsyncIterator[JournalEntry]:
        async for row in self.rows(ALL_ENTRIES, (database, *split_position(after))):
            yield entry_of_row(row)


async def restore(connection: Connection, database: int, records: Sequence[Record]) -> int:
    """Insert the records that are new. Return how many."""
    await connection.execute(LOCK, (RESTORATION_LOCK,))
    cursor = await connection.execute(EXISTING_ENTRIES, (database, entry_times(records)))
    existing = set(await cursor.fetchall())
    entries, jobs, answers = rows_to_restore(database, records, existing)
    inserts = [(ADD_ENTRIES, entries), (ADD_JOBS, jobs), (ADD_ANSWERS, answers)]
    statements = [(sql, columns(rows, len(rows[0]))) for sql, rows in inserts if rows]
    return sum([(await connection.execute(sql, values)).rowcount for sql, values in statements])
