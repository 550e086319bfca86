"""What moves to another store and what comes from one: a snapshot of the tables, and the past put back.

Only SQL and rows live here; when a transaction begins or ends is not decided here.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import apsw
import orjson

from gateway.core.model import ChangeRecord, Job, StoredAnswer
from gateway.stores.errors import Unavailable
from gateway.stores.protocol import Past
from gateway.stores.rows import answered_row, job_row, unknown
from gateway.stores.snapshot import RowSnapshot
from gateway.stores.sqlite.layout import OUT_OF_ORDER
from gateway.stores.sqlite.listing import ADD_JOB

SIZE = "SELECT " + " + ".join(
    f"(SELECT coalesce(max(rowid), 0) FROM {table})" for table in ("profiles", "jobs", "changes", "once")
)
PROFILES = "SELECT id, document, version, created, updated FROM profiles WHERE database = ? AND id > ? ORDER BY id"
JOBS = "SELECT id, created, total, failed, outcome, kind FROM jobs WHERE database = ? AND id > ? ORDER BY id"
CHANGES = "SELECT * FROM changes WHERE database = ? AND time >= ? ORDER BY time, rowid"
ANSWERED = "SELECT key, fingerprint, until, profile FROM once WHERE database = ? AND key > ? ORDER BY key"

KNOWN = """SELECT time, profile, version FROM changes
    WHERE database = ? AND time IN (SELECT value FROM json_each(?))"""
ADD_CHANGE = "INSERT INTO changes VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
ADD_ANSWERED = "INSERT INTO once VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"


class Snapshot(RowSnapshot):
    """What a connection sees inside its read transaction."""

    PROFILES, JOBS, CHANGES, ANSWERED = PROFILES, JOBS, CHANGES, ANSWERED

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    async def size(self) -> int:
        # The newest row's number is not behind how many there are, unless many were removed: it costs no counting.
        [size] = [size async for [size] in self.rows(SIZE, ())]
        return int(size)

    async def rows(self, sql: str, values: Sequence[Any]) -> AsyncIterator[tuple[Any, ...]]:
        try:
            for row in self._connection.execute(sql, values):
                yield row
        except OUT_OF_ORDER as error:
            raise Unavailable(str(error)) from error


def restore(connection: apsw.Connection, database: int, past: Sequence[Past]) -> int:
    """Puts back what is not there yet, and tells how much that was."""
    before = connection.total_changes()
    changes = [each for each in past if isinstance(each, ChangeRecord)]
    times = orjson.dumps(sorted({each.origin.time for each in changes})).decode()
    known = set(connection.execute(KNOWN, (database, times)))
    connection.executemany(ADD_CHANGE, unknown(changes, known))
    connection.executemany(ADD_JOB, [job_row(database, each) for each in past if isinstance(each, Job)])
    connection.executemany(
        ADD_ANSWERED, [answered_row(database, each) for each in past if isinstance(each, StoredAnswer)]
    )
    return connection.total_changes() - before
