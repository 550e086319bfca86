"""What the tests of the stores share: small edits, changes that carry them, and a picture of all that a store holds.

An edit here may pause: a race test proves nothing unless the edit holds the race open.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace as altered

from gateway.core.faults import refuse
from gateway.core.model import (
    Change,
    ChangeRecord,
    Database,
    Document,
    Edit,
    EditResult,
    Find,
    Identity,
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


def made(id: str, *identities: Identity, **document: Any) -> EditResult:
    """What puts a new profile of this id into the store."""
    profile = Profile(id, document, 1, 1000, 1000)
    patch = ({"op": "add", "path": "", "value": document},)
    return EditResult(profile, (Write(None, profile, frozenset(identities), frozenset(), patch),))


def creating(id: str, *identities: Identity, pause: float = 0, **document: Any) -> Edit:
    """Makes a profile of the id, unless one of the identities has one already."""

    def edit(find: Find) -> EditResult:
        found = find(identities)
        time.sleep(pause)
        return EditResult(found[0]) if found else made(id, *identities, **document)

    return edit


def altering(
    key: Identity,
    alter: Callable[[Document], Document],
    gained: Iterable[Identity] = (),
    lost: Iterable[Identity] = (),
    pause: float = 0,
) -> Edit:
    """Makes a new document of the one that the key names, or is refused where it names none."""

    def edit(find: Find) -> EditResult:
        found = find([key])
        time.sleep(pause)
        if not found:
            raise refuse("profile_not_found")
        before = found[0]
        after = altered(before, document=alter(before.document), version=before.version + 1, updated=before.updated + 1)
        patch = ({"op": "replace", "path": "", "value": after.document},)
        return EditResult(after, (Write(before, after, frozenset(gained), frozenset(lost), patch),))

    return edit


def counting(key: Identity, pause: float = 0) -> Edit:
    return altering(key, lambda document: {**document, "n": document.get("n", 0) + 1}, pause=pause)


def appending(key: Identity, item: int) -> Edit:
    return altering(key, lambda document: {**document, "items": [*document.get("items", []), item]})


def removing(key: Identity, *lost: Identity) -> Edit:
    def edit(find: Find) -> EditResult:
        [before] = find([key])
        return EditResult(before, (Write(before, None, lost=frozenset(lost), patch=({"op": "remove", "path": ""},)),))

    return edit


def raising(error: BaseException, *identities: Identity) -> Edit:
    """Looks around as any edit does, then fails."""

    def edit(find: Find) -> EditResult:
        find(identities)
        raise error

    return edit


async def one(store: Store, key: Identity, database: int = 1) -> Profile:
    [profile] = await store.find(database, [key])
    return profile


async def record(store: Store, database: int = 1, since: int = 0) -> list[ChangeRecord]:
    return [recorded async for recorded in store.changes(database, since)]


@dataclass(frozen=True)
class Picture:
    """All that can be seen of a store. `named`: which profiles each of the identities names."""

    named: dict[tuple[int, Identity], list[Profile]]
    changes: list[ChangeRecord]
    registry: list[Any]


async def picture(store: Store, identities: Sequence[Identity], databases: Sequence[int] = (1, 2)) -> Picture:
    changes = [recorded for database in databases for recorded in await record(store, database)]
    ids = [("id", id) for id in sorted({recorded.profile for recorded in changes})]
    keys = [*identities, *ids]
    named = {(database, key): await store.find(database, [key]) for database in databases for key in keys}
    return Picture(named, changes, [*await store.databases(), *await store.tokens()])


async def furnish(store: Store) -> Store:
    """The two databases that every test finds."""
    await store.add_database(Database(1, "one"))
    await store.add_database(Database(2, "two"))
    return store
