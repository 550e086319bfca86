"""What a snapshot reads, whichever engine takes it: rows into profiles, jobs, changes and remembered answers."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import orjson

from gateway.core.model import ChangeRecord, Job, Profile, StoredAnswer
from gateway.stores.rows import answered_of, job_of, recorded_of


class RowSnapshot:
    """A `Snapshot` over an engine's four queries: each is given a database, and where to begin."""

    PROFILES: str
    JOBS: str
    CHANGES: str
    ANSWERED: str

    def rows(self, sql: str, values: Sequence[Any]) -> AsyncIterator[tuple[Any, ...]]:
        """The rows of a query inside the snapshot. Raises `Unavailable`."""
        raise NotImplementedError

    async def profiles(self, database: int, after: str = "") -> AsyncIterator[Profile]:
        """The profiles behind an id, in its order."""
        async for id, document, *rest in self.rows(self.PROFILES, (database, after)):
            yield Profile(id, orjson.loads(document), *rest)

    async def jobs(self, database: int, after: str = "") -> AsyncIterator[Job]:
        """The jobs behind an id, in its order."""
        async for row in self.rows(self.JOBS, (database, after)):
            yield job_of(row)

    async def changes(self, database: int, since: int = 0) -> AsyncIterator[ChangeRecord]:
        """The changes from a time on (ms), in the order in which they came."""
        async for row in self.rows(self.CHANGES, (database, since)):
            yield recorded_of(row)

    async def answered(self, database: int, after: str = "") -> AsyncIterator[StoredAnswer]:
        """The remembered answers behind a key, in its order."""
        async for row in self.rows(self.ANSWERED, (database, after)):
            yield answered_of(row)
