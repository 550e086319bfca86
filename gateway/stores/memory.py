"""The engine for tests: the same results as any other engine, but nothing survives the process.

Documents are stored as JSON text, as on disk: a caller cannot alter one afterwards, and what JSON lacks is rejected.
It runs on one event loop. A change is atomic since nothing in it waits.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from itertools import islice
from math import inf
from secrets import token_hex
from types import MappingProxyType

import orjson
from msgspec.structs import asdict

from gateway.core.erasure import erase_from_job
from gateway.core.faults import Refusal
from gateway.core.listing import is_after, select_page
from gateway.core.model import (
    Address,
    Change,
    EditResult,
    Erasure,
    Find,
    Identity,
    Job,
    JobCursor,
    JournalEntry,
    JournalRange,
    Ledger,
    Position,
    Profile,
    Query,
    RecordedMerge,
    StoredAnswer,
    Write,
)
from gateway.core.tombstones import IDEMPOTENCY_KEY, PREFIX, REQUEST, tombstone
from gateway.stores.erasure import merged_ids
from gateway.stores.errors import StoreNotFound
from gateway.stores.memory_refused import MemoryRefused
from gateway.stores.memory_registry import MemoryRegistry
from gateway.stores.memory_snapshot import MemorySnapshot, job_of_text, journal_of
from gateway.stores.memory_subscribers import MemorySubscribers
from gateway.stores.observer import StoreObserver
from gateway.stores.protocol import Record
from gateway.stores.rows import (
    Row,
    answer_text,
    document_text,
    entry_of,
    entry_row,
    erased_row,
    id_and_version,
    journal_row,
    ledger_of,
    ledger_text,
    profile_of,
    profile_text,
    request_of,
    result_without_documents,
    stored_result,
)


async def open(url: str, create: bool) -> "MemoryStore":
    """Return an empty store. Raises `ValueError` on another URL than `memory:`, `StoreNotFound` without `create`."""
    if url != "memory:":
        raise ValueError(f"{url!r}: a store in memory has no name, its URL is memory:")
    if not create:
        raise StoreNotFound("a store in memory exists in one process only")
    return MemoryStore()


class MemoryStore(MemoryRegistry, MemorySubscribers, MemoryRefused):
    """A `Store` on the tables of the layout as dictionaries, each by its key."""

    file = None
    checks_registry = False

    def __init__(self) -> None:
        super().__init__()
        MemorySubscribers.__init__(self)
        MemoryRefused.__init__(self)
        self.id = token_hex(16)
        self._profiles: dict[tuple[int, str], bytes] = {}
        self._identities: dict[tuple[int, str, str], set[str]] = defaultdict(set)
        self._journal: list[tuple[Position, Row]] = []
        self._last_position = 0
        self._removed: dict[int, Position] = {}
        self._jobs: dict[tuple[int, str], bytes] = {}
        self._ledgers: dict[tuple[int, Address], str] = {}
        self._answers: dict[tuple[int, str], tuple[str, int, str]] = {}

    async def change(self, changes: Sequence[Change]) -> list[EditResult | Refusal]:
        results = [self._run(change) for change in changes]
        for result in results:
            if isinstance(result, Exception) and not isinstance(result, Refusal):
                raise result
        return results  # type: ignore[return-value]  # no other exception is left

    def observe(self, observer: StoreObserver) -> None:
        """Report nothing: each change is stored by itself."""

    async def find(self, database: int, identities: Sequence[Identity]) -> list[Profile]:
        return self._find(database, identities)

    async def ledgers(self, database: int, addresses: Sequence[Address]) -> dict[Address, Ledger]:
        return self._find_ledgers(database, addresses)

    async def journal(
        self, database: int, after: Position, limit: int, profile: str | None = None
    ) -> list[JournalEntry]:
        rows = journal_of(self._journal, database, after)
        own = [entry_of(*each) for each in rows if profile is None or each[1][1] == profile]
        return own[:limit]

    async def removals(self, database: int, after: Position, limit: int) -> list[JournalEntry]:
        entries = [entry_of(*each) for each in journal_of(self._journal, database, after)]
        return [each for each in entries if each.kind == "remove"][:limit]

    async def merge(self, database: int, id: str) -> list[JournalEntry]:
        entries = [entry_of(*each) for each in journal_of(self._journal, database, 0)]
        return [entry for entry in entries if entry.merge == id]

    async def merges(
        self, database: int, before: Position | None, limit: int, profile: str | None = None
    ) -> list[RecordedMerge]:
        entries = [entry_of(*each) for each in journal_of(self._journal, database, 0)]
        merged = [entry for entry in entries if entry.merge == f"{entry.profile}-{entry.version}"]
        chosen = {entry.merge for entry in entries if profile in (None, entry.profile)}
        undone = {entry.merge for entry in entries if entry.kind not in ("merge", "create")}
        return [
            RecordedMerge(entry, entry.merge in undone)
            for entry in reversed(merged)
            if entry.merge in chosen and (before is None or entry.position < before)
        ][:limit]

    async def journal_range(self, database: int) -> JournalRange:
        positions = [position for position, _ in journal_of(self._journal, database, 0)] or [0]
        return JournalRange(positions[0], positions[-1], self._removed.get(database, 0))

    async def page(self, database: int, query: Query) -> list[Profile]:
        named = None if query.key is None else self._identities.get((database, *query.key), ())
        own = (
            Profile(**orjson.loads(text))
            for (at, id), text in self._profiles.items()
            if at == database and (named is None or id in named)
        )
        return select_page(own, query)

    async def add_job(self, database: int, job: Job) -> None:
        self._jobs.setdefault((database, job.id), orjson.dumps(job))

    async def job(self, database: int, id: str) -> Job | None:
        text = self._jobs.get((database, id))
        return job_of_text(text) if text else None

    async def jobs(self, database: int, kind: str, query: Query) -> list[Job]:
        own = [job_of_text(text) for (at, _), text in self._jobs.items() if at == database]
        own = [job for job in own if job.kind == kind]
        own = sorted(own, key=lambda job: (job.created, job.id), reverse=query.descending)
        page = [each for each in own if is_after((each.created, each.id), query)][: query.limit]
        return [replace(job, profiles=(), failures=(), lists=()) for job in page]

    async def prune(self, before: int, limit: int, keep_from: Mapping[int, Position] = MappingProxyType({})) -> int:
        old = {
            position: database
            for position, (database, _, _, _, time, *_) in self._journal
            if time < before and position < keep_from.get(database, inf)
        }
        old = dict(islice(old.items(), limit))
        for position, row in self._journal:
            if position in old:
                self._copy_entry(position, row)
        self._journal = [each for each in self._journal if each[0] not in old]
        for position, database in old.items():
            self._removed[database] = max(position, self._removed.get(database, 0))
        jobs = [key for key, text in self._jobs.items() if job_of_text(text).created < before][:limit]
        for key in jobs:
            del self._jobs[key]
        return len(old) + len(jobs)

    async def erase(self, database: int, erasure: Erasure, after: JobCursor) -> JobCursor | None:
        self._erase_records(database, erasure, after)
        return None

    async def occurrences(self, texts: Collection[str]) -> dict[str, int]:
        tables = (
            self._profiles,
            self._identities,
            self._journal,
            self._jobs,
            self._ledgers,
            self._answers,
            self._refused,
            self._entry_copies,
        )
        count = sum(any(text in repr(table) for table in tables) for text in texts)
        return {"memory": count} if count else {}

    async def compact(self) -> None:
        return None

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator["MemorySnapshot"]:
        yield MemorySnapshot(
            dict(self._profiles), dict(self._jobs), list(self._journal), dict(self._answers), dict(self._ledgers)
        )

    async def restore(self, database: int, records: Sequence[Record]) -> int:
        return sum([self._restore(database, record) for record in records])

    def _require_database(self, id: int) -> None:
        self._database(id)

    async def ready(self) -> None:
        return None

    async def close(self) -> None:
        return None

    def _run(self, change: Change) -> EditResult | Exception:
        try:
            if result := self._stored_result(change):
                return result
            result = change.edit(self._finds(change.database))
            for write in result.writes:
                document_text(write)
            texts = [
                (orjson.dumps(write.after and asdict(write.after)), _row(change, write)) for write in result.writes
            ]
        except Exception as error:
            return error
        for write, (profile, row) in zip(result.writes, texts, strict=True):
            self._write(change, write, profile, row)
        for address, ledger in result.ledgers.items():
            self._ledgers.pop((change.database, address), None)
            if ledger is not None:
                self._ledgers[change.database, address] = ledger_text(ledger)
        if change.once:
            row = change.once.fingerprint, change.once.until, answer_text(result)
            self._answers[change.database, change.once.key] = row
        if result.erasure:
            self._erase(change.database, result.erasure)
        return result if change.needs_documents else result_without_documents(result)

    def _stored_result(self, change: Change) -> EditResult | None:
        """Return the stored result of the change, if there is one."""
        row = self._answers.get((change.database, change.once.key)) if change.once else None
        if change.once is None or row is None or row[1] < change.origin.time:
            return None
        return stored_result(change.once, row[0], row[2])

    def _write(self, change: Change, write: Write, profile: bytes, row: Row | None) -> None:
        database, (id, _) = change.database, id_and_version(write)
        self._profiles[database, id] = profile
        if write.after is None:
            del self._profiles[database, id]
        for identity in write.lost:
            self._identities[database, *identity].discard(id)
        for identity in write.gained:
            self._identities[database, *identity].add(id)
        if row is not None:
            self._append(row)

    def _append(self, row: Row) -> None:
        self._last_position += 1
        self._journal.append((self._last_position, row))

    def _erase(self, database: int, erasure: Erasure) -> None:
        ids = merged_ids((entry_of(*each) for each in journal_of(self._journal, database, 0)), erasure.ids)
        for key, (_, _, text) in list(self._answers.items()):
            profile = profile_of(text)
            if key[0] == database and profile and profile.id in ids:
                del self._answers[key]
                self._add_tombstone(database, erasure, IDEMPOTENCY_KEY, key[1])
        self._erase_records(database, erasure, (erasure.jobs_since, ""))
        self._forget_deliveries_of(database, erasure.ids)
        self._forget_persons(database, erasure)

    def _erase_records(self, database: int, erasure: Erasure, after: JobCursor) -> None:
        for key, text in self._jobs.items():
            job = job_of_text(text)
            if key[0] == database and (job.created, job.id) > after:
                self._jobs[key] = orjson.dumps(erase_from_job(job, erasure))
        ids = merged_ids((entry_of(*each) for each in journal_of(self._journal, database, 0)), erasure.ids)
        for place, (position, row) in enumerate(self._journal):
            if row[0] == database and row[1] in ids:
                self._add_tombstone(database, erasure, REQUEST, request_of(row))
                self._journal[place] = position, erased_row(row)
        self._release_entries(database, ids)

    def _add_tombstone(self, database: int, erasure: Erasure, kind: str, value: str) -> None:
        if erasure.tombstone and value:
            self._ledgers[database, erasure.tombstone(kind, value)] = ledger_text(tombstone(erasure.time))

    def _restore(self, database: int, record: Record) -> bool:
        """Add a record that is new. Return whether it is."""
        match record:
            case JournalEntry():
                existing = {(at, time, id, version) for _, (at, id, version, _, time, *_) in self._journal}
                is_new = (database, record.origin.time, record.profile, record.version) not in existing
                if is_new:
                    self._append(entry_row(record))
            case Job():
                is_new = (database, record.id) not in self._jobs
                self._jobs.setdefault((database, record.id), orjson.dumps(record))
            case StoredAnswer(once, profile):
                is_new = (database, once.key) not in self._answers
                self._answers.setdefault((database, once.key), (once.fingerprint, once.until, profile_text(profile)))
        return is_new

    def _finds(self, database: int) -> Find:
        return Find(
            partial(self._find, database),
            partial(self._find_ledgers, database),
            lambda: any(at == database for at, _ in self._ledgers),
            any(at == database and address.startswith(PREFIX) for at, address in self._ledgers),
        )

    def _find(self, database: int, identities: Sequence[Identity]) -> list[Profile]:
        ids = {value for kind, value in identities if kind == "id"}
        ids = ids.union(*(self._identities[database, *identity] for identity in identities))
        found = [self._profiles[database, id] for id in sorted(ids) if (database, id) in self._profiles]
        return [Profile(**orjson.loads(profile)) for profile in found]

    def _find_ledgers(self, database: int, addresses: Sequence[Address]) -> dict[Address, Ledger]:
        return {
            each: ledger_of(self._ledgers[database, each]) for each in addresses if (database, each) in self._ledgers
        }


def _row(change: Change, write: Write) -> Row | None:
    """Return the row of a write in the journal, if it has one."""
    return None if write.members is None else journal_row(change, write, *id_and_version(write))
