"""Merges: one profile is filled from others, which are removed, or stay with what did not move."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gateway.core.apply import append_at, fill_from
from gateway.core.conflicts import require_findable
from gateway.core.consent import bare_addresses, without_lifts_of
from gateway.core.edit import EditContext, document_result, removal_write, with_ledgers, with_match_values
from gateway.core.faults import Fault, Refusal
from gateway.core.journal import LAST_STARTS
from gateway.core.matching import ALIAS, ID, identities, identity_changes, single_identities
from gateway.core.model import Document, EditResult, Find, Identity, JournalKind, Merge, Profile, Update, Write
from gateway.core.moves import (
    DATA_MEMBERS,
    DESTINATIONS,
    SEGMENT_MEMBERS,
    SOURCES,
    SUBSCRIPTION_MEMBERS,
    add_at,
    apply_data,
    find_at,
    is_unique,
    require_free,
    without_identities,
    without_members,
)
from gateway.core.pointer import join_pointer, value_at
from gateway.core.profile_tables import ProfileTables
from gateway.core.selection import not_found, select_profile
from gateway.core.strictness import with_strictest


class MergeEdit(Struct, frozen=True):
    """The edit of a merge. `key` finds the destination, each of `source_keys` a source, in their order.

    A source that was merged into the destination before, and is found by its id, changes nothing. The edit raises
    `Refusal`: profile_not_found, ambiguous_match, invalid_parameter, match_not_in_data, identifier_taken, and the
    faults of functions and of validation.
    """

    merge: Merge
    key: tuple[Identity, ...]
    source_keys: tuple[tuple[Identity, ...], ...]
    context: EditContext

    def __call__(self, find: Find) -> EditResult:
        tables = self.context.tables
        profile = self._destination(find)
        sources = self._sources(find, profile)
        id = profile.id if profile else self.context.new_id
        created = {} if profile else with_match_values({}, self.merge["match"], tables)
        document = profile.document if profile else created
        writes: list[Write] = []
        for source in sources:
            document = self._merged(document, source)
            write = self._source_write(source, id)
            writes += [write] if write else []
            if write or source.id not in (value_at(document, SOURCES) or ()):
                document = append_at(document, self._place_of_ids(), source.id)
        before = profile.document if profile else {}
        document = self._with_own_email(document, profile)
        document, ledgers = apply_data(document, self.merge, before, find, self.context)
        if profile is None:
            require_findable(self.key, identities(document, tables), self.merge["match"]["mode"], tables.unique)
        require_free(find, self.merge, profile, document, sources, tables)
        gained, lost = identity_changes(before, document, tables)
        kind: JournalKind = "merge" if writes else "update"
        has_data = not self.merge.keys().isdisjoint(DATA_MEMBERS)
        replay = {"update": self._data_update()} if has_data and not writes else None
        result = document_result(profile, document, gained, lost, self.context, kind, replay=replay)
        result = replace(result, writes=_linked(result, writes, created))
        return with_ledgers(result, ledgers, self.merge, find, self.context)

    def _destination(self, find: Find) -> Profile | None:
        profile = select_profile(find(self.key), self.key, self.context.tables)
        if profile is None and self.merge.get("if_absent") != "create":
            raise not_found(self.key)
        return profile

    def _sources(self, find: Find, destination: Profile | None) -> list[Profile]:
        """Return each source once, without those that were merged into the destination before."""
        sources: dict[str, Profile] = {}
        for index, key in enumerate(self.source_keys):
            pointer = join_pointer("sources", index)
            source = find_at(find, key, pointer, self.context.tables)
            if source is None:
                raise not_found(key, pointer)
            if destination is None or source.id != destination.id:
                sources[source.id] = source
            elif key[0][0] != ID:
                raise Refusal([Fault("invalid_parameter", "a profile cannot be merged into itself", pointer)])
        return list(sources.values())

    def _merged(self, document: Document, source: Profile) -> Document:
        """Return the document with what moves from a source."""
        other = without_members(source.document, self._staying_members())
        other = without_identities(other, self._is_placeholder, self.context.tables)
        if "merged" in other:
            other = {**other, "merged": without_members(other["merged"], (SOURCES[-1], DESTINATIONS[-1]))}
        document = without_identities(document, self._is_placeholder, self.context.tables)
        return merged_document(document, other, self.context.tables)

    def _staying_members(self) -> tuple[str, ...]:
        """Return the members of a source that no merged profile gets."""
        subscriptions = () if self.merge.get("move_subscriptions", True) else SUBSCRIPTION_MEMBERS
        return (LAST_STARTS, *subscriptions, *(() if self.merge.get("move_segments") else SEGMENT_MEMBERS))

    def _data_update(self) -> Update:
        """Return the update that does the same as a merge of which nothing is left to merge."""
        return {name: self.merge[name] for name in ("match", *DATA_MEMBERS) if name in self.merge}

    def _place_of_ids(self) -> tuple[str, ...]:
        return self.context.tables.list_places[ALIAS] if self.merge.get("remove_sources") else SOURCES

    def _source_write(self, source: Profile, destination: str) -> Write | None:
        """Return the write that removes a source, or leaves it with what does not move; None if nothing changes."""
        tables = self.context.tables
        if self.merge.get("remove_sources"):
            return removal_write(source, tables, "merge")
        moved = {*SUBSCRIPTION_MEMBERS, *SEGMENT_MEMBERS}.difference(self._staying_members())
        document = without_members(source.document, moved)
        document = without_identities(
            document, lambda each: is_unique(each, tables) and not self._is_placeholder(each), tables
        )
        document = add_at(document, DESTINATIONS, destination)
        gained, lost = identity_changes(source.document, document, tables)
        result = document_result(source, document, gained, lost, self.context, "merge")
        return result.writes[0] if result.writes else None

    def _is_placeholder(self, identity: Identity) -> bool:
        """Return whether an identity is an e-mail address that counts as absent."""
        kind, value = identity
        domain = value.rpartition("@")[2]
        return kind == "email" and domain in self.merge.get("placeholder_domains", ())

    def _with_own_email(self, document: Document, profile: Profile | None) -> Document:
        """Return the document with the address of the profile that counts as absent, if no source gave another one."""
        if profile is None or "email" in document or "email" not in profile.document:
            return document
        return {**document, "email": profile.document["email"]}


def _linked(result: EditResult, writes: Sequence[Write], created: Document) -> tuple[Write, ...]:
    """Return all writes of a merge: those of the sources first, and each with its id and what an undo needs."""
    if not writes or result.profile is None:
        return result.writes
    id = merge_id(result.profile.id, result.profile.version)
    own, before = result.writes[0], result.writes[0].before
    sources = [write.before.id for write in writes if write.before]
    replay = {"sources": sources, "before": before.document if before else created}
    return (
        *(replace(write, merge=id, replay=_replay(write)) for write in writes),
        replace(own, merge=id, replay=replay),
    )


def _replay(write: Write) -> dict[str, Any]:
    """Return what an undo needs of the write to a source. The document of one that is removed is in its members."""
    assert write.before is not None
    return {"before": write.before.document} if write.after else {"created": write.before.created}


def merge_id(destination: str, version: int) -> str:
    """Return the id of a merge: the id of its destination, and the version of the destination that it wrote."""
    return f"{destination}-{version}"


def merged_document(document: Document, other: Document, tables: ProfileTables) -> Document:
    """Return the document with what only another one has, and with each of its identities.

    An identity whose place has another value goes into the list that the tables name for its kind. An opt-out that one
    of the two did not lift applies to the result.
    """
    result = fill_from(document, other)
    for one in (document, other):
        result = without_lifts_of(result, bare_addresses(one, identities(one, tables)))
    result = with_strictest(result, other, tables)
    present = identities(result, tables)
    for kind, value, own in single_identities(other, tables):
        if own not in present:
            result = append_at(result, tables.list_places[kind], value)
    return result
