"""What every engine does, and how one is opened: the URL's scheme names the module.

An engine knows databases, ids, identities and documents; it knows no field of a profile and no dialect.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol, TypeAlias

import orjson
from msgspec.structs import asdict

from gateway.core.faults import Refusal, refuse
from gateway.core.model import (
    Answered,
    Change,
    Created,
    Database,
    Edited,
    Identity,
    Job,
    Once,
    Origin,
    Profile,
    Query,
    Recorded,
    Resource,
    Segment,
    Token,
    Write,
)


class Unavailable(Exception):
    """The engine cannot answer now. Nothing of the change was applied, or the message says that this is not known."""


Past: TypeAlias = Recorded | Job | Answered
"""What a database remembers beside its profiles."""


class Snapshot(Protocol):
    """All that the databases held at one moment, whatever is written meanwhile. Each method may raise `Unavailable`."""

    async def size(self) -> int:
        """About how many rows there are in all, without counting them; 0 where that is not known."""
        ...

    def profiles(self, database: int, after: str = "") -> AsyncIterator[Profile]:
        """The profiles behind an id, by id."""
        ...

    def jobs(self, database: int, after: str = "") -> AsyncIterator[Job]:
        """The jobs behind an id, by id."""
        ...

    def changes(self, database: int, since: int = 0) -> AsyncIterator[Recorded]:
        """The record of changes from a time (ms) on, oldest first."""
        ...

    def answered(self, database: int, after: str = "") -> AsyncIterator[Answered]:
        """The answers behind a key, by key; expired ones too."""
        ...


class Store(Protocol):
    """One atomic step over profiles, a few reads, and the registry of databases, tokens, resources and segments.

    Every method may raise `Unavailable`.
    """

    async def change(self, changes: Sequence[Change]) -> list[Edited | Refusal]:
        """Run each change's edit on what it finds and keep its writes, identities and record, all or nothing for each.

        Changes are isolated from one another and applied in order; answers come in the same order, and only when
        everything they report is durable. An edit's `Refusal` is its answer, and leaves no trace; any other exception
        of an edit is raised here once the others are kept, and leaves no trace either.

        A change with a `once` runs its edit where its key is met for the first time, or not since it expired by the
        origin's time, and the edited profile is kept with it in the same step. The same key and fingerprint then give
        that profile again and write nothing; another fingerprint is refused (idempotency_conflict). No refusal is kept.

        `after` takes the place of what has its id. A deletion names all identities of its profile as lost. An edit may
        ask for other identities than its change names, at the price of a look-up of its own. Documents hold integers of
        64 bits at most.
        """
        ...

    async def find(self, database: int, identities: Sequence[Identity]) -> list[Profile]:
        """The profiles that any of the identities names, each once, ordered by id. Sees every acknowledged change."""
        ...

    async def page(self, database: int, query: Query) -> list[Profile]:
        """The profiles that a query lets through, as `core.listing.listed` would choose and order them."""
        ...

    async def add_job(self, database: int, job: Job) -> None:
        """Remember a job; durable once this returns. One whose id is known already stays what it is."""
        ...

    async def job(self, database: int, id: str) -> Job | None:
        """A job with everything that came of it."""
        ...

    async def jobs(self, database: int, kind: str, query: Query) -> list[Job]:
        """Jobs of a kind, without what came of them, by `created`; the rest of the query is as for profiles."""
        ...

    def changes(self, database: int, since: int = 0) -> AsyncIterator[Recorded]:
        """The record of changes of a database from a time (ms) on, oldest first."""
        ...

    async def prune(self, before: int, limit: int) -> int:
        """Forget at most `limit` recorded changes, and as many jobs, older than `before` (ms); answers how many went.

        It is one step among the others' changes, and they wait for it: some hundreds are a good limit.
        """
        ...

    def snapshot(self) -> AbstractAsyncContextManager[Snapshot]:
        """What all databases hold at this moment, for as long as the context lasts."""
        ...

    async def restore(self, database: int, past: Sequence[Past]) -> int:
        """Keep what a snapshot gave, all or nothing, and tell how much of it was not there yet.

        What is there is not touched: a recorded change is known by its time, profile and version, a job by its id, an
        answer by its key. The order of the record is kept. Profiles are put back by `change`.
        """
        ...

    def epoch(self) -> int:
        """A number that differs once the registry may have changed. Cheap, synchronous: asked for on every request."""
        ...

    async def databases(self) -> list[Database]:
        """Every database with its resources and segments, ordered by id."""
        ...

    async def tokens(self) -> list[Token]:
        """Every token, revoked ones too, ordered by creation."""
        ...

    async def add_database(self, database: Database) -> None:
        """Raises `Duplicate` where the id or the company id is taken."""
        ...

    async def add_token(self, token: Token) -> None:
        """Raises `Duplicate` where the hash is known, `Missing` where the database is not."""
        ...

    async def revoke_token(self, id: str) -> None:
        """Raises `Missing` where there is no such token. Revoking twice is no error."""
        ...

    async def add_resource(self, database: int, resource: Resource) -> None:
        """Raises `Duplicate` or `Missing`."""
        ...

    async def add_segment(self, database: int, segment: Segment) -> None:
        """Raises `Duplicate` or `Missing`."""
        ...

    async def ready(self) -> None:
        """Returns when the engine answers, else raises `Unavailable`."""
        ...

    async def close(self) -> None:
        """Answers what is in flight, then lets go of the engine."""
        ...


class Duplicate(Exception):
    """The registry holds such a row already."""


class Missing(Exception):
    """The registry holds no such row."""


def settled(answers: list[Any]) -> list[Any]:
    """The answers of some changes, where each is an answer. Raises the first that is a failure."""
    for answer in answers:
        if isinstance(answer, BaseException) and not isinstance(answer, Refusal):
            raise answer
    return answers


def outcome(write: Write) -> tuple[str, int]:
    """The id of the profile that a write is about, and the version it comes to: a deletion counts as one more."""
    if write.after:
        return write.after.id, write.after.version
    if write.before:
        return write.before.id, write.before.version + 1
    raise ValueError("a write that neither finds nor leaves a profile")


async def open_store(url: str) -> Store:
    """The store behind a URL such as `sqlite:///gateway.db`; made or migrated to this version's layout where needed.

    Raises `ValueError` on a URL that no engine knows, `Unavailable` where the engine cannot be reached.
    """
    scheme = url.partition(":")[0]
    if not scheme.isalpha() or find_spec(f"{__name__}.{scheme}") is None:
        raise ValueError(f"the store {scheme!r} is not known: use sqlite:///FILE or postgresql://HOST/NAME")
    store: Store = await import_module(f"{__name__}.{scheme}").open(url)
    return store


LARGEST_DOCUMENT = 4 * 1024 * 1024
"""Bytes that a document may have as JSON: updates that each add a little must end somewhere."""


def document_text(write: Write) -> str:
    """What is kept of a write's document: JSON, or nothing where it removes. Raises `Refusal`: profile_too_large."""
    if write.after is None:
        return ""
    try:
        text = orjson.dumps(write.after.document)
    except orjson.JSONEncodeError as error:
        if "Recursion" not in str(error):
            raise
        raise refuse("profile_too_large", "the profile would be nested too deeply") from None
    if len(text) > LARGEST_DOCUMENT:
        raise refuse("profile_too_large", f"a profile may have at most {LARGEST_DOCUMENT} bytes")
    return text.decode()


