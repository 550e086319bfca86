"""The contract of every engine.

An engine works with databases, ids, identities and documents. It depends on no field of a profile and on no dialect.
"""

from collections.abc import AsyncIterator, Awaitable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from types import MappingProxyType
from typing import Protocol, TypeAlias

from gateway.core.faults import Refusal
from gateway.core.model import (
    Address,
    AddressLedger,
    Change,
    Database,
    EditResult,
    Erasure,
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
    Resource,
    StoredAnswer,
    Token,
)
from gateway.core.segments import Segment, SegmentId
from gateway.core.subscribers import Delivery, DeliveryResult, Subscriber
from gateway.stores.observer import StoreObserver
from gateway.stores.refused_protocol import RefusedStore

Record: TypeAlias = JournalEntry | Job | StoredAnswer
"""What a database stores beside its profiles and ledgers, and `restore` adds."""


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

    def journal(self, database: int, after: Position = 0) -> AsyncIterator[JournalEntry]:
        """Return the entries of the journal after a position, by position."""
        ...

    def answers(self, database: int, after: str = "") -> AsyncIterator[StoredAnswer]:
        """Return the stored answers after a key, by key; expired ones too."""
        ...

    def ledgers(self, database: int, after: Address = "") -> AsyncIterator[AddressLedger]:
        """Return the ledgers after an address, by address."""
        ...


