"""What moves to another store and what comes from one: a snapshot of the tables, and the past put back.

Only SQL and rows live here; where a connection comes from and when it is lost is not decided here.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import psycopg

from gateway.core.model import ChangeRecord, Job, StoredAnswer
from gateway.stores.errors import Unavailable
from gateway.stores.postgresql.layout import Connection
from gateway.stores.postgresql.locks import columns
from gateway.stores.protocol import Past
from gateway.stores.rows import answered_row, job_row, unknown
from gateway.stores.snapshot import RowSnapshot

# A dump reads tables through, so the planner may choose as it likes; and whoever takes the rows may take their time.
BEGIN = """BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
    SET LOCAL enable_seqscan = on; SET LOCAL enable_hashjoin = on; SET LOCAL enable_mergejoin = on;
    SET LOCAL cursor_tuple_fraction = 1; SET LOCAL idle_in_transaction_session_timeout = 0;
    SELECT number FROM epoch"""
SIZE = """SELECT coalesce(sum(greatest(reltuples, 0)), 0)
    FROM unnest(ARRAY['profiles', 'jobs', 'changes', 'once']) AS name,
        LATERAL pg_partition_tree(name::regclass) JOIN pg_class ON oid = relid WHERE isleaf"""
PROFILES = """SELECT id, document, version, created, updated FROM profiles
    WHERE database = %s AND id > %s ORDER BY id"""
JOBS = "SELECT id, created, total, failed, outcome, kind FROM jobs WHERE database = %s AND id > %s ORDER BY id"
CHANGES = """SELECT database, time, profile, version, token, dialect, triggers, patch FROM changes
    WHERE database = %s AND time >= %s ORDER BY time, number"""
ANSWERED = "SELECT key, fingerprint, until, profile FROM once WHERE database = %s AND key > %s ORDER BY key"
READ_AT_ONCE = 500

# One at a time: two that put back the same change would both find it missing.
LOCK = "SELECT pg_advisory_xact_lock(%s)"
RESTORING = 0x726573746F72696E
KNOWN = "SELECT time, profile, version FROM changes WHERE database = %s AND time = ANY (%b)"
ADD_CHANGES = """INSERT INTO changes (database, time, profile, version, token, dialect, triggers, patch)
    SELECT * FROM unnest(%b::bigint[], %b::bigint[], %b::text[], %b::bigint[], %b::text[], %b::text[],
        %b::boolean[], %b::text[])"""
ADD_JOBS = """INSERT INTO jobs
    SELECT * FROM unnest(%b::bigint[], %b::text[], %b::bigint[], %b::bigint[], %b::bigint[], %b::text[],
        %b::text[])
    ON CONFLICT DO NOTHING"""
ADD_ANSWERED = """INSERT INTO once SELECT * FROM unnest(%b::bigint[], %b::text[], %b::text[], %b::bigint[], %b::text[])
    ON CONFLICT DO NOTHING"""


class Snapshot(RowSnapshot):
    """What a connection sees inside its read transaction."""

    PROFILES, JOBS, CHANGES, ANSWERED = PROFILES, JOBS, CHANGES, ANSWERED

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def size(self) -> int:
        [size] = [size async for [size] in self.rows(SIZE, ())]
        return int(size)

    async def rows(self, sql: str, values: Sequence[Any]) -> AsyncIterator[tuple[Any, ...]]:
        try:
            async with self._connection.cursor("rows") as cursor:
                cursor.itersize = READ_AT_ONCE
                await cursor.execute(sql, values)
                async for row in cursor:
                    yield row
        except psycopg.Error as error:
            raise Unavailable(str(error)) from error


async def restore(connection: Connection, database: int, past: Sequence[Past]) -> int:
    """Puts back what is not there yet, and tells how much that was."""
    await connection.execute(LOCK, (RESTORING,))
    changes = [each for each in past if isinstance(each, ChangeRecord)]
    times = sorted({each.origin.time for each in changes})
    known = set(await (await connection.execute(KNOWN, (database, times))).fetchall())
    tables = {
        ADD_CHANGES: unknown(changes, known),
        ADD_JOBS: [job_row(database, each) for each in past if isinstance(each, Job)],
        ADD_ANSWERED: [answered_row(database, each) for each in past if isinstance(each, StoredAnswer)],
    }
    given = [(sql, columns(rows, len(rows[0]))) for sql, rows in tables.items() if rows]
    return sum([(await connection.execute(sql, values)).rowcount for sql, values in given])