def remembered(profile: Profile | None) -> str:
    """What is kept of an outcome that may have to be repeated: its profile, and whether the change made it."""
    return orjson.dumps([isinstance(profile, Created), profile and asdict(profile)]).decode()


def recalled(kept: str) -> Profile | None:
    """The profile of an outcome that was kept."""
    created, profile = orjson.loads(kept)
    return (Created if created else Profile)(**profile) if profile else None


def repeated(once: Once, fingerprint: str, kept: str) -> Edited:
    """The answer to a change that was done before, by what was kept of it. Raises `Refusal`: idempotency_conflict."""
    if fingerprint != once.fingerprint:
        raise refuse("idempotency_conflict")
    return Edited(recalled(kept))


def answered_row(database: int, answered: Answered) -> tuple[Any, ...]:
    """An answer as a row of the layout: database, key, fingerprint, until, and its profile as JSON."""
    once = answered.once
    return database, once.key, once.fingerprint, once.until, remembered(answered.profile)


def answered_of(row: Sequence[Any]) -> Answered:
    """The answer of such a row, read back without its database."""
    *once, kept = row
    return Answered(Once(*once), recalled(kept))


def recorded_row(recorded: Recorded) -> tuple[Any, ...]:
    """A recorded change as a row: database, time, profile, version, token, dialect, triggers, and its patch as JSON."""
    origin = recorded.origin
    who = origin.token, origin.dialect, origin.triggers
    patch = orjson.dumps(recorded.patch).decode()
    return recorded.database, origin.time, recorded.profile, recorded.version, *who, patch


def recorded_of(row: Sequence[Any]) -> Recorded:
    """The change of such a row."""
    database, time, profile, version, token, dialect, triggers, patch = row
    return Recorded(database, profile, version, Origin(token, dialect, time, bool(triggers)), orjson.loads(patch))


def unknown(changes: Sequence[Recorded], known: set[tuple[int, str, int]]) -> list[tuple[Any, ...]]:
    """The rows of those changes that are not known by time, profile and version, each once."""
    new = {(each.origin.time, each.profile, each.version): each for each in changes}
    return [recorded_row(each) for key, each in new.items() if key not in known]


def job_row(database: int, job: Job) -> tuple[Any, ...]:
    """A job as a row of the layout: database, id, created, total, failed, what came of it as JSON, and its kind."""
    outcome = orjson.dumps({name: getattr(job, name) for name in _OUTCOME}).decode()
    return database, job.id, job.created, job.total, job.failed, outcome, job.kind


def job_of(row: Sequence[Any]) -> Job:
    """The job of such a row, read back without its database."""
    id, created, total, failed, text, kind = row
    outcome = orjson.loads(text)
    profiles, failures, lists = (tuple(outcome.get(name, ())) for name in _OUTCOME)
    return Job(id, created, total, failed, profiles, failures, lists, kind)


_OUTCOME = ("profiles", "failures", "lists")
"""What came of a job, in the order of its members."""
