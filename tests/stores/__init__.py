"""What the tests of the stores share: small edits, changes with them, and the content of a store.

An edit may pause: without the pause, a test of a race would rarely meet it.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import structs

from gateway.core.faults import refuse
from gateway.core.journal import creation as creation_of
from gateway.core.journal import removal
from gateway.core.model import (
    Change,
    Database,
    Document,
    Edit,
    EditResult,
    Find,
    Identity,
    JournalEntry,
    MemberChange,
    Origin,
    Profile,
    Write,
)
from gateway.stores.protocol import Store

ANN: Identity = ("email", "ann@example.com")
BOB: Identity = ("email", "bob@example.com")
PHONE: Identity = ("phone", "+79510000000")
PAUSE = 0.002


def change(edit: Edit, *identities: Identity, database: int = 1, time: int = 1000) -> Change:
    return Change(database, identities, edit, Origin("token", "dialect", time))


def creation(id: str, *identities: Identity, **document: Any) -> EditResult:
    """Return the result that creates a profile."""
    profile = Profile(id, document, 1, 1000, 1000)
    members = creation_of(document)
    return EditResult(profile, (Write(None, profile, frozenset(identities), frozenset(), members, "create"),))


def create(id: str, *identities: Identity, pause: float = 0, **document: Any) -> Edit:
    """Create a profile, unless one of the identities names one."""

    def edit(find: Find) -> EditResult:
        found = find(identities)
        time.sleep(pause)
        return EditResult(found[0]) if found else creation(id, *identities, **document)

    return edit


def alter(
    key: Identity,
    new_document: Callable[[Document], Document],
    gained: Iterable[Identity] = (),
    lost: Iterable[Identity] = (),
    pause: float = 0,
) -> Edit:
    """Alter the document that the key names. Refused where it names none."""

    def edit(find: Find) -> EditResult:
        found = find([key])
        time.sleep(pause)
        if not found:
            raise refuse("profile_not_found")
        before = found[0]
        after = structs.replace(
            before, document=new_document(before.document), version=before.version + 1, updated=before.updated + 1
        )
        members = (MemberChange("", before.document, after.document),)
        return EditResult(after, (Write(before, after, frozenset(gained), frozenset(lost), members),))

    return edit


def increment(key: Identity, pause: float = 0) -> Edit:
    return alter(key, lambda document: {**document, "n": document.get("n", 0) + 1}, pause=pause)


def append(key: Identity, item: int) -> Edit:
    return alter(key, lambda document: {**document, "items": [*document.get("items", []), item]})


def remove(key: Identity, *lost: Identity) -> Edit:
    def edit(find: Find) -> EditResult:
        [before] = find([key])
        write = Write(before, None, lost=frozenset(lost), members=removal(before.document), kind="remove")
        return EditResult(before, (write,))

    return edit


def fail(error: BaseException, *identities: Identity) -> Edit:
    """Look for the identities, then fail."""

    def edit(find: Find) -> EditResult:
        find(identities)
        raise error

    return edit


async def one(store: Store, key: Identity, database: int = 1) -> Profile:
    [profile] = await store.find(database, [key])
    return profile


async def journal_entries(store: Store, database: int = 1) -> list[JournalEntry]:
    """Return all entries: a snapshot has them whatever other transactions run on the server."""
    async with store.snapshot() as snapshot:
        return [each async for each in snapshot.journal(database)]


async def unplaced_entries(store: Store, database: int) -> list[JournalEntry]:
    """Return all entries without their positions, which are the engine's."""
    return [structs.replace(each, position=0) for each in await journal_entries(store, database)]


@dataclass(frozen=True)
class StoreContent:
    """The content of a store. `named`: the profiles that each of the identities names."""

    named: dict[tuple[int, Identity], list[Profile]]
    journal: list[JournalEntry]
    registry: list[Any]


async def content_of(store: Store, identities: Sequence[Identity], databases: Sequence[int] = (1, 2)) -> StoreContent:
    journal = [each for database in databases for each in await unplaced_entries(store, database)]
    ids = [("id", id) for id in sorted({each.profile for each in journal})]
    keys = [*identities, *ids]
    named = {(database, key): await store.find(database, [key]) for database in databases for key in keys}
    return StoreContent(named, journal, [*await store.databases(), *await store.tokens()])


async def add_databases(store: Store) -> Store:
    """Add the two databases of every test."""
    await store.add_database(Database(1, "one"))
    await store.add_database(Database(2, "two"))
    return store
