"""What every engine does, and how one is opened: the URL's scheme names the module.

An engine knows databases, ids, identities and documents; it knows no field of a profile and no dialect.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeAlias

from gateway.core.faults import Refusal
from gateway.core.model import (
    Change,
    ChangeRecord,
    Database,
    EditResult,
    Identity,
    Job,
    Profile,
    Query,
    Resource,
    Segment,
    StoredAnswer,
    Token,
)

Past: TypeAlias = ChangeRecord | Job | StoredAnswer
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

    def changes(self, database: int, since: int = 0) -> AsyncIterator[ChangeRecord]:
        """The record of changes from a time (ms) on, oldest first."""
        ...

    def answered(self, database: int, after: str = "") -> AsyncIterator[StoredAnswer]:
        """The answers behind a key, by key; expired ones too."""
        ...


class Store(Protocol):
    """One atomic step over profiles, a few reads, and the registry of databases, tokens, resources and segments.

    Every method may raise `Unavailable`.
    """

    async def change(self, changes: Sequence[Change]) -> list[EditResult | Refusal]:
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

    def changes(self, database: int, since: int = 0) -> AsyncIterator[ChangeRecord]:
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
