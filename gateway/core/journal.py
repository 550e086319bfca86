"""The journal of a profile: the patches of an entry (RFC 6902), and the documents of earlier times.

Both are derived when an entry is read. A write stores the members that it changes, with their values before and after.
"""

from collections.abc import Iterable
from typing import Any

from msgspec import UNSET

from gateway.core.difference import json_equal
from gateway.core.model import Document, JournalEntry, JournalKind, MemberChange
from gateway.core.pointer import split_pointer
from gateway.core.visible_values import visible_change

LAST_STARTS = "last_starts"
"""The member of a document with the automations that were last started for the profile."""

UNKNOWN_VALUES = MemberChange("", is_before_known=False)
"""What an erasure leaves of the values in an entry of the journal."""

REMOVALS: tuple[JournalKind, ...] = ("remove", "erase")
"""The kinds of entries that always remove the profile."""


class UnknownValue(Exception):
    """A value of a change is not known: the entry is older than the journal, or its person was erased."""


def creation(document: Document) -> tuple[MemberChange, ...]:
    """Return what a write that creates a document changes."""
    return (MemberChange("", after=document),)


def removal(document: Document) -> tuple[MemberChange, ...]:
    """Return what a write that removes a document changes."""
    return (MemberChange("", before=document),)


def stored_members(members: Iterable[MemberChange]) -> list[MemberChange]:
    """Return those of the members that are changes of the document."""
    return [each for each in members if each.is_stored]


def started(entry: JournalEntry) -> list[dict[str, Any]]:
    """Return the automations that a write starts. One that restores a document, such as an undo, starts none."""
    for each in entry.members if entry.merge is None else ():
        whole = {LAST_STARTS: each.after} if each.pointer == f"/{LAST_STARTS}" else {} if each.pointer else each.after
        if isinstance(whole, dict) and isinstance(starts := whole.get(LAST_STARTS), list):
            return starts
    return []


def forward_patch(entry: JournalEntry) -> list[dict[str, Any]]:
    """Return the JSON Patch that repeats the change. The path of a whole document is "". Raises `UnknownValue`."""
    if entry.members == (UNKNOWN_VALUES,) and entry.kind not in REMOVALS:
        raise UnknownValue(f"version {entry.version} of profile {entry.profile} has no values")
    return [
        _operation(each.pointer, each.before if each.is_before_known else None, each.after)
        for each in _visible_members(entry)
    ]


def backward_patch(entry: JournalEntry) -> list[dict[str, Any]]:
    """Return the JSON Patch that reverses the change. Raises `UnknownValue`."""
    _require_known(entry)
    return [_operation(each.pointer, each.after, each.before) for each in _visible_members(entry)]


def _visible_members(entry: JournalEntry) -> list[MemberChange]:
    """Return the changes of the document that a client sees."""
    members = map(visible_change, stored_members(entry.members))
    return [each for each in members if each.before is UNSET or not json_equal(each.before, each.after)]


def document_after(document: Document | None, entry: JournalEntry) -> Document | None:
    """Return the document after a change, from the one before it; None where there is none."""
    for each in stored_members(entry.members):
        document = _with_value(document, split_pointer(each.pointer), each.after)
    return document


def document_before(document: Document | None, entries: Iterable[JournalEntry]) -> Document | None:
    """Return the document before some changes of one profile, the newest first, from the one after them.

    Raises `UnknownValue`.
    """
    for entry in entries:
        _require_known(entry)
        for each in stored_members(entry.members):
            document = _with_value(document, split_pointer(each.pointer), each.before)
    return document


def changes_of_patch(patch: Iterable[dict[str, Any]]) -> tuple[MemberChange, ...]:
    """Return the members of a JSON Patch with add, replace and remove, as layouts without a journal stored them."""
    return tuple(
        MemberChange(each["path"], UNSET, each.get("value", UNSET), each["op"] == "add")
        for each in patch
        if each.get("op") in ("add", "replace", "remove")
    )


def _operation(path: str, old: Any, new: Any) -> dict[str, Any]:
    if new is UNSET:
        return {"op": "remove", "path": path}
    return {"op": "add" if old is UNSET else "replace", "path": path, "value": new}


def _with_value(target: Any, names: list[str], value: Any) -> Any:
    """Return a copy of `target` with the value at the end of the path; `UNSET` removes it, the whole becomes None."""
    if not names:
        return None if value is UNSET else value
    name, *rest = names
    if rest:
        value = _with_value(target[name], rest, value)
    copy = dict(target)
    if value is UNSET:
        del copy[name]
    else:
        copy[name] = value
    return copy


def _require_known(entry: JournalEntry) -> None:
    if not all(each.is_before_known for each in entry.members):
        raise UnknownValue(f"version {entry.version} of profile {entry.profile} has no values before it")
