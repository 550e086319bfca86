"""Erasure in SQL: what a privacy deletion removes beside profiles. The part that all SQL engines share.

There is no index for it: it reads the stored answers and the jobs of a database.
"""

from collections.abc import Iterable, Iterator

from gateway.core.erasure import erase_from_job, may_name_person
from gateway.core.model import Erasure
from gateway.stores.rows import Row, job_of, job_row

JOBS_AFTER = """SELECT id, created, total, failed, outcome, kind FROM jobs
    WHERE database = ? AND id > ? ORDER BY id LIMIT ?"""
UPDATE_JOB = "UPDATE jobs SET outcome = ? WHERE database = ? AND id = ?"

JOBS_PER_READ = 100


def erased_outcomes(database: int, rows: Iterable[Row], erasure: Erasure) -> Iterator[Row]:
    """Yield outcome, database and id of the jobs whose results change, from their rows without the database."""
    for row in rows:
        if not may_name_person(row[4], erasure):
            continue
        job = job_of(row)
        if (erased := erase_from_job(job, erasure)) is not job:
            _, id, _, _, _, outcome, _ = job_row(database, erased)
            yield outcome, database, id
