"""Erasure in SQL: what a privacy deletion removes beside profiles. The part that all SQL engines share.

Entries, answers and deliveries are found by the id of their profile; jobs are read one by one.
"""

from collections.abc import Collection, Generator, Iterable, Iterator
from typing import Any

from msgspec import Struct

from gateway.core.erasure import erase_from_job, may_name_person
from gateway.core.model import Erasure, JobCursor, JournalEntry
from gateway.core.tombstones import IDEMPOTENCY_KEY, REQUEST, tombstone
from gateway.stores.refused import RefusedSql, forget_persons
from gateway.stores.rows import ERASED_MEMBERS, Row, job_of, job_row, ledger_text
from gateway.stores.statements import Statements

JOBS_AFTER = """SELECT id, created, total, failed, outcome, kind FROM jobs
    WHERE database = ? AND (created, id) > (?, ?) ORDER BY created, id LIMIT ?"""
UPDATE_JOB = "UPDATE jobs SET outcome = ? WHERE database = ? AND id = ?"
MERGED = """WITH RECURSIVE merged (profile) AS (
    SELECT profile FROM journal WHERE database = ? AND profile = ? AND merge IS NOT NULL
    UNION SELECT other.profile FROM merged CROSS JOIN journal AS own CROSS JOIN journal AS other
        WHERE own.database = ? AND own.profile = merged.profile AND own.merge IS NOT NULL
            AND other.database = own.database AND other.merge = own.merge)
    SELECT profile FROM merged"""
"""The profiles that were merged with one, and with those, and so on: their entries have its values."""

REMOVE_DELIVERIES = "DELETE FROM deliveries WHERE database = ? AND profile = ?"
RELEASE_ENTRIES = "UPDATE deliveries SET entry = NULL WHERE database = ? AND profile = ? AND entry IS NOT NULL"
"""Run after the entries of the journal are cleared: a prune copies them at the same time."""

ENTRIES_PER_STEP, JOBS_PER_STEP = 500, 50
"""How much one step of an erasure reads of the journal and of the jobs: other requests wait for it."""


class ErasureSql(Struct, frozen=True):
    """The statements that engines write differently.

    `clear_entries` are run one after another with `members`, `database`, `profile` and `limit`. The first one returns
    the request ids of some entries of a profile, and after the last one these have neither values nor a request id.
    `remove_answers` returns the keys of the answers that it removes.
    """

    clear_entries: tuple[str, ...]
    remove_answers: str
    put_tombstone: str
    refused: RefusedSql


def erase_all(sql: ErasureSql, database: int, erasure: Erasure) -> Statements:
    """Remove the persons from everything but profiles, identities and ledgers."""
    for id in (yield from _merged_ids(database, erasure)):
        keys = yield sql.remove_answers, (database, id)
        yield from _put_tombstones(sql, database, erasure, IDEMPOTENCY_KEY, keys)
    for id in sorted(erasure.ids):
        yield REMOVE_DELIVERIES, (database, id)
    after: JobCursor | None = (erasure.jobs_since, "")
    while after:
        after = yield from erase_some(sql, database, erasure, after)
    return (yield from forget_persons(sql.refused, database, erasure))


def erase_some(sql: ErasureSql, database: int, erasure: Erasure, after: JobCursor) -> Statements:
    """Remove the persons from some entries of the journal, and from some jobs after a place, as `Store.erase` does."""
    has_entries = False
    for id in (yield from _merged_ids(database, erasure)):
        values = {"members": ERASED_MEMBERS, "database": database, "profile": id, "limit": ENTRIES_PER_STEP}
        requests: list[Row] = []
        for statement in sql.clear_entries:
            requests += yield statement, values
        yield RELEASE_ENTRIES, (database, id)
        yield from _put_tombstones(sql, database, erasure, REQUEST, requests)
        has_entries = has_entries or len(requests) == ENTRIES_PER_STEP
    jobs = yield JOBS_AFTER, (database, *after, JOBS_PER_STEP)
    for row in _erased_outcomes(database, jobs, erasure):
        yield UPDATE_JOB, row
    after = (jobs[-1][1], jobs[-1][0]) if jobs else after
    return after if has_entries or len(jobs) == JOBS_PER_STEP else None


def merged_ids(journal: Iterable[JournalEntry], ids: Collection[str]) -> set[str]:
    """Return ids, and those of the profiles that were merged with them, with those, and so on."""
    entries = [entry for entry in journal if entry.merge]
    found, new = set[str](), set(ids)
    while new:
        found |= new
        merges = {each.merge for each in entries if each.profile in new}
        new = {each.profile for each in entries if each.merge in merges} - found
    return found


def _merged_ids(database: int, erasure: Erasure) -> Generator[tuple[str, Any], list[Row], list[str]]:
    """Return the ids of the persons' profiles, and of those that were merged with them."""
    ids = set(erasure.ids)
    for id in sorted(erasure.ids):
        ids |= {merged for (merged,) in (yield MERGED, (database, id, database))}
    return sorted(ids)


def _put_tombstones(sql: ErasureSql, database: int, erasure: Erasure, kind: str, rows: Iterable[Row]) -> Statements:
    if erasure.tombstone:
        ledger = ledger_text(tombstone(erasure.time))
        for address in sorted({erasure.tombstone(kind, value) for (value,) in rows if value}):
            yield sql.put_tombstone, (database, address, ledger)
    return None


def _erased_outcomes(database: int, rows: Iterable[Row], erasure: Erasure) -> Iterator[Row]:
    """Yield outcome, database and id of the jobs whose results change, from their rows without the database."""
    for row in rows:
        if not may_name_person(row[4], erasure):
            continue
        job = job_of(row)
        if (erased := erase_from_job(job, erasure)) is not job:
            _, id, _, _, _, outcome, _ = job_row(database, erased)
            yield outcome, database, id
