"""Copies of an update for validation: without nulls, and with the values of its operations in the merge patch."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gateway.core.faults import Fault
from gateway.core.model import Update
from gateway.core.pointer import join_pointer, split_pointer
from gateway.schema.declarations import merge_schemas


def point_to_field(fault: Fault, update: Update) -> Fault:
    """Return a fault of an operation with the pointer of the operation's field."""
    match split_pointer(fault.pointer):
        case ["operations", index, *_]:
            holder, base = update, "/profile"
        case ["subscriptions", place, "operations", index, *_]:
            holder, base = update["subscriptions"][int(place)], join_pointer("subscriptions", place)
        case _:
            return fault
    operation = holder["operations"][int(index)]
    return replace(fault, code="invalid_function", pointer=base + str(operation.get("pointer", "")))


def merge_operations(update: Update, *functions: str) -> Update:
    """Return an update whose merge patches contain the values of these functions, to validate them as plain values."""
    edits = update.get("subscriptions")
    holders = [each for each in edits if isinstance(each, dict)] if isinstance(edits, list) else []
    if not any("operations" in holder for holder in (update, *holders)):
        return update
    view = {**update, "profile": _merge_values(update.get("profile", {}), update, functions)}
    if isinstance(edits, list):
        view["subscriptions"] = [
            _merge_values(edit, edit, functions) if isinstance(edit, dict) else edit for edit in edits
        ]
    return view


def _merge_values(patch: Any, holder: Mapping[str, Any], functions: Sequence[str]) -> Any:
    for operation in holder.get("operations", ()):
        if operation["function"] in functions:
            names = reversed(split_pointer(operation["pointer"]))
            patch = merge_schemas(patch, functools.reduce(lambda inner, name: {name: inner}, names, operation["value"]))
    return patch


def without_nulls(update: Update) -> Update:
    """Return an update whose merge patches (RFC 7396) have no nulls: a null removes a member."""
    view = dict(update)
    if isinstance(profile := update.get("profile"), dict):
        view["profile"] = drop_nulls(profile)
    if isinstance(subscriptions := update.get("subscriptions"), list):
        view["subscriptions"] = [drop_nulls(one) for one in subscriptions]
    return view


def drop_nulls(value: Any) -> Any:
    """Return a merge patch without its nulls. A null in a list is an item."""
    if not isinstance(value, dict):
        return value
    if None in value.values():
        value = {name: member for name, member in value.items() if member is not None}
    inner = {name: drop_nulls(member) for name, member in value.items() if isinstance(member, dict)}
    return {**value, **inner} if inner else value
