"""Snapshots of a SQLite file, and their restoration."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import apsw

from gateway.core.model import JournalEntry, Position
from gateway.stores.errors import Unavailable
from gateway.stores.listing import ADD_JOB
from gateway.stores.protocol import Record
from gateway.stores.rows import JOURNAL_COLUMNS, Row, entry_of, json_text
from gateway.stores.snapshot import SqlSnapshot, entry_times, rows_to_restore
from gateway.stores.sqlite.connections import ENGINE_FAILURES

JOURNAL = f"""SELECT position, {JOURNAL_COLUMNS} FROM journal WHERE database = ? AND position > ?
    ORDER BY position"""
EXISTING_ENTRIES = """SELECT time, profile, version FROM journal
    WHERE database = ? AND time IN (SELECT value FROM json_each(?))"""
ADD_ENTRY = f"INSERT INTO journal ({JOURNAL_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
ADD_ANSWER = "INSERT INTO once VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"


class SqliteSnapshot(SqlSnapshot):
    """The content of the file in the read transaction of a connection."""

    # The highest rowid is at least the number of rows, and close to it unless many were removed: no row is counted.
    SIZE = "SELECT " + " + ".join(
        f"(SELECT coalesce(max(rowid), 0) FROM {table})" for table in ("profiles", "jobs", "journal", "once")
    )

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    async def rows(self, sql: str, values: Sequence[Any] = ()) -> AsyncIterator[Row]:
        try:
            for row in self._connection.execute(sql, values):
                yield row
        except ENGINE_FAILURES as error:
            raise Unavailable(str(error)) from error

    async def journal(self, database: int, after: Position = 0) -> AsyncIterator[JournalEntry]:
        async for position, *row in self.rows(JOURNAL, (database, after)):
            yield entry_of(position, row)


def restore(connection: apsw.Connection, database: int, records: Sequence[Record]) -> int:
    """Insert the records that are new. Return how many."""
    before = connection.total_changes()
    existing = set(connection.execute(EXISTING_ENTRIES, (database, json_text(entry_times(records)))))
    entries, jobs, answers = rows_to_restore(database, records, existing)
    connection.executemany(ADD_ENTRY, entries)
    connection.executemany(ADD_JOB, jobs)
    connection.executemany(ADD_ANSWER, answers)
    return connection.total_changes() - before
