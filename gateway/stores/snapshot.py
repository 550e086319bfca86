"""Snapshots and their restoration in SQL: the part that all SQL engines share."""

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

import orjson

from gateway.core.model import AddressLedger, Job, JournalEntry, Profile, StoredAnswer
from gateway.stores.protocol import Record
from gateway.stores.rows import (
    Row,
    answer_of,
    answer_row,
    entry_row,
    job_of,
    job_row,
    ledger_of,
)

PROFILES = "SELECT id, document, version, created, updated FROM profiles WHERE database = ? AND id > ? ORDER BY id"
JOBS = "SELECT id, created, total, failed, outcome, kind FROM jobs WHERE database = ? AND id > ? ORDER BY id"
ANSWERS = "SELECT key, fingerprint, until, profile FROM once WHERE database = ? AND key > ? ORDER BY key"
LEDGERS = "SELECT address, ledger FROM ledgers WHERE database = ? AND address > ? ORDER BY address"


class SqlSnapshot:
    """A `Snapshot` over the read transaction of an engine."""

    SIZE: str
    """The query of about how many rows there are."""

    async def size(self) -> int:
        [size] = [size async for [size] in self.rows(self.SIZE)]
        return int(size)

    def rows(self, sql: str, values: Sequence[Any] = ()) -> AsyncIterator[Row]:
        """Return the rows of a query, whose parameters are `?`. Raises `Unavailable`."""
        raise NotImplementedError

    async def profiles(self, database: int, after: str = "") -> AsyncIterator[Profile]:
        async for id, document, *rest in self.rows(PROFILES, (database, after)):
            yield Profile(id, orjson.loads(document), *rest)

    async def jobs(self, database: int, after: str = "") -> AsyncIterator[Job]:
        async for row in self.rows(JOBS, (database, after)):
            yield job_of(row)

    async def answers(self, database: int, after: str = "") -> AsyncIterator[StoredAnswer]:
        async for row in self.rows(ANSWERS, (database, after)):
            yield answer_of(row)

    async def ledgers(self, database: int, after: str = "") -> AsyncIterator[AddressLedger]:
        async for address, text in self.rows(LEDGERS, (database, after)):
            yield AddressLedger(address, ledger_of(text))


def entry_times(records: Iterable[Record]) -> list[int]:
    """Return the times of the journal entries, each once and in order."""
    return sorted({record.origin.time for record in records if isinstance(record, JournalEntry)})


def rows_to_restore(
    database: int, records: Sequence[Record], existing: set[Row]
) -> tuple[list[Row], list[Row], list[Row]]:
    """Return the rows of the journal entries, the jobs and the answers.

    The entries are each there once, without those in `existing` by time, profile and version.
    """
    entries = [record for record in records if isinstance(record, JournalEntry)]
    by_key = {(entry.origin.time, entry.profile, entry.version): entry for entry in entries}
    return (
        [entry_row(entry) for key, entry in by_key.items() if key not in existing],
        [job_row(database, record) for record in records if isinstance(record, Job)],
        [answer_row(database, record) for record in records if isinstance(record, StoredAnswer)],
    )
