"""Undoes merges: what the journal has of the profiles is read first, and the undo is one step of the store.

The step is repeated from the start where one of the profiles was written in between.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from itertools import chain

from msgspec import Struct

from gateway.core.faults import Refusal, refuse
from gateway.core.matching import ID, identities
from gateway.core.model import (
    Change,
    Edit,
    EditResult,
    Find,
    IdempotencyKey,
    Identity,
    JournalEntry,
    Origin,
    Position,
    Profile,
    RecordedMerge,
)
from gateway.core.profile_tables import ProfileTables
from gateway.core.undo import MERGING_KINDS, PastWrite, ResolvePatch, Unmerging, past_writes
from gateway.core.undo_edit import ProfileMoved, UndoEdit, Unmerged
from gateway.service.dry_runs import dry_run
from gateway.service.updates import apply
from gateway.stores.protocol import Store

READ_ENTRIES = 500
"""Entries of one read of the journal."""

MAX_ATTEMPTS = 20
RETRY_SECONDS = 0.05
"""How often an undo is prepared while its profiles are written, and the time in between."""


class Undo(Struct, frozen=True):
    """Undoes merges of one database. `patches` are the functions of the dialects by their names."""

    store: Store
    database: int
    tables: ProfileTables
    patches: Mapping[str, ResolvePatch]

    async def run(self, merge: str, origin: Origin, once: IdempotencyKey | None) -> RecordedMerge:
        """Undo a merge, and return it. With `once`, a repeated call returns it too.

        Raises `Refusal`: unknown_merge, merge_undone, expired_history, undo_conflict, identifier_taken.
        """
        entries, _ = await self._attempt(merge, origin, once, apply)
        return RecordedMerge(_destination_entry(entries, merge), is_undone=True)

    async def preview(self, merge: str, origin: Origin) -> EditResult:
        """Return what an undo would write, without effect. Raises `Refusal` as `run` does."""
        _, result = await self._attempt(merge, origin, None, dry_run)
        return result

    async def _attempt(
        self,
        merge: str,
        origin: Origin,
        once: IdempotencyKey | None,
        carry_out: Callable[[Store, Change], Awaitable[EditResult]],
    ) -> tuple[list[JournalEntry], EditResult]:
        """Return the entries of a merge, and the result of its undo."""
        entries = await self._entries(merge)
        for _ in range(MAX_ATTEMPTS):
            try:
                return entries, await carry_out(self.store, await self._change(merge, entries, origin, once))
            except ProfileMoved:
                await asyncio.sleep(RETRY_SECONDS)
                entries = await self._entries(merge)
        raise refuse("undo_conflict", "its profiles are written all the time: try again later")

    async def _change(
        self, merge: str, entries: Sequence[JournalEntry], origin: Origin, once: IdempotencyKey | None
    ) -> Change:
        """Return the change of an undo. With `once` it refuses in the step, where a stored answer comes first."""
        try:
            edit = await self._prepare(merge, entries, origin.time)
        except Refusal as refusal:
            if once is None:
                raise
            return Change(self.database, (), _refusing(refusal), origin, once)
        return Change(self.database, _identities(edit), edit, origin, once)

    async def _entries(self, merge: str) -> list[JournalEntry]:
        """Return the entries of a merge. Raises `Refusal`: unknown_merge, expired_history where some were pruned."""
        entries = await self.store.merge(self.database, merge)
        profiles = {entry.profile for entry in entries}
        for entry in entries:
            if entry.replay and "sources" in entry.replay and profiles.issuperset(entry.replay["sources"]):
                return entries
        raise refuse("expired_history" if entries or await self._may_be_pruned(merge) else "unknown_merge")

    async def _may_be_pruned(self, merge: str) -> bool:
        """Return whether an id is that of a version of a profile whose entry is not kept."""
        id, _, text = merge.rpartition("-")
        version = int(text) if text.isascii() and text.isdecimal() else 0
        kept = await self.store.journal(self.database, 0, 1, id)
        found = await self.store.find(self.database, [(ID, id)])
        newest = kept[0].version - 1 if kept else found[0].version if found else 0
        return 0 < version <= newest

    async def _prepare(self, merge: str, entries: Sequence[JournalEntry], now: int) -> UndoEdit:
        """Return the edit of an undo, by what is stored now. Raises `Refusal`: merge_undone, undo_conflict."""
        if any(entry.kind not in MERGING_KINDS for entry in entries):
            raise refuse("merge_undone")
        participants, histories = await self._histories(merge, entries)
        present = {each.id: each for each in await self.store.find(self.database, [(ID, id) for id in histories])}
        await self._require_current(present, histories)
        past = {id: past_writes(present.get(id), history) for id, history in histories.items() if history}
        writes = sorted(chain(*past.values()), key=_position)
        documents = Unmerging(merge, participants, self.tables, self.patches).documents(writes)
        destination = _destination_entry(entries, merge).profile
        ids = [destination, *sorted(participants[merge] - {destination})]
        created = {entry.profile: (entry.replay or {}).get("created") for entry in entries}
        profiles = [
            Unmerged(id, histories[id][-1].version, documents[id], None if id in present else created[id]) for id in ids
        ]
        return UndoEdit(merge, tuple(profiles), self.tables, now)

    async def _histories(
        self, merge: str, entries: Sequence[JournalEntry]
    ) -> tuple[dict[str, frozenset[str]], dict[str, list[JournalEntry]]]:
        """Return the profiles of the merge, and of the later ones with them, and the entries of each from then on."""
        participants = {merge: frozenset(entry.profile for entry in entries)}
        start = {entry.profile: entry.position - 1 for entry in entries}
        first = min(start.values())
        histories: dict[str, list[JournalEntry]] = {}
        while missing := frozenset[str]().union(*participants.values()) - histories.keys():
            for id in missing:
                histories[id] = [entry async for entry in self._entries_after(id, start.get(id, first))]
                for later in {entry.merge for entry in histories[id] if entry.merge} - participants.keys():
                    of_later = await self.store.merge(self.database, later)
                    participants[later] = frozenset(entry.profile for entry in of_later)
        return participants, histories

    async def _entries_after(self, id: str, position: Position) -> AsyncIterator[JournalEntry]:
        while entries := await self.store.journal(self.database, position, READ_ENTRIES, id):
            for entry in entries:
                yield entry
            position = entries[-1].position

    async def _require_current(
        self, present: Mapping[str, Profile], histories: Mapping[str, Sequence[JournalEntry]]
    ) -> None:
        """Raise `ProfileMoved` where a profile was written after its entries were read."""
        for id, history in histories.items():
            is_current = not history or id not in present or present[id].version == history[-1].version
            if not is_current and await self.store.journal(self.database, history[-1].position, 1, id):
                raise ProfileMoved(id)


def _identities(edit: UndoEdit) -> tuple[Identity, ...]:
    """Return the identities that an edit searches."""
    own = [(ID, each.id) for each in edit.profiles]
    documents = [each.document for each in edit.profiles if each.document is not None]
    return (*own, *sorted(frozenset[Identity]().union(*(identities(each, edit.tables) for each in documents))))


def _refusing(refusal: Refusal) -> Edit:
    """Return the edit that refuses."""

    def edit(_find: Find) -> EditResult:
        raise refusal.copy()

    return edit


def _destination_entry(entries: Sequence[JournalEntry], merge: str) -> JournalEntry:
    return next(entry for entry in entries if merge == f"{entry.profile}-{entry.version}")


def _position(write: PastWrite) -> Position:
    return write.entry.position
