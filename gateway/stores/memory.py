"""The engine for tests: the same answers as any other, and everything is gone with the process.

Documents are kept as JSON text, as on disk: what a caller does to one later changes nothing here, and what JSON cannot
hold is refused here too. It runs on one event loop, and a change is atomic since nothing in it waits.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import Any

import orjson
from msgspec.structs import asdict

from gateway.core.faults import Refusal
from gateway.core.listing import is_behind, listed
from gateway.core.model import (
    Change,
    ChangeRecord,
    Database,
    EditResult,
    IdempotencyKey,
    Identity,
    Job,
    Profile,
    Query,
    Resource,
    Segment,
    StoredAnswer,
    Token,
    Write,
)
from gateway.stores.errors import Duplicate, Missing
from gateway.stores.protocol import Past
from gateway.stores.rows import document_text, outcome, recalled, remembered, repeated, settled


async def open(url: str) -> "Memory":
    """A new, empty store. Raises `ValueError` on a URL other than `memory:`."""
    if url != "memory:":
        raise ValueError(f"{url!r}: a store in memory has no name, its URL is memory:")
    return Memory()


class Memory:
    """The tables of the layout as dicts, each by its key."""

    def __init__(self) -> None:
        self._epoch = 1
        self._databases: dict[int, Database] = {}
        self._tokens: dict[str, Token] = {}
        self._profiles: dict[tuple[int, str], bytes] = {}
        self._identities: dict[tuple[int, str, str], set[str]] = defaultdict(set)
        self._changes: list[tuple[ChangeRecord, bytes]] = []
        self._jobs: dict[tuple[int, str], bytes] = {}
        self._once: dict[tuple[int, str], tuple[str, int, str]] = {}

    async def change(self, changes: Sequence[Change]) -> list[EditResult | Refusal]:
        return settled([self._run(change) for change in changes])

    async def find(self, database: int, identities: Sequence[Identity]) -> list[Profile]:
        return self._find(database, identities)

    async def changes(self, database: int, since: int = 0) -> AsyncIterator[ChangeRecord]:
        for recorded, patch in self._oldest_first():
            if recorded.database == database and recorded.origin.time >= since:
                yield replace(recorded, patch=orjson.loads(patch))

    async def page(self, database: int, query: Query) -> list[Profile]:
        own = (Profile(**orjson.loads(text)) for (at, _), text in self._profiles.items() if at == database)
        return listed(own, query)

    async def add_job(self, database: int, job: Job) -> None:
        self._jobs.setdefault((database, job.id), orjson.dumps(job))

    async def job(self, database: int, id: str) -> Job | None:
        text = self._jobs.get((database, id))
        return _job(text) if text else None

    async def jobs(self, database: int, kind: str, query: Query) -> list[Job]:
        known = [_job(text) for (at, _), text in self._jobs.items() if at == database]
        own = [job for job in known if job.kind == kind]
        own = sorted(own, key=lambda job: (job.created, job.id), reverse=query.descending)
        page = [each for each in own if is_behind((each.created, each.id), query)][: query.limit]
        return [replace(job, profiles=(), failures=(), lists=()) for job in page]

    async def prune(self, before: int, limit: int) -> int:
        known = self._oldest_first()
        old = [recorded for recorded, _ in known if recorded.origin.time < before][:limit]
        self._changes = known[len(old) :]
        jobs = [key for key, text in self._jobs.items() if _job(text).created < before][:limit]
        for key in jobs:
            del self._jobs[key]
        return len(old) + len(jobs)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator["Snapshot"]:
        yield Snapshot(dict(self._profiles), dict(self._jobs), self._oldest_first(), dict(self._once))

    async def restore(self, database: int, past: Sequence[Past]) -> int:
        return sum([self._restore(database, each) for each in past])

    def epoch(self) -> int:
        return self._epoch

    async def databases(self) -> list[Database]:
        return deepcopy([self._databases[id] for id in sorted(self._databases)])

    async def tokens(self) -> list[Token]:
        return sorted(self._tokens.values(), key=lambda token: (token.created, token.id))

    async def add_database(self, database: Database) -> None:
        companies = {known.company_id for known in self._databases.values()} - {None}
        if database.id in self._databases or database.company_id in companies:
            raise Duplicate(f"database {database.id} or its company id is known already")
        self._register(self._databases, database.id, database)

    async def add_token(self, token: Token) -> None:
        if token.hash in self._tokens or token.id in {known.id for known in self._tokens.values()}:
            raise Duplicate(f"token {token.id} is known already")
        self._database(token.database)
        self._register(self._tokens, token.hash, token)

    async def revoke_token(self, id: str) -> None:
        for token in self._tokens.values():
            if token.id == id:
                return self._register(self._tokens, token.hash, replace(token, revoked=True))
        raise Missing(f"there is no token {id}")

    async def add_resource(self, database: int, resource: Resource) -> None:
        known = self._database(database)
        if resource.id in known.resources:
            raise Duplicate(f"database {database} has a resource {resource.id} already")
        resources = {**known.resources, resource.id: resource}
        self._register(self._databases, database, replace(known, resources=resources))

    async def add_segment(self, database: int, segment: Segment) -> None:
        known = self._database(database)
        if segment.id in known.segments:
            raise Duplicate(f"database {database} has a segment {segment.id} already")
        segments = {**known.segments, segment.id: segment}
        self._register(self._databases, database, replace(known, segments=segments))

    async def ready(self) -> None:
        return None

    async def close(self) -> None:
        return None

    def _run(self, change: Change) -> EditResult | Exception:
        try:
            if done := self._done_before(change):
                return done
            edited = change.edit(partial(self._find, change.database))
            for write in edited.writes:
                document_text(write)
            texts = [(orjson.dumps(write.after and asdict(write.after)), _text(write.patch)) for write in edited.writes]
        except Exception as error:
            return error
        for write, (profile, patch) in zip(edited.writes, texts, strict=True):
            self._keep(change, write, profile, patch)
        if change.once:
            kept = change.once.fingerprint, change.once.until, remembered(edited.profile)
            self._once[change.database, change.once.key] = kept
        return edited

    def _done_before(self, change: Change) -> EditResult | None:
        kept = self._once.get((change.database, change.once.key)) if change.once else None
        if change.once is None or kept is None or kept[1] < change.origin.time:
            return None
        return repeated(change.once, kept[0], kept[2])

    def _keep(self, change: Change, write: Write, profile: bytes, patch: bytes | None) -> None:
        database, (id, version) = change.database, outcome(write)
        self._profiles[database, id] = profile
        if write.after is None:
            del self._profiles[database, id]
        for identity in write.lost:
            self._identities[database, *identity].discard(id)
        for identity in write.gained:
            self._identities[database, *identity].add(id)
        if patch is not None:
            self._changes.append((ChangeRecord(database, id, version, change.origin, []), patch))

    def _restore(self, database: int, past: Past) -> bool:
        """Keeps it where it is not there yet, and tells whether."""
        match past:
            case ChangeRecord():
                known = {(each.database, each.origin.time, each.profile, each.version) for each, _ in self._changes}
                is_new = (database, past.origin.time, past.profile, past.version) not in known
                self._changes += [(replace(past, patch=[]), orjson.dumps(past.patch))] if is_new else []
            case Job():
                is_new = (database, past.id) not in self._jobs
                self._jobs.setdefault((database, past.id), orjson.dumps(past))
            case StoredAnswer(once, profile):
                is_new = (database, once.key) not in self._once
                self._once.setdefault((database, once.key), (once.fingerprint, once.until, remembered(profile)))
        return is_new

    def _find(self, database: int, identities: Sequence[Identity]) -> list[Profile]:
        ids = {value for kind, value in identities if kind == "id"}
        ids = ids.union(*(self._identities[database, *identity] for identity in identities))
        found = [self._profiles[database, id] for id in sorted(ids) if (database, id) in self._profiles]
        return [Profile(**orjson.loads(profile)) for profile in found]

    def _oldest_first(self) -> list[tuple[ChangeRecord, bytes]]:
        return sorted(self._changes, key=lambda change: change[0].origin.time)

    def _database(self, id: int) -> Database:
        if id not in self._databases:
            raise Missing(f"there is no database {id}")
        return self._databases[id]

    def _register(self, table: dict[Any, Any], key: int | str, row: Database | Token) -> None:
        table[key] = deepcopy(row)
        self._epoch += 1


class Snapshot:
    """Copies of the tables."""

    def __init__(
        self,
        profiles: dict[tuple[int, str], bytes],
        jobs: dict[tuple[int, str], bytes],
        changes: list[tuple[ChangeRecord, bytes]],
        once: dict[tuple[int, str], tuple[str, int, str]],
    ) -> None:
        self._profiles, self._jobs, self._changes, self._once = profiles, jobs, changes, once

    async def size(self) -> int:
        return sum(map(len, (self._profiles, self._jobs, self._changes, self._once)))

    async def profiles(self, database: int, after: str = "") -> AsyncIterator[Profile]:
        for key in _behind(self._profiles, database, after):
            yield Profile(**orjson.loads(self._profiles[key]))

    async def jobs(self, database: int, after: str = "") -> AsyncIterator[Job]:
        for key in _behind(self._jobs, database, after):
            yield _job(self._jobs[key])

    async def changes(self, database: int, since: int = 0) -> AsyncIterator[ChangeRecord]:
        for recorded, patch in self._changes:
            if recorded.database == database and recorded.origin.time >= since:
                yield replace(recorded, patch=orjson.loads(patch))

    async def answered(self, database: int, after: str = "") -> AsyncIterator[StoredAnswer]:
        for key in _behind(self._once, database, after):
            fingerprint, until, kept = self._once[key]
            yield StoredAnswer(IdempotencyKey(key[1], fingerprint, until), recalled(kept))


def _behind(table: dict[tuple[int, str], Any], database: int, after: str) -> list[tuple[int, str]]:
    """The keys of a database behind a name, in order."""
    return sorted((at, name) for at, name in table if at == database and name > after)


def _text(patch: Any) -> bytes | None:
    return None if patch is None else orjson.dumps(patch)


def _job(text: bytes) -> Job:
    fields = orjson.loads(text)
    told: Any = {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
    return Job(**told)
