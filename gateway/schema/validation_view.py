"""An update in the shape in which it is judged: without what it clears, and with what its functions bring.

These are copies for the checkers; the update itself stays what it is.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gateway.core.faults import Fault
from gateway.core.model import Update
from gateway.core.pointer import join_pointer, split_pointer
from gateway.schema.declarations import merge_schemas


def point_to_field(fault: Fault, update: Update) -> Fault:
    """A fault of an operation, told of the field that the operation is for."""
    names = split_pointer(fault.pointer)
    if "operations" not in names[:3:2] or len(names) < 2:
        return fault
    *before, _, index = names[: names.index("operations") + 2]
    holder = update["subscriptions"][int(before[1])] if before else update
    operation = holder["operations"][int(index)]
    base = join_pointer(*before) if before else "/profile"
    return replace(fault, code="invalid_function", pointer=base + str(operation.get("pointer", "")))


def merge_operations(update: Update, *functions: str) -> Update:
    """An update whose merge patches also hold what these functions bring, so that it is judged like a plain value."""
    edits = update.get("subscriptions")
    holders = [each for each in edits if isinstance(each, dict)] if isinstance(edits, list) else []
    if not any("operations" in holder for holder in (update, *holders)):
        return update
    judged = {**update, "profile": _with_brought(update.get("profile", {}), update, functions)}
    if isinstance(edits, list):
        judged["subscriptions"] = [
            _with_brought(edit, edit, functions) if isinstance(edit, dict) else edit for edit in edits
        ]
    return judged


def _with_brought(patch: Any, holder: Mapping[str, Any], functions: Sequence[str]) -> Any:
    for operation in holder.get("operations", ()):
        if operation["function"] in functions:
            way_up = reversed(split_pointer(operation["pointer"]))
            patch = merge_schemas(
                patch, functools.reduce(lambda inner, name: {name: inner}, way_up, operation["value"])
            )
    return patch


def without_nulls(update: Update) -> Update:
    """An update whose merge patches (RFC 7396) have lost the members that they clear."""
    judged = dict(update)
    if isinstance(profile := update.get("profile"), dict):
        judged["profile"] = _present(profile)
    if isinstance(subscriptions := update.get("subscriptions"), list):
        judged["subscriptions"] = [_present(one) for one in subscriptions]
    return judged


def _present(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if None in value.values():
        value = {name: member for name, member in value.items() if member is not None}
    inner = {name: _present(member) for name, member in value.items() if isinstance(member, dict)}
    return {**value, **inner} if inner else value
