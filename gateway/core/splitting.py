"""Splits: what belongs to an address or an identifier leaves a profile, for another one or a new one."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gateway.core import normalization
from gateway.core.conflicts import require_findable
from gateway.core.consent import bare_addresses, combine_subscriptions, status_word, strictest, without_lifts_of
from gateway.core.edit import EditContext, document_result, with_ledgers, with_match_values
from gateway.core.edit_sequence import Overlay
from gateway.core.faults import Fault, Refusal
from gateway.core.journal import LAST_STARTS
from gateway.core.matching import ID, identities, identity_changes
from gateway.core.model import Address, Command, Document, EditResult, Find, Identity, Ledger, Profile, Write
from gateway.core.moves import (
    SEGMENT_MEMBERS,
    SUBSCRIPTION_MEMBERS,
    apply_data,
    find_at,
    is_unique,
    require_free,
    without_identities,
    without_members,
)
from gateway.core.pointer import join_pointer, value_at
from gateway.core.relations import RELATIONS
from gateway.core.selection import not_found, require_profile

DESTINATIONS = "destinations"
_NAMED_TWICE = "a profile cannot be named twice"


class SplitEdit(Struct, frozen=True):
    """The edit of a split. `key` finds the source, each of `destination_keys` a destination, in their order.

    A destination that is not found is created, with the next of `new_ids`. The profile of the result is the source; its
    document has the ids of the `destinations`, for a repeated request. The edit raises `Refusal`: profile_not_found,
    ambiguous_match, invalid_parameter, match_not_in_data, identifier_taken, and the faults of functions and of
    validation.
    """

    split: Command
    key: tuple[Identity, ...]
    destination_keys: tuple[tuple[Identity, ...], ...]
    new_ids: tuple[str, ...]
    context: EditContext

    def __call__(self, find: Find) -> EditResult:
        source = require_profile(find(self.key), self.key, self.context.tables)
        moved = [self._moves(each) for each in source.document.get("subscriptions", ())]
        left = self._left_document(source, moved)
        gained, lost = identity_changes(source.document, left, self.context.tables)
        left_result = document_result(source, left, gained, lost, self.context, "split")
        assert left_result.profile is not None
        overlay = Overlay()
        overlay.add(left_result.writes)
        ledgers: dict[Address, Ledger] = {}
        writes: list[Write] = []
        ids: dict[int, str] = {}
        for index, key in enumerate(self.destination_keys):
            if key in self.destination_keys[:index]:
                raise self._refusal(index, _NAMED_TWICE)
            result, changed = self._destination(find, index, source, moved, overlay)
            assert result.profile is not None
            if result.profile.id in ids.values():
                raise self._refusal(index, _NAMED_TWICE)
            ids[index] = result.profile.id
            writes += result.writes
            overlay.add(result.writes)
            ledgers |= changed
        profile = replace(left_result.profile, document={DESTINATIONS: list(ids.values())})
        result = EditResult(profile, (*left_result.writes, *writes))
        return with_ledgers(result, ledgers, self.split, find, self.context)

    def _destination(
        self, find: Find, index: int, source: Profile, moved: Sequence[int | None], overlay: Overlay
    ) -> tuple[EditResult, Mapping[Address, Ledger]]:
        """Return the result of the write to a destination, and the ledgers that change.

        `overlay` has the writes to the source and to earlier destinations.
        """
        tables, match, key = self.context.tables, self.split["destinations"][index], self.destination_keys[index]
        others = replace(find, profiles=lambda key: [each for each in find(key) if each.id != source.id])
        profile = find_at(others, key, join_pointer("destinations", index), tables)
        if profile is None:
            self._require_owned(key, index, source)
        document = profile.document if profile else with_match_values({}, match, tables)
        own = bare_addresses(document, identities(document, tables)) if profile else set[Address]()
        document = self._filled(document, source, [place for place, to in enumerate(moved) if to == index], own)
        before = profile.document if profile else {}
        document, ledgers = apply_data(document, self.split, before, others, self.context)
        if profile is None:
            require_findable(key, identities(document, tables), match["mode"], tables.unique)
        require_free(overlay.over(find), self.split, profile, document, (), tables)
        gained, lost = identity_changes(before, document, tables)
        context = replace(self.context, new_id=self.new_ids[index])
        return document_result(profile, document, gained, lost, context, "split"), ledgers

    def _require_owned(self, key: tuple[Identity, ...], index: int, source: Profile) -> None:
        """Raise `Refusal` where a new profile would have nothing of the source: it lacks what the match names."""
        own = identities(source.document, self.context.tables) | {(ID, source.id)}
        if key[0][0] == ID and own.intersection(key):
            raise self._refusal(index, "a profile cannot be split from itself")
        if key[0][0] == ID or not own.intersection(key):
            raise not_found(key, join_pointer("destinations", index))

    def _filled(self, document: Document, source: Profile, places: Sequence[int], strict: set[Address]) -> Document:
        """Return a destination's document with what it lacks, and with the subscriptions at these places.

        Those to `strict` addresses lift nothing: the destination had the address, and did not lift its facts. Each one
        has the global status of the source, where that is stricter than its own and than the destination's.
        """
        tables = self.context.tables
        members = (
            "merged",
            LAST_STARTS,
            RELATIONS,
            *SUBSCRIPTION_MEMBERS,
            *(() if self.split.get("move_segments") else SEGMENT_MEMBERS),
        )
        named = frozenset[Identity]().union(*self.destination_keys)
        other = without_identities(source.document, lambda each: each in named or is_unique(each, tables), tables)
        result: Document = _fill_absent(document, without_members(other, members))
        subscriptions = [source.document["subscriptions"][place] for place in places]
        if not subscriptions:
            return result
        status, source_status = (value_at(each, tables.global_status) for each in (result, source.document))
        if strictest(status, source_status) != status:  # what the source's forbade, the destination's would permit
            subscriptions = [{**one, "status": strictest(one.get("status"), source_status)} for one in subscriptions]
        both = combine_subscriptions([*result.get("subscriptions", ()), *subscriptions])
        return without_lifts_of({**result, "subscriptions": both}, strict)

    def _left_document(self, source: Profile, moved: Sequence[int | None]) -> Document:
        """Return the document of the source without what moved."""
        named = frozenset[Identity]().union(*self.destination_keys)
        document = without_identities(source.document, named.__contains__, self.context.tables)
        if self.split.get("move_segments"):
            document = without_members(document, SEGMENT_MEMBERS)
        if any(to is not None for to in moved):
            stay = [each for each, to in zip(document["subscriptions"], moved, strict=True) if to is None]
            document = without_members(document, SUBSCRIPTION_MEMBERS)
            document = {**document, "subscriptions": stay} if stay else document
        return document

    def _moves(self, subscription: Mapping[str, Any]) -> int | None:
        """Return the index of the destination that a subscription moves to; None: it stays."""
        filters = self.split.get("subscription_filters", {})
        if not self.split.get("move_subscriptions", True) or not all(
            _has(subscription, name, wanted) for name, wanted in filters.items()
        ):
            return None
        own = identities({"subscriptions": [subscription]}, self.context.tables)
        return next((index for index, key in enumerate(self._addresses()) if key & own), 0)

    def _addresses(self) -> list[frozenset[Identity]]:
        """Return, for each destination, the identities that a subscription to its address has."""
        subs = {"email": "email_sub", "phone": "phone_sub"}
        return [frozenset((subs.get(kind, kind), value) for kind, value in key) for key in self.destination_keys]

    def _refusal(self, index: int, reason: str) -> Refusal:
        return Refusal([Fault("invalid_parameter", reason, join_pointer("destinations", index))])


def _fill_absent(value: Any, other: Any) -> Any:
    """Return a value with the members that only another one has. A list stays as it is."""
    if isinstance(value, dict) and isinstance(other, dict):
        return {**other, **{name: _fill_absent(own, other.get(name)) for name, own in value.items()}}
    return value


def _has(subscription: Mapping[str, Any], name: str, wanted: Sequence[Any]) -> bool:
    """Return whether a member of a subscription is one of the wanted values, or a list has one of them."""
    form, own = _FORMS.get(name, lambda value: value), subscription.get(name)
    if own is None:
        return False
    return not {form(each) for each in wanted}.isdisjoint(map(form, own if isinstance(own, list) else [own]))


_FORMS: Mapping[str, Callable[[Any], Any]] = {
    "status": status_word,
    "email": lambda value: normalization.email(value) or value,
    "phone": lambda value: normalization.phone(value) or value,
}
"""The normal forms in which members of subscriptions are compared."""
