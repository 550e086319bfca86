"""The undo of a merge: its profiles become what they would be if it had never happened.

Each write since then is repeated by its command on the profile that owned what it was matched by, else on the one that
it was written to. The journal has these commands as `replay` of an entry, as one of:

- `update`: the canonical command of a write to one profile, and `owners`: the other profiles that have an identity that
  it has a rule for, each as kind, value and id
- `part`: what a command wrote to every profile that its `match` names, but not to the `main` profile of the command
- `status_change`: the rule of a change of the subscriptions of all profiles

The entries of the merge itself have `before`, the document before it, where the profile stays, and `created` (ms since
1970) where it is removed; that of the destination also has the ids of the `sources`. The document before is not derived
from the members: they do not have the order of its members.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any, TypeAlias

from msgspec import Struct

from gateway.core.consent import LIFTS, STATUSES, address_of, explicit_statuses, resource_key, with_lifts
from gateway.core.edit import EditContext, UpdateEdit, apply_part
from gateway.core.faults import Fault, Refusal, refuse
from gateway.core.journal import UnknownValue, document_before, stored_members
from gateway.core.matching import ID, NO_IDENTITIES, identities, match_identities
from gateway.core.model import (
    Document,
    Find,
    Identity,
    JournalEntry,
    Profile,
    Update,
    Write,
)
from gateway.core.profile_tables import ProfileTables
from gateway.core.selection import select_profile
from gateway.core.subscription_rules import change_statuses

ResolvePatch: TypeAlias = Callable[[Document, Update], Update]
"""Returns what the JSON Patch of an update writes to a document."""

MERGING_KINDS = ("merge", "create")
"""The kinds of the entries that a merge writes. Those of its undo have other kinds."""


class PastWrite(Struct, frozen=True):
    """An entry of the journal, with the document before and after it; None where there is none."""

    entry: JournalEntry
    before: Document | None
    after: Document | None


def past_writes(profile: Profile | None, entries: Sequence[JournalEntry]) -> list[PastWrite]:
    """Return the writes of one profile's entries, which reach to its present state. The oldest is first.

    Raises `Refusal` (undo_conflict) where entries or values are missing.
    """
    versions = [entry.version for entry in entries]
    is_complete = versions == list(range(versions[0], versions[0] + len(versions)))
    if not is_complete or (profile and profile.version != versions[-1]):
        raise _conflict(entries[-1].profile, "has changes that are not in the journal")
    writes: list[PastWrite] = []
    after = profile.document if profile else None
    for entry in reversed(entries):
        try:
            before = document_before(after, [entry])
        except UnknownValue:
            raise _conflict(entry.profile, "was erased, or has values that are not in the journal") from None
        writes.append(PastWrite(entry, before, after))
        after = before
    return writes[::-1]


class Unmerging:
    """The profiles of a merge without it, while the writes since then are repeated in their order.

    `participants` are the profiles of each merge, by its id; `patches` the functions of the dialects, by their names.
    """

    def __init__(
        self,
        merge: str,
        participants: Mapping[str, frozenset[str]],
        tables: ProfileTables,
        patches: Mapping[str, ResolvePatch],
    ) -> None:
        self._merge = merge
        self._participants = participants
        self._tables = tables
        self._patches = patches
        self._documents: dict[str, Document] = {}
        self._absent: set[str] = set()
        self._active = {merge}

    def documents(self, writes: Sequence[PastWrite]) -> dict[str, Document | None]:
        """Return the documents after these writes; None for a profile that the merge created and nothing else wrote.

        Raises `Refusal`: undo_conflict.
        """
        for write in writes:
            self._repeat(write)
        own = self._participants[self._merge]
        if later := self._active - {self._merge}:
            raise refuse("undo_conflict", f"undo the later merge {min(later)} first")
        return {id: None if id in self._absent else self._documents[id] for id in own}

    def _repeat(self, write: PastWrite) -> None:
        entry = write.entry
        if entry.merge is not None:
            self._repeat_merge(entry, write.before)
        elif entry.profile in self._documents and not _changes_no_document(entry):
            if entry.kind != "update":
                raise _conflict(entry.profile, f"was changed since: {entry.kind}")
            if entry.replay is None:
                raise _conflict(entry.profile, "has changes without a command in the journal")
            self._repeat_command(entry, entry.replay, write.after or {})

    def _repeat_merge(self, entry: JournalEntry, before: Document | None) -> None:
        """Add the profile of an entry of the merge, or of a later merge with one of the profiles.

        The profiles of a later merge stay until it is undone: each write in between belongs to one of them.
        """
        id, merge = entry.profile, entry.merge or ""
        if entry.kind not in MERGING_KINDS:
            self._active.discard(merge)
            kept = frozenset[str]().union(*(self._participants[each] for each in self._active))
            self._documents = {id: document for id, document in self._documents.items() if id in kept}
        elif merge in self._active or not self._participants[merge].isdisjoint(self._documents):
            self._active.add(merge)
            if id not in self._documents:
                if before is None:
                    self._absent.add(id)
                self._documents[id] = (entry.replay or {}).get("before", before)

    def _repeat_command(self, entry: JournalEntry, replay: Mapping[str, Any], after: Document) -> None:
        if "update" in replay:
            self._repeat_update(entry, replay, after)
        elif "part" in replay:
            if replay["main"] in self._documents:
                return  # the update itself is repeated, with its parts
            part: Update = replay["part"]
            owners = self._find(match_identities(part["match"], self._tables)) or [self._profile(entry.profile)]
            for owner in owners:
                self._store(apply_part(owner, part, self._context(entry)))
        else:
            for id, document in self._documents.items():
                self._documents[id] = change_statuses(document, replay["status_change"])

    def _repeat_update(self, entry: JournalEntry, replay: Mapping[str, Any], after: Document) -> None:
        update: Update = replay["update"]
        owner = self._owner(update, entry.profile)
        others = update.get("detach_from_others")
        detached = match_identities(others["match"], self._tables) if others else ()
        edit = UpdateEdit(update, ((ID, owner.id),), self._context(entry), detached)
        others = frozenset((kind, value) for kind, value, id in replay.get("owners", ()) if id not in self._documents)
        try:
            result = edit(Find(partial(self._find, others=others), lambda _addresses: {}, lambda: False))
        except Refusal as refusal:
            reason = f"cannot repeat version {entry.version} of {entry.profile}: {refusal.faults[0].text}"
            raise _conflict(owner.id, reason) from None
        self._absent.discard(owner.id)
        self._store(result.writes)
        document = self._documents[owner.id]
        self._documents[owner.id] = _with_lifts_of_then(document, update, owner.document, after)

    def _owner(self, update: Update, written: str) -> Profile:
        """Return the profile that an update means, or else the one that it was written to."""
        key = match_identities(update["match"], self._tables)
        try:
            owner = select_profile(self._find(key), key, self._tables)
        except Refusal:
            owner = None
        return owner or self._profile(written)

    def _find(self, key: Sequence[Identity], others: frozenset[Any] = NO_IDENTITIES) -> list[Profile]:
        """Return the profiles that a key finds, and one more where another profile has one of the identities."""
        wanted = frozenset(key)
        found = [
            self._profile(id)
            for id, document in sorted(self._documents.items())
            if not wanted.isdisjoint(identities(document, self._tables) | {(ID, id)})
        ]
        return found or ([] if wanted.isdisjoint(others) else [Profile("", {}, 1, 0, 0)])

    def _store(self, writes: Sequence[Write]) -> None:
        for write in writes:
            if write.after and write.after.id in self._documents:
                self._documents[write.after.id] = write.after.document

    def _profile(self, id: str) -> Profile:
        return Profile(id, self._documents[id], 1, 0, 0)

    def _context(self, entry: JournalEntry) -> EditContext:
        """Return the context of a write of the past. It was valid then, and no declaration since then counts."""
        patch = self._patches.get(entry.origin.dialect, _reject_patch)
        return EditContext(self._tables, lambda _document, _before: [], patch, "", entry.origin.time)


def _changes_no_document(entry: JournalEntry) -> bool:
    """Return whether an entry only has the consent that the facts about an address changed, which are no profile's."""
    return bool(entry.members) and entry.replay is None and not stored_members(entry.members)


def _with_lifts_of_then(document: Document, update: Update, *lifting: Document) -> Document:
    """Return the document whose explicit subscriptions lift what those of some documents lift.

    They lifted the facts of their time: those that an address has now may be later ones.
    """
    statuses = explicit_statuses(document, update.get("subscriptions", ()))
    lifts = {(address, resource): 0 for address, resource, word in statuses if word == STATUSES[0]}
    for one in chain.from_iterable(each.get("subscriptions", ()) for each in lifting):
        key = address_of(one), resource_key(one)
        if key in lifts:
            lifts[key] = max(lifts[key], one.get(LIFTS, 0))
    return with_lifts(document, lifts)


def _reject_patch(_document: Document, _update: Update) -> Update:
    raise refuse("invalid_patch", "its dialect is not served any more")


def _conflict(profile: str, reason: str) -> Refusal:
    return Refusal([Fault("undo_conflict", f"the profile {profile} {reason}", profile=profile)])
