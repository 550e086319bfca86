"""What moves from one profile to another in a merge or a split."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any

from gateway.core.apply import append_at, apply_update, merge_patch
from gateway.core.conflicts import former_values, kept_places
from gateway.core.consent import apply_consent
from gateway.core.edit import EditContext
from gateway.core.faults import Fault, Refusal
from gateway.core.matching import identities, identity_changes, normal_form
from gateway.core.model import Address, Command, Document, Find, Identity, Ledger, Profile
from gateway.core.pointer import value_at
from gateway.core.profile_tables import ProfileTables
from gateway.core.selection import select_profile
from gateway.core.strictness import with_lasting_status

DATA_MEMBERS = ("profile", "operations", "subscriptions")
"""The members of a merge or a split that say what holds afterwards."""

SUBSCRIPTION_MEMBERS, SEGMENT_MEMBERS = ("subscriptions",), ("segments", "memberships")
SOURCES, DESTINATIONS = ("merged", "sources"), ("merged", "destinations")
"""The places of the ids of profiles that stayed in a merge: in the destination, and in a source."""


def find_at(find: Find, key: Sequence[Identity], pointer: str, tables: ProfileTables) -> Profile | None:
    """Return the profile of a key, if any. Raises `Refusal` (ambiguous_match) with this pointer."""
    try:
        return select_profile(find(key), key, tables)
    except Refusal as refusal:
        raise Refusal([replace(fault, pointer=pointer) for fault in refusal.faults]) from None


def without_members(document: Document, names: Collection[str]) -> Document:
    """Return the document without some top-level members."""
    return {name: value for name, value in document.items() if name not in names}


def without_identities(document: Document, leaves: Callable[[Identity], bool], tables: ProfileTables) -> Document:
    """Return the document without the values of the identities that leave it. Subscriptions stay as they are.

    A value without a normal form counts as the identity "" of its kind.
    """
    for member, sources in tables.sources.items():
        for source in sources:
            place = (member, *source.path)
            value = value_at(document, place)
            if value is None:
                continue
            if source.is_list:
                stays = [each for each in value if not leaves((source.kind, normal_form(source, each) or ""))]
                if len(stays) < len(value):
                    document = _with_value(document, place, stays or None)
            elif leaves((source.kind, normal_form(source, value) or "")):
                document = _with_value(document, place, None)
    return document


def add_at(document: Document, place: Sequence[str], value: Any) -> Document:
    """Return the document with an item in the list at a place, unless the list has it."""
    return document if value in (value_at(document, place) or ()) else append_at(document, place, value)


def apply_data(
    document: Document, command: Command, before: Document, find: Find, context: EditContext
) -> tuple[Document, dict[Address, Ledger]]:
    """Apply the profile, the operations and the subscriptions of a merge or a split, as an update does.

    `before` is the stored document that the result replaces, {} for a new profile. Return the result and the ledgers
    that changed. Raises `Refusal` with the faults of the operations and of validation.
    """
    tables = context.tables
    after, faults = apply_update(document, {name: command[name] for name in DATA_MEMBERS if name in command})
    after = with_lasting_status(after, document, tables)
    _require_valid(after, before, faults, context)  # an invalid value may have no identities
    _, lost = identity_changes(document, after, tables)
    if lost and (former := former_values(document, after, lost, tables)):
        for place, value in former:
            after = append_at(after, place, value)
        _require_valid(after, before, [], context)  # a list may be too long now
    return apply_consent(after, command, context.read_ledgers(find), context.now)


def _require_valid(document: Document, before: Document, faults: list[Fault], context: EditContext) -> None:
    """Raise `Refusal` with these faults and with those of a document that replaces `before`, if there are any."""
    if faults := [*faults, *context.validate(document, before)]:
        raise Refusal(faults)


def require_free(
    find: Find,
    command: Command,
    profile: Profile | None,
    document: Document,
    others: Iterable[Profile],
    tables: ProfileTables,
) -> None:
    """Raise `Refusal` (identifier_taken) where the document gains an identity of a profile that is not among `others`.

    The rules of the command say for which kinds of identity that matters.
    """
    gained, _ = identity_changes(profile.document if profile else {}, document, tables)
    moved = frozenset[Identity]().union(*(identities(each.document, tables) for each in others))
    kept_places(find, gained - moved, command, profile, tables)


def is_unique(identity: Identity, tables: ProfileTables) -> bool:
    """Return whether no two profiles are meant to share an identity."""
    return identity[0].partition("/")[0] in tables.unique


def _with_value(document: Document, place: Sequence[str], value: Any) -> Document:
    """Return the document with a value at a place, without the objects on the way that are then empty."""
    name, *rest = place
    if rest:
        value = _with_value(document[name], rest, value) or None
    result: Document = merge_patch(document, {name: None}) if value is None else {**document, name: value}
    return result
