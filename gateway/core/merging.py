"""Merges: one profile is filled from others, which are removed. Every identity that they had then finds it."""

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from gateway.core.apply import append_at, fill_from, merge_patch
from gateway.core.consent import bare_addresses, without_lifts_of
from gateway.core.edit import EditContext, document_result, removal_write
from gateway.core.faults import Refusal
from gateway.core.matching import ALIAS, identities, identities_by_id, identity_changes, single_identities
from gateway.core.model import Document, Edit, EditResult, Find, Identity, Profile
from gateway.core.pointer import value_at
from gateway.core.profile_tables import ProfileTables, StrictestRule
from gateway.core.selection import not_found, require_profile


def merge_edit(destination: Sequence[Identity], sources: Sequence[str], context: EditContext) -> Edit:
    """Return the edit that fills one profile from others, by their ids, and removes them.

    A source that was merged into the destination before changes nothing. The edit raises `Refusal`: profile_not_found,
    and the faults of validation.
    """

    def edit(find: Find) -> EditResult:
        profile = require_profile(find(destination), destination, context.tables)
        others = {each.id: each for each in (_source(find, id) for id in sources) if each.id != profile.id}
        document = profile.document
        for other in others.values():
            document = merged_document(document, other, context.tables)
        if faults := context.validate(document, profile.document):
            raise Refusal(faults)
        gained, lost = identity_changes(profile.document, document, context.tables)
        result = document_result(profile, document, gained, lost, context, "merge")
        removals = (removal_write(other, context.tables, "merge") for other in others.values())
        return replace(result, writes=(*removals, *result.writes))

    return edit


def merged_document(document: Document, other: Profile, tables: ProfileTables) -> Document:
    """Return the document with what only another profile has, and with each of its identities.

    An identity whose place has another value goes into the list that the tables name for its kind. An opt-out that one
    of the two did not lift applies to the result.
    """
    result = fill_from(document, other.document)
    for one in (document, other.document):
        result = without_lifts_of(result, bare_addresses(one, identities(one, tables)))
    for rule in tables.strictest:
        result = _keep_strictest(result, value_at(other.document, rule.path), rule)
    present = identities(result, tables)
    for kind, value, own in single_identities(other.document, tables):
        if own not in present:
            result = append_at(result, tables.list_places[kind], value)
    return append_at(result, tables.list_places[ALIAS], other.id)


def _keep_strictest(document: Document, other: Any, rule: StrictestRule) -> Document:
    """Return the document with the strictest of its own and another value at the place of a rule."""
    patch = _strictest(value_at(document, rule.path), other, rule)
    for name in reversed(rule.path):
        patch = {name: patch}
    result: Document = merge_patch(document, patch) if other is not None else document
    return result


def _strictest(own: Any, other: Any, rule: StrictestRule) -> Any:
    if own is None or other is None:
        return own if other is None else other
    if isinstance(own, dict) and isinstance(other, dict) and rule.member not in own:
        return {name: _strictest(own.get(name), other.get(name), rule) for name in {**own, **other}}
    places = [rule.order.index(_word(value, rule)) for value in (own, other) if _word(value, rule) in rule.order]
    return other if len(places) == 2 and places[1] > places[0] else own


def _word(value: Any, rule: StrictestRule) -> Any:
    return value.get(rule.member) if isinstance(value, dict) else value


def _source(find: Find, id: str) -> Profile:
    profiles = find(identities_by_id(id))
    if not profiles:
        raise not_found(identities_by_id(id), "/sources")
    return profiles[0]
