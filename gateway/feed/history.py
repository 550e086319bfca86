"""The history of a profile: its journal entries with patches, and its document at an earlier time."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeAlias

from gateway.core.faults import refuse
from gateway.core.journal import REMOVALS, UnknownValue, backward_patch, document_before, forward_patch
from gateway.core.model import Document, JournalEntry, Position, Profile
from gateway.core.times import format_time
from gateway.feed.cursors import json_position
from gateway.feed.events import render_values
from gateway.stores.protocol import Store

Patch: TypeAlias = list[dict[str, Any]]

READ_ENTRIES = 500
"""Entries of one read of the store."""

MAX_ATTEMPTS, RETRY_SECONDS = 20, 0.05
"""How often a profile is read that was written after its entries were, and the time between two reads.

An engine may return an entry a moment after its profile.
"""

LAST_KINDS = (*REMOVALS, "merge")
"""The kinds of entries that may be the last one of a profile."""


async def read_history(store: Store, database: int, profile: str, after: Position, limit: int) -> list[JournalEntry]:
    """Return the entries of a profile after a position, oldest first. Raises `Refusal`: profile_not_found."""
    entries = await store.journal(database, after, limit, profile)
    if not (entries or await _is_known(store, database, profile)):
        raise refuse("profile_not_found")
    return entries


async def _is_known(store: Store, database: int, profile: str) -> bool:
    """Return whether there is such a profile, or an entry of one."""
    return bool(await find_profile(store, database, profile) or await store.journal(database, 0, 1, profile))


def render_entry(entry: JournalEntry) -> dict[str, Any]:
    """Return an entry with its patches (RFC 6902).

    `backward` is None where the values before are not stored, and `forward` too where those after were erased.
    `consent` is there where facts about an address changed it, which are in no document.
    """
    origin = entry.origin
    consent = [render_values(each) for each in entry.members if not each.is_stored]
    return {
        "position": json_position(entry.position),
        "version": entry.version,
        "kind": entry.kind,
        "time": format_time(origin.time),
        "observed": None if origin.observed is None else format_time(origin.observed),
        "dialect": origin.dialect,
        "token": origin.token,
        "request": origin.request,
        "triggers": origin.triggers,
        "forward": _patch(forward_patch, entry),
        "backward": _patch(backward_patch, entry),
        **({"consent": consent} if consent else {}),
    }


def _patch(
    patch_of: Callable[[JournalEntry], list[dict[str, Any]]], entry: JournalEntry
) -> list[dict[str, Any]] | None:
    """Return a patch of an entry; None where it needs values that are not stored."""
    try:
        return patch_of(entry)
    except UnknownValue:
        return None


async def find_profile(store: Store, database: int, id: str) -> Profile | None:
    """Return the profile as it is now."""
    found = await store.find(database, [("id", id)])
    return found[0] if found else None


async def document_at(store: Store, database: int, id: str, time: int) -> tuple[int, Document]:
    """Return the version and the document of a profile at a time (ms since 1970).

    Raises `Refusal`: profile_not_found; expired_history where what it was then depends on entries that are not kept.
    """
    profile, earlier, later = await _read_around(store, database, id, time)
    if earlier is None and _starts_before(profile, later, time):
        raise refuse("expired_history")
    try:
        document = document_before(profile.document if profile else None, reversed(later))
    except UnknownValue:
        raise refuse("expired_history") from None
    if document is None:
        raise refuse("profile_not_found")
    return (earlier.version if earlier else profile.version if profile else 0), document


async def _read_around(
    store: Store, database: int, id: str, time: int
) -> tuple[Profile | None, JournalEntry | None, list[JournalEntry]]:
    """Return a profile, its last entry up to a time, and its entries since then, all of one moment.

    Raises `Refusal` (expired_history) where the profile stays ahead of its entries.
    """
    earlier, later = None, list[JournalEntry]()
    for _ in range(MAX_ATTEMPTS):
        last = later[-1] if later else earlier
        async for entry in _entries_after(store, database, id, last.position if last else 0):
            if later or entry.origin.time > time:
                later.append(entry)
            else:
                earlier = entry
        profile = await find_profile(store, database, id)
        if _has_last(profile, later[-1] if later else earlier):
            return profile, earlier, later
        await asyncio.sleep(RETRY_SECONDS)
    raise refuse("expired_history")


async def _entries_after(store: Store, database: int, id: str, position: Position) -> AsyncIterator[JournalEntry]:
    while entries := await store.journal(database, position, READ_ENTRIES, id):
        for entry in entries:
            yield entry
        position = entries[-1].position


def _has_last(profile: Profile | None, last: JournalEntry | None) -> bool:
    """Return whether an entry is that of the last write of a profile, as far as there are entries at all."""
    if last is None:
        return True
    return last.version >= profile.version if profile else last.kind in LAST_KINDS


def _starts_before(profile: Profile | None, later: list[JournalEntry], time: int) -> bool:
    """Return whether a profile without an entry up to a time was there before its first entry after it."""
    if later:
        return later[0].kind != "create"
    return profile is not None and profile.updated > time
