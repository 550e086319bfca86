"""The contract of every engine.

An engine works with databases, ids, identities and documents. It depends on no field of a profile and on no dialect.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeAlias

from gateway.core.faults import Refusal
from gateway.core.model import (
    Address,
    AddressLedger,
    Change,
    ChangeRecord,
    Database,
    EditResult,
    Identity,
    Job,
    Ledger,
    Profile,
    Query,
    Resource,
    Segment,
    StoredAnswer,
    Token,
)

Record: TypeAlias = ChangeRecord | Job | StoredAnswer | AddressLedger
"""What a database stores beside its profiles."""


class Snapshot(Protocol):
    """The content of all databases at one moment. Later writes do not alter it. Each method may raise `Unavailable`."""

    async def size(self) -> int:
        """Return about how many rows there are in all, without counting them; 0 where that is unknown."""
        ...

    def profiles(self, database: int, after: str = "") -> AsyncIterator[Profile]:
        """Return the profiles after an id, by id."""
        ...

    def jobs(self, database: int, after: str = "") -> AsyncIterator[Job]:
        """Return the jobs after an id, by id."""
        ...

    def changes(self, database: int, since: int = 0) -> AsyncIterator[ChangeRecord]:
        """Return the change records since a time (ms, included), oldest first."""
        ...

    def answers(self, database: int, after: str = "") -> AsyncIterator[StoredAnswer]:
        """Return the stored answers after a key, by key; expired ones too."""
        ...

    def ledgers(self, database: int, after: Address = "") -> AsyncIterator[AddressLedger]:
        """Return the ledgers after an address, by address."""
        ...


class Store(Protocol):
    """One atomic step over profiles, a few reads, and the registry of databases, tokens, resources and segments.

    Every method may raise `Unavailable`.
    """

    file: str | None
    """The path of the file that the store is; None if it is no file."""

    async def change(self, changes: Sequence[Change]) -> list[EditResult | Refusal]:
        """Run each change's edit. Store its writes, identities, ledgers and change records: all or nothing for each.

        Changes are isolated from one another and applied in order. Results have the same order. They are returned only
        when everything that they report is durable. An edit's `Refusal` is its result, and has no effect. Any other
        exception of an edit is raised here after the other changes are stored, and has no effect either.

        A result's `erasure` also removes, in the same step, the stored answers with the erased profiles, and the erased
        persons from the results of jobs. The change's own answer is then stored without a profile.

        A change with a `once` runs its edit where the store has no answer for the key, or where the answer expired by
        the origin's time. The edited profile is stored with the key in the same step. The same key and fingerprint then
        return that profile again and write nothing; another fingerprint is refused (idempotency_conflict). A refusal is
        not stored.

        `after` replaces what has its id. A deletion names all identities of its profile as lost. An edit may look for
        identities that its change does not name: each costs a further look-up. Documents have integers of 64 bits at
        most.
        """
        ...

    async def find(self, database: int, identities: Sequence[Identity]) -> list[Profile]:
        """Return the profiles that any of the identities names, each once, by id. It sees every acknowledged change."""
        ...

    async def ledgers(self, database: int, addresses: Sequence[Address]) -> dict[Address, Ledger]:
        """Return the ledgers of addresses; one without facts is absent. It sees every acknowledged change."""
        ...

    async def page(self, database: int, query: Query) -> list[Profile]:
        """Return the profiles that a query selects, as `core.listing.listed` selects and orders them."""
        ...

    async def add_job(self, database: int, job: Job) -> None:
        """Store a job; durable once this returns. A stored job with the same id is not altered."""
        ...

    async def job(self, database: int, id: str) -> Job | None:
        """Return a job with all its results."""
        ...

    async def jobs(self, database: int, kind: str, query: Query) -> list[Job]:
        """Return jobs of a kind without their results, by `created`. The rest of the query is as for profiles."""
        ...

    def changes(self, database: int, since: int = 0) -> AsyncIterator[ChangeRecord]:
        """Return the change records of a database since a time (ms, included), oldest first."""
        ...

    async def prune(self, before: int, limit: int) -> int:
        """Remove at most `limit` change records, and as many jobs, older than `before` (ms). Return how many.

        It is one step among the other changes, and they wait for it: some hundreds are a good limit.
        """
        ...

    def snapshot(self) -> AbstractAsyncContextManager[Snapshot]:
        """Return the content of all databases at this moment, valid until the context ends."""
        ...

    async def restore(self, database: int, records: Sequence[Record]) -> int:
        """Store records of a snapshot, all or nothing. Return how many of them were new.

        A stored record is not altered. Change records are compared by time, profile and version, jobs by id, answers by
        key, ledgers by address. The order of the change records is kept. Profiles are restored by `change`.
        """
        ...

    def registry_version(self) -> int:
        """Return a number that differs once the registry may have changed. It is read on every request, without I/O."""
        ...

    async def databases(self) -> list[Database]:
        """Return every database with its resources and segments, by id."""
        ...

    async def tokens(self) -> list[Token]:
        """Return every token, revoked ones too, by creation."""
        ...

    async def add_database(self, database: Database) -> None:
        """Raises `Duplicate` where the id or the company id exists."""
        ...

    async def add_token(self, token: Token) -> None:
        """Raises `Duplicate` where the hash exists, `Missing` where the database does not."""
        ...

    async def revoke_token(self, id: str) -> None:
        """Raises `Missing` where there is no such token. Revoking twice is no error."""
        ...

    async def update_database(self, database: Database) -> None:
        """Replace the name, the fields, the company id and `closed`. The resources and segments stay.

        Raises `Missing` where there is no such id, `Duplicate` where the company id is another database's. The
        identities of stored profiles are not altered.
        """
        ...

    async def add_resource(self, database: int, resource: Resource) -> None:
        """Raises `Duplicate` or `Missing`."""
        ...

    async def update_resource(self, database: int, resource: Resource) -> None:
        """Replace what has its id. Raises `Missing`."""
        ...

    async def remove_resource(self, database: int, id: int) -> None:
        """Subscriptions to it stay. Raises `Missing`."""
        ...

    async def add_segment(self, database: int, segment: Segment) -> None:
        """Raises `Duplicate` or `Missing`."""
        ...

    async def update_segment(self, database: int, segment: Segment) -> None:
        """Replace what has its id. Raises `Missing`."""
        ...

    async def remove_segment(self, database: int, id: int) -> None:
        """Profiles keep its id. Raises `Missing`."""
        ...

    async def ready(self) -> None:
        """Return when the engine responds. Raises `Unavailable` if it does not."""
        ...

    async def close(self) -> None:
        """Complete the calls in flight, then release the engine."""
        ...
