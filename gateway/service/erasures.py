"""Erasures: what is done before the change that erases a person, so that its step is short; the end of tombstones."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import suppress
from functools import partial

from msgspec.structs import replace

from gateway.core.erasure import ErasureEdit
from gateway.core.faults import Refusal
from gateway.core.matching import identities
from gateway.core.model import Address, Change, Database, EditResult, Erasure, Find, Identity, JobCursor, Origin
from gateway.core.tombstones import PREFIX, Pseudonym, erasure_time, tombstone_address
from gateway.schema.compiled import CompiledSchema
from gateway.stores.protocol import Store

PRUNE_STEP = 500
"""Tombstones that one step removes."""

REMOVALS_PER_READ = 200

CLOCK_MARGIN = 60_000
"""Milliseconds by which the clocks of two processes may differ."""


async def erase(store: Store, change: Change) -> EditResult:
    """Carry out a change whose edit is an erasure. Raises its `Refusal`.

    Most of the person's records are erased before it, in short steps between those of other requests. What comes after
    these is erased with the profiles in one step.
    """
    edit = change.edit
    assert isinstance(edit, ErasureEdit)
    with suppress(Refusal):  # the store may have its answer
        profiles = edit.select(await store.find(change.database, edit.key))
        edit = replace(edit, removed=await _removed(store, change.database, edit, edit.erasure(profiles)))
        await _erase_records(store, change.database, edit.erasure(profiles))
        edit = replace(edit, jobs_since=max(edit.time - CLOCK_MARGIN, 0))
    (result,) = await store.change([replace(change, edit=edit)])
    if isinstance(result, Refusal):
        raise result.copy()
    return result


async def erase_person(
    store: Store,
    database: Database,
    key: tuple[Identity, ...],
    origin: Origin,
    pseudonym: Pseudonym | None,
    on_multiple: str | None = None,
) -> EditResult:
    """Erase whom a key names, as `ErasureEdit` does. Raises `Refusal`."""
    edit = ErasureEdit(key, CompiledSchema(database, {}).tables, pseudonym, origin.time, on_multiple)
    return await erase(store, Change(database.id, key, edit, origin))


async def _erase_records(store: Store, database: int, erasure: Erasure) -> None:
    after: JobCursor | None = (0, "")
    while after:
        after = await store.erase(database, erasure, after)
        await asyncio.sleep(0)


async def _removed(store: Store, database: int, edit: ErasureEdit, erasure: Erasure) -> frozenset[str]:
    """Return the ids of the profiles that had an identity of the persons when they were removed."""
    ids: set[str] = set()
    position = 0
    while entries := await store.removals(database, position, REMOVALS_PER_READ):
        for entry in entries:
            [document] = entry.members
            if document.before and not erasure.identities.isdisjoint(identities(document.before, edit.tables)):
                ids.add(entry.profile)
        position = entries[-1].position
        await asyncio.sleep(0)
    return frozenset(ids)


async def erasure_times(
    store: Store, database: int, pseudonym: Pseudonym | None, identities: Iterable[Identity]
) -> dict[Identity, int]:
    """Return the time of the erasure (ms since 1970) of those of some identities that an erased person had."""
    if pseudonym is None:
        return {}
    names = {tombstone_address(pseudonym, *identity): identity for identity in identities}
    found = await store.ledgers(database, list(names)) if names else {}
    return {names[address]: erasure_time(each) for address, each in found.items()}


async def prune_tombstones(store: Store, before: int) -> None:
    """Remove the tombstones of erasures before a time (ms since 1970)."""
    for database in await store.databases():
        expired = [address async for address in _expired(store, database.id, before)]
        for start in range(0, len(expired), PRUNE_STEP):
            names = expired[start : start + PRUNE_STEP]
            await store.change([Change(database.id, (), partial(_remove, names, before), Origin("", "", before))])
            await asyncio.sleep(0)


async def _expired(store: Store, database: int, before: int) -> AsyncIterator[Address]:
    async with store.snapshot() as snapshot:
        count = 0
        async for each in snapshot.ledgers(database, PREFIX):
            if not each.address.startswith(PREFIX):
                return
            count += 1
            if count % PRUNE_STEP == 0:
                await asyncio.sleep(0)  # an engine may return all rows without a pause
            if erasure_time(each.ledger) < before:
                yield each.address


def _remove(names: Sequence[Address], before: int, find: Find) -> EditResult:
    """The edit that removes tombstones, but for those that were renewed."""
    expired = [name for name, each in find.ledgers(names).items() if erasure_time(each) < before]
    return EditResult(None, ledgers=dict.fromkeys(expired))