class Store(RefusedStore, Protocol):
    """One atomic step over profiles, a few reads, and the registry of databases, tokens, resources and segments.

    Every method may raise `Unavailable`.
    """

    file: str | None
    """The path of the file that the store is; None if it is no file."""

    checks_registry: bool
    """Whether `change` raises `RegistryChanged` where the registry has another version than a change relies on. Then a
    request that is one change need not read the version: the engine reads it once for all changes that it stores
    together. Otherwise `Change.registry` is ignored."""

    id: str
    """A random name, made with the store: positions in its journal mean nothing in another store."""

    def change(self, changes: Sequence[Change]) -> Awaitable[list[EditResult | Refusal]]:
        """Run each change's edit. Store its writes, identities, ledgers and journal entries: all or nothing for each.

        Changes are isolated from one another and applied in order. Results have the same order. They are returned only
        when everything that they report is durable. An edit's `Refusal` is its result, and has no effect. Any other
        exception of an edit is raised here after the other changes are stored, and has no effect either.

        A result's `erasure` also removes, in the same step, the stored answers with the erased profiles, their
        deliveries, the refused requests of the persons, the values and the request ids in their journal entries, and
        the erased persons from the results of jobs. Of the keys and the request ids tombstones remain. The change's own
        answer is stored without a profile.

        A change with a `once` runs its edit where the store has no answer for the key, or where the answer expired by
        the origin's time. The edited profile is stored with the key in the same step. The same key and fingerprint then
        return that profile again and write nothing; another fingerprint is refused (idempotency_conflict). A refusal is
        not stored.

        `after` replaces what has its id. A deletion names all identities of its profile as lost. An edit may look for
        identities that its change does not name: each costs a further look-up. Documents have integers of 64 bits at
        most.
        """
        ...

    def observe(self, observer: StoreObserver) -> None:
        """Report the groups of changes and their commits to an observer from now on."""
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

    async def journal(
        self, database: int, after: Position, limit: int, profile: str | None = None
    ) -> list[JournalEntry]:
        """Return at most `limit` entries of the journal after a position, by position; those of one profile if given.

        A reader that continues after the last position that it read misses no entry: where writes are stored at the
        same time, entries are returned once no earlier one can follow. Those of one profile are returned at once. The
        entries of a profile have the order of its versions.
        """
        ...

    async def merge(self, database: int, id: str) -> list[JournalEntry]:
        """Return the entries of a merge and of its undo, by position; none if it is unknown or pruned."""
        ...

    async def merges(
        self, database: int, before: Position | None, limit: int, profile: str | None = None
    ) -> list[RecordedMerge]:
        """Return at most `limit` merges before a position, the newest first; those with one profile if given."""
        ...

    async def journal_range(self, database: int) -> JournalRange:
        """Return the positions that `journal` can read now."""
        ...

    async def removals(self, database: int, after: Position, limit: int) -> list[JournalEntry]:
        """Return at most `limit` entries of the kind `remove` after a position, by position."""
        ...

    async def prune(self, before: int, limit: int, keep_from: Mapping[int, Position] = MappingProxyType({})) -> int:
        """Remove at most `limit` journal entries, and as many jobs, older than `before` (ms). Return how many.

        `keep_from`: by database, the position from which on entries stay, whatever their age. The removal is one step
        among the other changes, and they wait for it: some hundreds are a good limit.
        """
        ...

    async def erase(self, database: int, erasure: Erasure, after: JobCursor) -> JobCursor | None:
        """Remove persons from some entries of the journal, and from some jobs after a place.

        Return the place where to continue; None if nothing is left. A change with the erasure does the rest: so its one
        step is short, however much there is.
        """
        ...

    async def occurrences(self, texts: Collection[str]) -> dict[str, int]:
        """Return where any of the texts is stored: how often by table, or by file. Empty: nowhere.

        It reads everything. The write-ahead log is written into the file before. Raises `Unavailable` if it cannot be.
        """
        ...

    async def compact(self) -> None:
        """Write the store anew, without what it removed. Others wait for it: a large store takes minutes."""
        ...

    def snapshot(self) -> AbstractAsyncContextManager[Snapshot]:
        """Return the content of all databases at this moment, valid until the context ends."""
        ...

    async def restore(self, database: int, records: Sequence[Record]) -> int:
        """Store records of a snapshot, all or nothing. Return how many of them were new.

        A stored record is not altered. Entries are compared by time, profile and version, jobs by id, answers by
        key. Entries get new positions, in their order. Profiles and ledgers are restored by `change`.
        """
        ...

    def registry_version(self) -> int:
        """Return a number that differs once the registry may have changed. It is read by requests, without I/O."""
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

    async def rename_token(self, id: str, name: str) -> None:
        """Replace the name that people see. Raises `Missing` where there is no such token."""
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
        """Replace what has its id, but for when it was archived. Raises `Missing`."""
        ...

    async def archive_segment(self, database: int, id: SegmentId, time: int | None) -> None:
        """Replace when a segment was archived (ms since 1970); None: it is not archived. Raises `Missing`."""
        ...

    async def remove_segment(self, database: int, id: SegmentId) -> None:
        """Profiles keep its id. Raises `Missing`."""
        ...

    async def add_subscriber(self, subscriber: Subscriber) -> None:
        """Raises `Duplicate` where the id exists, `Missing` where the database does not."""
        ...

    async def remove_subscriber(self, database: int, id: str) -> None:
        """Remove it with its deliveries. Raises `Missing`."""
        ...

    async def subscribers(self) -> list[Subscriber]:
        """Return every subscriber, by creation."""
        ...

    async def lease_subscriber(self, database: int, id: str, owner: str, now: int, until: int) -> Subscriber | None:
        """Give or extend the lease of an active subscriber, until a time (ms); return it as it is now.

        None: it is not active, or another owner has a lease that has not ended at the time `now`.
        """
        ...

    async def settle(self, result: DeliveryResult, owner: str) -> None:
        """Store the position, the state and the reason of a leased subscriber, its deliveries and its notes.

        Raises `Missing`, and stores nothing, where the owner's lease is now another's, or there is no such subscriber.
        """
        ...

    async def deliveries(self, database: int, id: str, is_dead: bool, after: Position, limit: int) -> list[Delivery]:
        """Return the deliveries of a subscriber after a position, by position: the dead ones or the others."""
        ...

    async def notes(self, database: int, id: str, names: Sequence[str]) -> dict[str, str]:
        """Return the notes of a subscriber that have these names."""
        ...

    async def noted(self, database: int, id: str, value: str) -> list[str]:
        """Return the names of the notes of a subscriber that have this value, in their order."""
        ...

    async def drop_deliveries(self, database: int, id: str, positions: Sequence[Position]) -> None:
        """Remove the dead deliveries at the positions."""
        ...

    async def resume_subscriber(self, database: int, id: str, positions: Sequence[Position] | None) -> None:
        """Make a subscriber active, and its dead deliveries due, or those at the positions. Raises `Missing`."""
        ...

    async def forget_deliveries(self, kept: int) -> None:
        """Remove the oldest dead deliveries of each subscriber that has more than `kept`."""
        ...

    async def entry_of_delivery(self, database: int, id: str, position: Position) -> JournalEntry | None:
        """Return the entry of a delivery that `prune` removed from the journal, or may remove next."""
        ...

    async def ready(self) -> None:
        """Return when the engine responds. Raises `Unavailable` if it does not."""
        ...

    async def close(self) -> None:
        """Complete the calls in flight, then release the engine."""
        ...
