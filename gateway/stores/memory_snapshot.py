"""Snapshots of the engine for tests."""

from collections.abc import AsyncIterator, Iterable
from typing import Any

import orjson

from gateway.core.model import (
    Address,
    AddressLedger,
    IdempotencyKey,
    Job,
    JournalEntry,
    Position,
    Profile,
    StoredAnswer,
)
from gateway.stores.rows import Row, entry_of, ledger_of, profile_of


class MemorySnapshot:
    """A `Snapshot`: copies of the tables."""

    def __init__(
        self,
        profiles: dict[tuple[int, str], bytes],
        jobs: dict[tuple[int, str], bytes],
        journal: list[tuple[Position, Row]],
        answers: dict[tuple[int, str], tuple[str, int, str]],
        ledgers: dict[tuple[int, Address], str],
    ) -> None:
        self._profiles, self._jobs, self._journal = profiles, jobs, journal
        self._answers, self._ledgers = answers, ledgers

    async def size(self) -> int:
        return sum(map(len, (self._profiles, self._jobs, self._journal, self._answers, self._ledgers)))

    async def profiles(self, database: int, after: str = "") -> AsyncIterator[Profile]:
        for key in _keys_after(self._profiles, database, after):
            yield Profile(**orjson.loads(self._profiles[key]))

    async def jobs(self, database: int, after: str = "") -> AsyncIterator[Job]:
        for key in _keys_after(self._jobs, database, after):
            yield job_of_text(self._jobs[key])

    async def journal(self, database: int, after: Position = 0) -> AsyncIterator[JournalEntry]:
        for each in journal_of(self._journal, database, after):
            yield entry_of(*each)

    async def answers(self, database: int, after: str = "") -> AsyncIterator[StoredAnswer]:
        for key in _keys_after(self._answers, database, after):
            fingerprint, until, profile = self._answers[key]
            yield StoredAnswer(IdempotencyKey(key[1], fingerprint, until), profile_of(profile))

    async def ledgers(self, database: int, after: Address = "") -> AsyncIterator[AddressLedger]:
        for key in _keys_after(self._ledgers, database, after):
            yield AddressLedger(key[1], ledger_of(self._ledgers[key]))


def _keys_after(table: dict[tuple[int, str], Any], database: int, after: str) -> list[tuple[int, str]]:
    """Return the keys of a database after a name, in order."""
    return sorted((at, name) for at, name in table if at == database and name > after)


def journal_of(journal: Iterable[tuple[Position, Row]], database: int, after: Position) -> list[tuple[Position, Row]]:
    """Return the rows of a database after a position."""
    return [(position, row) for position, row in journal if row[0] == database and position > after]


def job_of_text(text: bytes) -> Job:
    """Return the job of its JSON."""
    members = orjson.loads(text)
    fields: Any = {name: tuple(value) if isinstance(value, list) else value for name, value in members.items()}
    return Job(**fields)
