"""What new settings of a database mean for its stored profiles: which become invalid, and their new identities.

Both go through the profiles in steps, while servers run. First the registry is updated, then the profiles are indexed:
from the update on, the servers write the new identities themselves.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from gateway.core.matching import CUSTOM, ID, identities
from gateway.core.model import Change, Database, EditResult, Find, Identity, Origin, Profile, Query, Write
from gateway.core.profile_tables import ProfileTables
from gateway.schema.compiled import CompiledSchema
from gateway.stores.protocol import Store

STEP_PROFILES = 200
MAX_EXAMPLES = 5

NO_ORIGIN = Origin("", "", 0)
"""Indexing alters no document and has no entry in the journal."""


@dataclass(slots=True)
class UpdateConflicts:
    """The stored profiles that new settings would make invalid, or would make equal by a new identifier."""

    profiles: int = 0
    invalid: int = 0
    """Profiles that are valid now and would not be."""
    duplicate: int = 0
    """Profiles that have the same value of a new identifier as another one."""
    examples: list[str] = field(default_factory=list)
    """Some of the invalid profiles, each with the pointers of its faults."""


async def find_conflicts(store: Store, before: Database, after: Database, limit: int | None = None) -> UpdateConflicts:
    """Return what an update of the database's settings would make of its stored profiles. Nothing is written.

    With a limit, only about so many profiles are read.
    """
    old, new = CompiledSchema(before, {}), CompiledSchema(after, {})
    kinds = _identifier_kinds(new.tables) - _identifier_kinds(old.tables)
    found, seen = UpdateConflicts(), set[Identity]()
    async for profiles in _steps(store, after.id):
        found.profiles += len(profiles)
        for profile in profiles:
            await asyncio.sleep(0)  # lets other requests run
            pointers = [fault.pointer.removeprefix("/profile") for fault in new.validate_profile(profile.document, {})]
            if pointers and not old.validate_profile(profile.document, {}):
                found.invalid += 1
                found.examples += [f"{profile.id}: {', '.join(pointers)}"][: MAX_EXAMPLES - len(found.examples)]
            own = {each for each in identities(profile.document, new.tables) if each[0] in kinds}
            found.duplicate += not own.isdisjoint(seen)
            seen |= own
        if limit is not None and found.profiles >= limit:
            break
    return found


def changes_identifiers(before: Database, after: Database) -> bool:
    """Return whether the declarations have other identifiers, so that the stored profiles must be indexed."""
    kinds = [_identifier_kinds(CompiledSchema(each, {}).tables) for each in (before, after)]
    return kinds[0] != kinds[1]


async def index_profiles(store: Store, before: Database, after: Database) -> int:
    """Add the identities of the stored profiles by their identifiers, and remove those of former ones. Return how many.

    An interrupted run is completed by another one.
    """
    tables = CompiledSchema(before, {}).tables, CompiledSchema(after, {}).tables
    count = 0
    async for profiles in _steps(store, after.id):
        ids = tuple((ID, profile.id) for profile in profiles)
        await store.change([Change(after.id, ids, partial(_index, ids, *tables), NO_ORIGIN)])
        count += len(profiles)
    return count


async def _steps(store: Store, database: int) -> AsyncIterator[list[Profile]]:
    after = None
    while profiles := await store.page(database, Query(STEP_PROFILES, after=after)):
        yield profiles
        after = profiles[-1].id, profiles[-1].id


def _index(ids: Sequence[Identity], before: ProfileTables, after: ProfileTables, find: Find) -> EditResult:
    """The edit that writes the identities of some profiles as they are now."""
    kinds = _identifier_kinds(after)
    writes = []
    for profile in find(ids):
        old, new = identities(profile.document, before), identities(profile.document, after)
        gained = frozenset(each for each in new if each[0] in kinds)
        if gained or old - new:
            writes.append(Write(profile, profile, gained, frozenset(old - new), members=None))
    return EditResult(None, tuple(writes))


def _identifier_kinds(tables: ProfileTables) -> set[str]:
    return {f"{CUSTOM}/{name}" for name in tables.identifiers}
