"""Applies an update to a document.

Documents are never changed in place. The new document shares every unchanged value with the old one, so `is` finds
most of what an update does not change.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gateway.core.consent import DELETED, UNCHANGED, combine_subscriptions, outlasts
from gateway.core.difference import Touched, json_equal
from gateway.core.faults import Fault
from gateway.core.matching import subscription_address
from gateway.core.model import Document, Update
from gateway.core.pointer import join_pointer, split_pointer, value_at
from gateway.core.profile_tables import ProfileTables
from gateway.core.segments import segment_order
from gateway.core.subscription_rules import CATEGORIES, STATUS, change_categories, change_statuses
from gateway.core.update_functions import FUNCTIONS

MAX_COMPARISONS = 64
"""Edits times subscriptions up to which each is compared with each, to find that nothing changes."""


def apply_update(document: Document, update: Update) -> tuple[Document, list[Fault]]:
    """Return the document after an update, and the faults of its operations."""
    faults: list[Fault] = []
    patch = update.get("profile", {})
    hidden: list[str] = []
    if "string_members" in update:
        hidden = [name for name in update["string_members"] if not isinstance(document.get(name, ""), str)]
        patch = {name: value for name, value in patch.items() if value is not None or name not in hidden}
    if "replace" in update:
        removed = [name for name in update["replace"] if name not in hidden]
        before = {name: value for name, value in document.items() if name not in removed}
        document = {**before, **{name: value for name, value in patch.items() if value is not None}}
    else:
        before, document = document, merge_patch(document, patch)
    if "operations" in update:
        document = _apply_operations(document, update["operations"], "/profile", faults)
    if "set_once" in update:
        for place in map(split_pointer, update["set_once"]):
            if value_at(before, place) is not None:
                document = restore_value(document, before, place)
    if "subscriptions" in update:
        skip_invalid = update.get("options", {}).get("skip_invalid_subscriptions", False)
        document = _edit_subscriptions(document, update["subscriptions"], skip_invalid, faults)
    if CATEGORIES in update:
        document = change_categories(document, update[CATEGORIES])
    if STATUS in update:
        document = change_statuses(document, update[STATUS])
    if "remove_subscriptions" in update:
        document = _remove_subscriptions(document, update["remove_subscriptions"])
    if "segments" in update:
        document = _edit_segments(document, update["segments"])
    return document, faults


def touched_members(update: Update) -> Touched | None:
    """Return the members that `apply_update` and consent may change of a document; None for all of them."""
    if not _ANYWHERE.isdisjoint(update):
        return None
    touched = {**update.get("profile", {}), **_LIST_MEMBERS}
    for operation in update.get("operations", ()):
        _touch(touched, split_pointer(operation["pointer"]))
    return touched


_ANYWHERE = frozenset({"replace", "patch"})
"""The members of an update that may change any member of a document."""

_LIST_MEMBERS = dict.fromkeys(("subscriptions", "segments", "memberships"), True)


def _touch(touched: dict[str, Any], path: Sequence[str]) -> None:
    for name in path[:-1]:
        below = touched.get(name, {})
        if type(below) is not dict:
            return
        touched[name] = touched = dict(below)
    touched[path[-1]] = True


def merge_patch(target: Any, patch: Any) -> Any:
    """Apply a JSON Merge Patch (RFC 7396). Return the target itself if the patch changes nothing."""
    if not isinstance(patch, dict):
        return target if json_equal(target, patch) else patch
    before = target if isinstance(target, dict) else {}
    changes: dict[str, Any] = {}
    removed: list[str] = []
    for name, value in patch.items():
        current = before.get(name)
        if (kind := type(value)) is str or kind is int:  # most members
            if value != current or type(current) is not kind:
                changes[name] = value
        elif value is None:
            if name in before:
                removed.append(name)
        elif kind is not dict:
            if not json_equal(current, value):
                changes[name] = value
        elif (new := merge_patch(current, value)) is not current:
            changes[name] = new
    if not changes and not removed:
        return before
    after = {**before, **changes}
    return {name: value for name, value in after.items() if name not in removed} if removed else after


def restore_value(document: Document, before: Document, place: Sequence[str]) -> Document:
    """Return the document with the value that one place had before, or without it if it had none."""
    restored: Document = _apply_at(document, list(place), {"function": "set", "value": value_at(before, place)})
    return restored


def remove_empty_namespaces(document: Document, tables: ProfileTables) -> Document:
    """Return the document without empty namespaces, and without empty objects in those that are declared."""
    for space in tables.declared_namespaces:
        members = document.get(space, {})
        if any(value == {} for value in members.values()):
            document = {**document, space: {name: value for name, value in members.items() if value != {}}}
    empty = [name for name in tables.namespaces if document.get(name) == {}]
    return {name: value for name, value in document.items() if name not in empty} if empty else document


def fill_from(document: Document, other: Document) -> Document:
    """Return the document with the members and list items that only another one has."""
    result: Document = _fill_value(document, other)
    if "subscriptions" in result:
        result["subscriptions"] = combine_subscriptions(result["subscriptions"])
    return _edit_segments(result, {}) if "segments" in result else result


def append_at(document: Document, place: Sequence[str], value: Any) -> Document:
    """Return the document with one more item in the list at a place."""
    patch: Any = [*(value_at(document, place) or ()), value]
    for name in reversed(place):
        patch = {name: patch}
    result: Document = merge_patch(document, patch)
    return result


def _fill_value(value: Any, other: Any) -> Any:
    if isinstance(value, dict) and isinstance(other, dict):
        return {**other, **{name: _fill_value(own, other.get(name)) for name, own in value.items()}}
    if isinstance(value, list) and isinstance(other, list):
        return [*value, *(item for item in other if not any(json_equal(item, own) for own in value))]
    return value


def _apply_operations(
    document: Document, operations: Iterable[Mapping[str, Any]], at: str, faults: list[Fault]
) -> Document:
    for operation in operations:
        try:
            document = _apply_at(document, split_pointer(operation["pointer"]), operation)
        except ValueError as reason:
            faults.append(Fault("invalid_function", str(reason), at + operation["pointer"]))
    return document


def _apply_at(target: Any, names: list[str], operation: Mapping[str, Any]) -> Any:
    """Return a copy of `target` with the operation applied at the end of the path. Absent objects are created."""
    if not names:
        if "object_only" in operation and not isinstance(target, dict | None):
            raise ValueError(operation["object_only"])
        arguments = {"submatch": operation["submatch"]} if "submatch" in operation else {}
        return FUNCTIONS[operation["function"]](target, operation["value"], **arguments)
    member = _apply_at((target or {}).get(names[0]), names[1:], operation)
    if member is None:
        return target and merge_patch(target, {names[0]: None})
    return {**(target or {}), names[0]: member}


def _edit_subscriptions(
    document: Document, edits: Sequence[Mapping[str, Any]], skip_invalid: bool, faults: list[Fault]
) -> Document:
    """Merge each edit into the subscription of the same resource, channel and address, or add it.

    An edit with `deleted` needs a subscription. Any edit restores a deleted one, unless it deletes it. With
    `skip_invalid`, an edit with a fault is ignored.
    """
    before = document.get("subscriptions", [])
    if json_equal(edits, before) or (len(before) * len(edits) <= MAX_COMPARISONS and _are_stored(edits, before)):
        return document
    subscriptions = {subscription_address(one): one for one in before}
    for index, edit in enumerate(edits):
        place = subscription_address(edit)
        if DELETED in edit and place not in subscriptions:
            faults.append(Fault("unknown_subscription", pointer=join_pointer("subscriptions", index)))
        old = subscriptions.get(place, {})
        one = merge_patch(old, _as_patch(edit, old.get("status")))
        if DELETED in one and not edit.get(DELETED):
            one = {name: value for name, value in one.items() if name != DELETED}
        if "operations" in edit:
            found: list[Fault] = []
            one = _apply_operations(one, edit["operations"], join_pointer("subscriptions", index), found)
            if skip_invalid and found:
                continue
            faults += found
        subscriptions[place] = one
    after = list(subscriptions.values())
    return document if json_equal(before, after) else {**document, "subscriptions": after}


def _are_stored(edits: Iterable[Mapping[str, Any]], subscriptions: Iterable[Mapping[str, Any]]) -> bool:
    """Return whether each edit is stored as it is: some subscription of its resource has all its members."""
    for edit in edits:
        members, has_resource, is_deletion = edit.items(), "resource_id" in edit, DELETED in edit
        for one in subscriptions:
            # First the comparison that runs in C; then what it does not distinguish: 1, 1.0 and true.
            if members <= one.items() and has_resource is ("resource_id" in one) and is_deletion is (DELETED in one):
                break
        else:
            return False
        for name, value in members:
            if (kind := type(value)) is str or (kind is int and type(one[name]) is int):
                continue
            if not json_equal(value, one[name]):
                return False
    return True


def _remove_subscriptions(document: Document, removed: Iterable[Mapping[str, Any]]) -> Document:
    """Remove the subscriptions of these channels and addresses, of every resource."""
    addresses = {subscription_address(one)[1:] for one in removed}
    before = document.get("subscriptions", [])
    after = [one for one in before if subscription_address(one)[1:] not in addresses]
    result: Document = merge_patch(document, {"subscriptions": after or None})
    return document if len(after) == len(before) else result


def _as_patch(edit: Mapping[str, Any], status: Any) -> Mapping[str, Any]:
    """Return the merge patch of an edit: the edit without operations and unchanged members. `status` is the old one."""
    omitted = [name for name in ("status", "priority") if edit.get(name) == UNCHANGED]
    if "status" in edit and (edit["status"] is None or outlasts(status, edit["status"])):
        omitted.append("status")  # null would erase an opt-out
    if not omitted and "operations" not in edit:
        return edit
    return {name: value for name, value in edit.items() if name not in ("operations", *omitted)}


def _edit_segments(document: Document, segments: Mapping[str, list[int | str]]) -> Document:
    members = set(document.get("segments", ())) | set(segments.get("add", ()))
    members -= set(segments.get("remove", ()))
    patch: Document = {"segments": sorted(members, key=segment_order) or None}
    if "memberships" in document:
        patch["memberships"] = {str(segment): None for segment in segments.get("remove", ())}
    result: Document = merge_patch(document, patch)
    return result
