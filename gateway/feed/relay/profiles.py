"""The states of profiles that a relay sends, read from the store and the journal."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from gateway.core.apply import merge_patch
from gateway.core.consent import CHANNELS_OF_IDENTITY, REASONS, STATUSES, status_word
from gateway.core.journal import LAST_STARTS, started
from gateway.core.matching import ALIAS, ID, identities, identities_of_kinds
from gateway.core.model import Document, JournalEntry, Profile
from gateway.core.profile_tables import ProfileTables
from gateway.core.tombstones import Pseudonym
from gateway.dialects.outgoing import Path, ProfileState
from gateway.feed.relay.states import all_members, nested, touched_members
from gateway.schema.files import load_schema
from gateway.schema.profile_annotations import profile_tables
from gateway.service.effective_consent import with_consent
from gateway.stores.protocol import Store

_SUBSCRIPTIONS: Path = ("subscriptions",)

TABLES = profile_tables(load_schema("profile"), {})
"""Those of every database: where identities are."""

LATER_ENTRIES = 200
"""Entries among which the removal of a profile is looked for."""


def removes(entry: JournalEntry) -> bool:
    """Return whether the profile of an entry does not exist after it."""
    return entry.kind == "erase" or any(each.pointer == "" and each.after is UNSET for each in entry.members)


MOVES = ("merge", "split")
"""Kinds of entries that move parts of profiles: what they write is no consent of a client."""


def merged_into(entry: JournalEntry) -> str | None:
    """Return the profile that the one of an entry was merged into, and stays with what did not move."""
    for each in entry.members if entry.kind == "merge" else ():
        ids = {"/merged/destinations": each.after, "/merged": _member(each.after, "destinations")}.get(each.pointer)
        if isinstance(ids, list) and ids:
            return str(ids[-1])
    return None


def frees_identifier(entry: JournalEntry) -> bool:
    """Return whether the profile of an entry has an identifier less, which another one may have after it."""
    return any(
        identities(nested(each.pointer, each.before), TABLES) - identities(nested(each.pointer, each.after), TABLES)
        for each in entry.members
        if each.before is not UNSET and each.pointer
    )


def opts_out(entry: JournalEntry) -> bool:
    """Return whether an entry has a new status that is no subscription."""
    for before, after in _subscriptions(entry):
        for each in after or ():
            if each not in (before or ()) and status_word(each.get("status")) not in (None, STATUSES[0]):
                return True
    return False


def _subscriptions(entry: JournalEntry) -> list[tuple[Any, Any]]:
    """Return the subscriptions before and after an entry, if it touches them."""
    pairs = []
    for each in entry.members:
        if each.pointer == "/subscriptions":
            pairs.append((_list(each.before), _list(each.after)))
        elif not each.pointer:
            pairs.append((_member(each.before, "subscriptions"), _member(each.after, "subscriptions")))
    return pairs


def _list(value: Any) -> Any:
    return None if value is UNSET else value


def _member(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


class ProfileReader:
    """Reads the profiles of one database as clients see them: with the facts about their addresses."""

    def __init__(self, store: Store, database: int, pseudonym: Pseudonym | None) -> None:
        self._store = store
        self._database = database
        self._pseudonym = pseudonym
        self._tables: ProfileTables | None = None
        self._version: int | None = None

    async def state(
        self, entries: Sequence[JournalEntry], vendor_id: str | None, choices: Document
    ) -> ProfileState | None:
        """Return the state to send after some entries of a profile; None if there is nothing to send.

        It has `choices` in place of later ones. Of a profile that does not exist any more only an opt-out of a
        subscription is sent.
        """
        last = entries[-1]
        found = await self.find(last.profile)
        document = found.document if found else await self._document_before_removal(last)
        if not document or not (found or any(map(opts_out, entries))):
            return None
        if opts_out(last):
            document = {**document, "subscriptions": _subscriptions(last)[-1][1]}
        document = merge_patch(document, choices)
        if starts := started(last):
            document = {**document, LAST_STARTS: starts}
        touched = touched_members(each for entry in entries for each in entry.members)
        is_copied = any(each.kind in MOVES for each in entries)
        profile = replace(found, document=document) if found else _gone(last, document)
        whole = await self.whole_state(profile, vendor_id)
        if _SUBSCRIPTIONS not in touched and _has_facts(whole.document) and await self._touches_address(touched):
            touched[_SUBSCRIPTIONS] = [document.get("subscriptions")]
        return replace(
            whole,
            **_members_to_send(whole.document, touched, vendor_id),
            triggers=last.origin.triggers,
            is_consent=_SUBSCRIPTIONS in touched and not is_copied,
            is_copied=is_copied,
            time=last.origin.time,
        )

    async def whole_state(self, profile: Profile, vendor_id: str | None) -> ProfileState:
        """Return the state of a whole profile, as a backfill sends it."""
        tables = await self._read_tables()
        [effective] = await with_consent(self._store, self._database, tables, [profile], self._pseudonym)
        assert isinstance(effective, Profile)
        members = all_members(effective.document)
        return ProfileState(
            profile.id, effective.document, list(members), members, vendor_id, is_consent=False, is_copied=True
        )

    def as_whole(self, state: ProfileState) -> ProfileState:
        """Return a state with all members of the profile."""
        return replace(state, **_members_to_send(state.document, state.former, None))

    def as_new(self, state: ProfileState) -> ProfileState:
        """Return a state so that it creates the profile at a vendor that has it no longer."""
        return replace(self.as_whole(state), vendor_id=None)

    def beside(self, state: ProfileState, other: ProfileState) -> ProfileState:
        """Return a state with all members, and with those of another one, which it gets rid of."""
        members = {**all_members(other.document), **all_members(state.document), **state.former}
        return replace(state, touched=list(members), former=members)

    async def find(self, profile: str) -> Profile | None:
        """Return a profile; None if it does not exist."""
        found = await self._store.find(self._database, [(ID, profile)])
        return found[0] if found else None

    async def has_successor(self, document: Document) -> bool:
        """Return whether a profile has an identifier now that a removed one had."""
        tables = await self._read_tables()
        own = [each for each in identities(document, tables) if each[0] in tables.unique]
        return bool(own and await self._store.find(self._database, own))

    async def sharing(self, state: ProfileState, kinds: Collection[str]) -> dict[str, list[str]]:
        """Return other profiles that have an identity of a profile, by the kinds of these identities."""
        tables, found = await self._read_tables(), dict[str, list[str]]()
        own = identities_of_kinds(state.document, tables, kinds)
        for other in await self._store.find(self._database, sorted(own)) if own else ():
            shared = own & identities_of_kinds(other.document, tables, kinds)
            for kind in {kind for kind, _ in shared} if other.id != state.id else ():
                found.setdefault(kind, []).append(other.id)
        return found

    async def destination(self, profile: str) -> str | None:
        """Return the id of the profile that another one was merged into."""
        found = await self._store.find(self._database, [(ALIAS, profile)])
        return found[0].id if found else None

    async def _touches_address(self, touched: Iterable[Path]) -> bool:
        """Return whether the profile may have gained an address, which brings its facts along."""
        sources = (await self._read_tables()).sources
        return any(each.kind in CHANNELS_OF_IDENTITY for path in touched for each in sources.get(path[0], ()))

    async def _document_before_removal(self, entry: JournalEntry) -> Document | None:
        later = await self._store.journal(self._database, entry.position, LATER_ENTRIES, entry.profile)
        for each in filter(removes, later):
            for member in each.members:
                if not member.pointer and isinstance(member.before, dict):
                    return member.before
        return None

    async def _read_tables(self) -> ProfileTables:
        version = self._store.registry_version()
        if self._tables is None or version != self._version:
            own = {each.id: each.fields for each in await self._store.databases()}.get(self._database, {})
            self._tables = profile_tables(load_schema("profile"), own.get("properties", {}))
            self._version = version
        return self._tables


def _has_facts(document: Document) -> bool:
    """Return whether facts about addresses apply to an effective document."""
    return any(REASONS in each for each in document.get("subscriptions", ()))


def _gone(entry: JournalEntry, document: Document) -> Profile:
    return Profile(entry.profile, document, entry.version, 0, 0)


def _members_to_send(
    document: Document, touched: Mapping[Path, Sequence[Any]], vendor_id: str | None
) -> dict[str, Any]:
    """Return what is touched; all of a profile that the vendor may not have yet."""
    members = touched if vendor_id else {**all_members(document), **touched}
    return {"touched": list(members), "former": members}
